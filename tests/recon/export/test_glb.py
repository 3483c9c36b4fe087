"""GLB files: what is written is read back, by us and by trimesh, in the axes that glTF asks for."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from recon.errors import InvalidScene, UnreadableScene
from recon.export.glb import decode_glb, encode_glb, read_glb, write_glb
from recon.mesh import Mesh, box, joined

CORNER = box(np.array([0.1, -2.0, 3.0]), np.array([0.4, -1.0, 5.0]))
OTHER = box(np.array([-3.0, -0.5, 1.0]), np.array([-2.0, 0.0, 1.5]))


def test_a_file_is_read_back_in_the_gate_frame() -> None:
    read = decode_glb(encode_glb([("floor", CORNER), ("thing", OTHER)]))
    expected = joined([CORNER, OTHER])
    assert {name: tuple(place) for name, place in read.places.items()}["floor"] == (0.0, 0.0, 0.0)
    order = [np.lexsort(mesh.corners.reshape(-1, 9).round(5).T) for mesh in (read.mesh, expected)]
    np.testing.assert_allclose(read.mesh.corners[order[0]], expected.corners[order[1]], atol=1e-6)
    assert read.mesh.is_watertight and read.mesh.volume_m3 == pytest.approx(expected.volume_m3, rel=1e-5)


def test_others_see_y_up_and_the_rooms_depth_behind_the_viewer(tmp_path: Path) -> None:
    write_glb([("floor", CORNER), ("thing", OTHER)], tmp_path / "a.glb", {"made_by": "a test"})
    scene = trimesh.load_scene(tmp_path / "a.glb")
    assert set(scene.geometry) == {"floor", "thing"} and scene.metadata["made_by"] == "a test"
    np.testing.assert_allclose(scene.geometry["floor"].bounds, [[0.1, 1.0, -5.0], [0.4, 2.0, -3.0]], atol=1e-6)
    assert scene.geometry["floor"].is_watertight and scene.geometry["floor"].volume > 0


def test_nodes_are_placed_and_mirrors_keep_their_outside(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[:3, 3] = [5.0, 1.0, 0.0]
    scene.add_geometry(trimesh.creation.box(extents=[1, 2, 3]), node_name="room", transform=mirror)
    scene.graph.update(frame_to="spawn", matrix=trimesh.transformations.translation_matrix([1.0, 0.0, -2.0]))
    scene.export(tmp_path / "room.glb")
    read = read_glb(tmp_path / "room.glb")
    np.testing.assert_allclose(read.mesh.vertices.min(axis=0), [4.5, -2.0, -1.5], atol=1e-6)
    assert read.mesh.volume_m3 == pytest.approx(6.0)
    np.testing.assert_allclose(read.places["spawn"], [1.0, 0.0, 2.0], atol=1e-6)


def test_damaged_files_are_refused_with_their_name(tmp_path: Path) -> None:
    good = encode_glb([("floor", CORNER)])
    path = tmp_path / "bad.glb"
    for bad in (b"", b"glTF", b"not a model", good[: len(good) // 2], b"glTF" + b"\0" * 64):
        path.write_bytes(bad)
        with pytest.raises(UnreadableScene, match=r"bad\.glb"):
            read_glb(path)
    with pytest.raises(UnreadableScene, match="cannot be read"):
        read_glb(tmp_path / "missing.glb")


def test_files_without_parts_are_not_written() -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    for parts in ([], [("a", empty)], [("a", CORNER), ("a", OTHER)]):
        with pytest.raises(InvalidScene, match="parts"):
            encode_glb(parts)
