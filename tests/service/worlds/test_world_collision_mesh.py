"""Meshes that worlds bring for collision: how they are written, where a way leads, what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import trimesh

from model.spec_control import ControlKind
from service.errors import InvalidInput
from service.worlds.pack import packed
from service.worlds.yaml_file import parse_world

GATE = """
world: w
chains: {c: {tasks: {t: {p50_s: 5, p90_s: 9}}}}
gates: {g: {chain: c, content: {prompt: a room, %s}}}
"""


def world_of(content: str) -> bytes:
    return (GATE % content).encode()


@pytest.fixture
def room(tmp_path: Path) -> bytes:
    """A box of 4 x 3 x 6 m in tmp_path/room.glb, with a spawn at the gate and an exit under a node that is turned."""
    scene = trimesh.Scene(trimesh.creation.box(extents=[4, 3, 6]))
    move, turn = trimesh.transformations.translation_matrix, trimesh.transformations.rotation_matrix
    scene.graph.update(frame_to="spawn", matrix=move([0.5, 0.0, -1.0]))
    scene.graph.update(frame_to="wing", matrix=move([1.0, 0.0, -4.0]) @ turn(np.pi / 2, [0, 1, 0]))
    scene.graph.update(frame_from="wing", frame_to="exit", matrix=move([0.0, 0.2, 1.0]))
    (tmp_path / "room.glb").write_bytes(scene.export(file_type="glb"))
    return (tmp_path / "room.glb").read_bytes()


def content_of(written: str, base_dir: Path | None):
    return next(iter(parse_world(world_of(written), base_dir=base_dir).gates.values())).content


@pytest.mark.parametrize("written", ["graybox: room.glb", "graybox: {mesh_file: room.glb}"])
def test_a_mesh_is_read_with_its_anchors_in_the_gate_frame(room: bytes, tmp_path: Path, written: str) -> None:
    content = content_of(written, tmp_path)
    assert content.collider.glb == room and content.collider.sha256 == hashlib.sha256(room).hexdigest()
    assert content.collider.spawn_m == pytest.approx((0.5, 0.0, 1.0))
    # A quarter turn about y takes the exit's z to x.
    assert content.collider.exit_m == pytest.approx((2.0, -0.2, 4.0))
    assert content.control == content_of("seed: 0", None).control, "a mesh alone does not steer the picture"


def test_anchors_that_are_written_win_and_a_blockout_may_steer_beside_it(room: bytes, tmp_path: Path) -> None:
    sizes = "width_m: 5, height_m: 3, depth_m: 6"
    content = content_of(f"graybox: {{mesh_file: room.glb, spawn_m: [0, 0, 0.2], {sizes}}}", tmp_path)
    assert content.control.kind is ControlKind.BLOCKOUT
    assert content.collider.spawn_m == (0, 0, 0.2) and content.collider.exit_m == pytest.approx((2.0, -0.2, 4.0))


@pytest.mark.parametrize("written", ["graybox: room.glb", 'graybox: {mesh_file: "room.glb"}'])
def test_packing_writes_it_into_the_world(room: bytes, tmp_path: Path, written: str) -> None:
    source = packed(world_of(written), "w.yaml", tmp_path)
    assert b"base64:" in source
    (gate,) = parse_world(source).gates.values()
    assert gate.content.collider.glb == room


def test_a_gate_without_a_mesh_has_no_collider() -> None:
    assert content_of("graybox: {width_m: 5, height_m: 3, depth_m: 6}", None).collider is None


@pytest.mark.parametrize(
    ("written", "field", "said"),
    [
        ("graybox: missing.glb", "mesh_file", "cannot be read"),
        ("graybox: ../room.glb", "mesh_file", "outside the folder"),
        ("graybox: room.obj", "graybox", r"allowed FILE\.glb"),
        ("graybox: cut.glb", "mesh_file", "no GLB file"),
        ("graybox: empty.glb", "mesh_file", "without a mesh"),
        ("graybox: 'base64:?'", "mesh_file", "not base64"),
        ("graybox: {width_m: 5, height_m: 3, depth_m: 6, exit_m: [0, 0, 1]}", "graybox", "beside a mesh_file"),
        ("graybox: {mesh_file: room.glb, width_m: 5}", "graybox", "height_m"),
    ],
)
def test_mistakes_are_told_with_their_field(room: bytes, tmp_path: Path, written: str, field: str, said: str) -> None:
    (tmp_path / "cut.glb").write_bytes(room[:100])
    (tmp_path / "empty.glb").write_bytes(b"glTF\x02\0\0\0\x18\0\0\0\x04\0\0\0JSON{}  ")
    with pytest.raises(InvalidInput, match=f"(?s){field}.*({said})"):
        parse_world(world_of(written), base_dir=tmp_path)


def test_a_world_that_was_sent_has_no_folder(room: bytes) -> None:
    with pytest.raises(InvalidInput, match="world pack"):
        parse_world(world_of("graybox: room.glb"))
