"""The same cameras, written as each engine writes them, are read as the same cameras; ray depth becomes planar."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.dataset_file import CameraConvention
from clips.footage.footage import Footage
from clips.footage.transforms_json import TransformsRule, read_transforms, transforms_folders
from tests.clips.footage.engine_captures import SYSTEMS, engine_clip, placed, written
from tests.clips.footage.footage_samples import HEIGHT, WIDTH, make_footage, raw_clip, write_dataset


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_engine_gives_the_same_cameras(tmp_path: Path, footage: Footage, system: str) -> None:
    got = ClipFolder.open(engine_clip(tmp_path / "set", system, footage, with_gate=True)).read("one")
    np.testing.assert_allclose(got.clip.cameras.viewmats, footage.clip.cameras.viewmats, atol=1e-9)
    np.testing.assert_allclose(got.clip.cameras.Ks, footage.clip.cameras.Ks, atol=1e-12)


@pytest.mark.parametrize("system", set(SYSTEMS) - {"narthex", "colmap"})
def test_without_a_gate_the_first_camera_stands_at_it(tmp_path: Path, footage: Footage, system: str) -> None:
    got = ClipFolder.open(engine_clip(tmp_path / "set", system, footage, with_gate=False)).read("one").clip.cameras
    first = got.camera_to_world[0]
    np.testing.assert_allclose(first[:3, 3], [0.0, -1.5, 0.0], atol=1e-9)
    assert abs(first[0, 2]) < 1e-9 and first[2, 2] > 0, "it looks along +z, up or down as it did"
    slope = footage.clip.cameras.camera_to_world[0, 1, 2]
    assert first[1, 2] == pytest.approx(slope)
    wanted = np.linalg.inv(footage.clip.cameras.camera_to_world[0]) @ footage.clip.cameras.camera_to_world
    np.testing.assert_allclose(np.linalg.inv(first) @ got.camera_to_world, wanted, atol=1e-9)


def test_a_world_without_a_vertical_takes_the_first_cameras_axes(tmp_path: Path, footage: Footage) -> None:
    got = ClipFolder.open(engine_clip(tmp_path / "set", "colmap", footage, with_gate=False)).read("one").clip.cameras
    expected = np.eye(4)
    expected[1, 3] = -1.5
    np.testing.assert_allclose(got.camera_to_world[0], expected, atol=1e-9)


def test_unitys_two_matrices_are_not_mistaken_for_each_other(tmp_path: Path, footage: Footage) -> None:
    folder = engine_clip(tmp_path / "set", "unity-camera-matrix", footage, with_gate=True)
    write_dataset(folder, cameras={"system": "unity"})
    ((_, result),) = ClipFolder.open(folder).read_all()
    assert isinstance(result, SkippedClip)
    assert "is a mirror in the named axes" in result.problem and "unity-camera-matrix" in result.problem


def test_centimetres_taken_for_metres_are_noticed(tmp_path: Path, footage: Footage) -> None:
    folder = engine_clip(tmp_path / "set", "unreal", footage, with_gate=True)
    write_dataset(folder, cameras={"system": "unreal", "units_per_m": 1.0})
    ((_, result),) = ClipFolder.open(folder).read_all()
    assert isinstance(result, SkippedClip) and "correct units_per_m" in result.problem


def test_a_first_camera_that_looks_down_has_no_heading(tmp_path: Path, footage: Footage) -> None:
    folder = write_dataset(tmp_path / "set", cameras={"system": "narthex", "origin": "first_camera"})
    down = np.eye(4)
    down[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    raw_clip(folder / "one", footage, {"camera_to_world": [down.tolist()] * 4, "fov_x_deg": 70})
    ((_, result),) = ClipFolder.open(folder).read_all()
    assert isinstance(result, SkippedClip) and "looks 90 degrees up or down" in result.problem


def test_ray_distances_in_centimetres_become_planar_metres(tmp_path: Path) -> None:
    """A wall 3 m ahead of a level camera: 3 m at every pixel, whatever its ray's length."""
    wall = make_footage()
    Ks = wall.clip.cameras.Ks
    x = (np.arange(WIDTH) + 0.5 - Ks[0, 0, 2]) / Ks[0, 0, 0]
    y = (np.arange(HEIGHT) + 0.5 - Ks[0, 1, 2]) / Ks[0, 1, 1]
    rays = 300.0 * np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2)
    assert rays.max() > 330.0
    depth = np.repeat(rays[None], 4, axis=0).astype(np.float32)
    folder = write_dataset(tmp_path / "set", depth={"kind": "ray", "units_per_m": 100.0})
    cameras = {"camera_to_world": wall.clip.cameras.camera_to_world.tolist(), "K": Ks.tolist()}
    raw_clip(folder / "one", wall, cameras, depth)
    np.testing.assert_allclose(ClipFolder.open(folder).read("one").clip.depth, 3.0, rtol=1e-6)


def test_a_vertical_view_angle_and_integer_pixel_centres(tmp_path: Path, footage: Footage) -> None:
    folder = write_dataset(tmp_path / "set", cameras={"system": "narthex", "pixel_center": 0.0})
    cameras = {"camera_to_world": footage.clip.cameras.camera_to_world.tolist(), "fov_y_deg": 90.0}
    raw_clip(folder / "one", footage, cameras)
    K = ClipFolder.open(folder).read("one").clip.cameras.Ks[0]
    np.testing.assert_allclose(K, [[HEIGHT / 2, 0, WIDTH / 2], [0, HEIGHT / 2, HEIGHT / 2], [0, 0, 1]])
    del cameras["fov_y_deg"]
    (folder / "one" / "cameras.json").write_text(json.dumps({**cameras, "K": [[9, 0, 4.5], [0, 9, 2.5], [0, 0, 1]]}))
    K = ClipFolder.open(folder).read("one").clip.cameras.Ks[0]
    np.testing.assert_allclose(K, [[9, 0, WIDTH / 2], [0, 9, HEIGHT / 2], [0, 0, 1]])


def nerfstudio(folder: Path, footage: Footage) -> Path:
    """A capture as nerfstudio's exporters write it: 16-bit depth in millimetres, cameras in OpenGL axes, z up."""
    folder.mkdir(parents=True)
    vector, order, _, _ = SYSTEMS["nerfstudio"]
    entries = []
    for index, pose in enumerate(placed() @ footage.clip.cameras.camera_to_world):
        name = f"frame_{index + 8}.png"
        Image.fromarray(footage.clip.frames[index]).save(folder / name)
        millimetres = np.round(footage.clip.depth[index] * 1000).astype(np.uint16)
        Image.fromarray(millimetres).save(folder / f"depth_{name}")
        matrix = written(pose, vector, order, 1.0)
        entries.append({"file_path": name, "depth_file_path": f"depth_{name}", "transform_matrix": matrix})
    K = footage.clip.cameras.Ks[0]
    value = {"w": WIDTH, "h": HEIGHT, "fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    (folder / "transforms.json").write_text(json.dumps({**value, "frames": entries[::-1]}))
    (folder / "caption.txt").write_text("a red orb")
    return folder


RULE = TransformsRule(8.0, CameraConvention.model_validate({"system": "nerfstudio"}))


def test_transforms_json_is_read_in_the_order_of_its_frames(tmp_path: Path, footage: Footage) -> None:
    folder = nerfstudio(tmp_path / "cap", footage)
    assert transforms_folders(folder) == [folder] == transforms_folders(tmp_path)
    got = read_transforms(folder, RULE)
    assert isinstance(got, Footage), got
    np.testing.assert_array_equal(got.clip.frames, footage.clip.frames)
    assert np.abs(got.clip.depth - footage.clip.depth).max() <= 0.0005 + 1e-6
    wanted = np.linalg.inv(footage.clip.cameras.camera_to_world[0]) @ footage.clip.cameras.camera_to_world
    poses = got.clip.cameras.camera_to_world
    np.testing.assert_allclose(np.linalg.inv(poses[0]) @ poses, wanted, atol=1e-9)
    np.testing.assert_allclose(poses[0, :3, 3], [0, -1.5, 0], atol=1e-9)
    assert got.clip.caption == "a red orb"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 1e6}, r"clip cap: transforms\.json: frame_8\.png: k1: got 1000000\.0, expected a number within"),
        ({"frames": []}, "frames: no frames in it"),
        ({"fl_x": None}, r"fl_x \(pixels\) or camera_angle_x \(radians\) is needed"),
        ({"frames": [{"file_path": "../x.png", "transform_matrix": []}]}, r"\.\./x\.png: lies outside of the capture"),
        ({"frames": [{"file_path": "frame_8.png", "transform_matrix": [[1]]}]}, "transform_matrix is no finite 4x4"),
        ({"frames": 3}, r"transforms\.json: frames: got 3"),
    ],
)
def test_a_bad_transforms_json_says_what_is_wrong(tmp_path: Path, footage: Footage, change: dict, message: str) -> None:
    folder = nerfstudio(tmp_path / "cap", footage)
    value = {**json.loads((folder / "transforms.json").read_text()), **change}
    (folder / "transforms.json").write_text(json.dumps(value))
    result = read_transforms(folder, RULE)
    assert isinstance(result, SkippedClip)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.problem)
