"""transforms.json: the conventions of nerfstudio, instant-ngp and Blender's NeRF scenes, and what is wrong by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clips.errors import ClipError, UnreadableClip
from clips.footage.transforms_file import inside, lens_of, poses_of, read_transforms_file

POSE = [[1.0, 0, 0, 2.0], [0, 0, -1, 3.0], [0, 1, 0, 4.0], [0, 0, 0, 1]]


def written(folder: Path, frames: list[dict[str, Any]] | None = None, **fields: Any) -> Path:
    frames = [{"file_path": "a.png", "transform_matrix": POSE}] if frames is None else frames
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 50.0, **fields, "frames": frames}))
    return folder


def lens(folder: Path, size: tuple[int, int] = (40, 30)) -> Any:
    file = read_transforms_file(folder)
    return lens_of(file, file.frames[0], size)


def test_a_frames_own_lens_wins_over_the_files(tmp_path: Path) -> None:
    own = {"file_path": "a.png", "transform_matrix": POSE, "fl_x": 60.0, "k1": 0.1, "cx": 19.0}
    got = lens(written(tmp_path, [own], fl_y=55.0, cx=21.0, cy=14.0, k1=0.3, k2=0.02))
    assert (got.fl_x, got.fl_y, got.cx, got.cy, got.k1, got.k2) == (60.0, 55.0, 19.0, 14.0, 0.1, 0.02)


def test_blenders_view_angle_gives_the_focal_length_and_the_middle_is_the_centre(tmp_path: Path) -> None:
    got = lens(written(tmp_path, camera_angle_x=0.8, fl_x=None))
    assert got.fl_x == pytest.approx(20.0 / math.tan(0.4)) and got.fl_y == got.fl_x
    assert (got.cx, got.cy) == (20.0, 15.0)


def test_pictures_of_half_the_size_halve_the_lens(tmp_path: Path) -> None:
    got = lens(written(tmp_path, w=80, h=60, cx=38.0, cy=31.0))
    assert (got.width, got.height, got.fl_x, got.cx, got.cy) == (40, 30, 25.0, 19.0, 15.5)


@pytest.mark.parametrize("told", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_both_ways_to_say_fisheye(tmp_path: Path, told: dict[str, Any]) -> None:
    assert lens(written(tmp_path, k1=0.1, **told)).is_fisheye


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = [{"file_path": f"f_{n}.png", "transform_matrix": POSE} for n in (10, 2, 1)]
    names = [frame.file_path for frame in read_transforms_file(written(tmp_path, frames)).frames]
    assert names == ["f_1.png", "f_2.png", "f_10.png"]


def test_an_applied_scale_is_undone_and_z_stays_up(tmp_path: Path) -> None:
    turn = [[0, 0.5, 0, 9.0], [0.5, 0, 0, 8.0], [0, 0, -0.5, 7.0]]
    file = read_transforms_file(written(tmp_path, applied_transform=turn, applied_scale=0.5, aabb_scale=16))
    assert file.units_per_file_unit == pytest.approx(4.0)
    (pose,) = poses_of(file)
    np.testing.assert_allclose(pose[:3, 3], [8.0, 12.0, 16.0])
    np.testing.assert_allclose(pose[:3, :3], np.array(POSE)[:3, :3])


def test_three_rows_and_rounded_rotations_are_read(tmp_path: Path) -> None:
    turn = np.round(np.array([[math.cos(0.3), -math.sin(0.3), 0], [math.sin(0.3), math.cos(0.3), 0], [0, 0, 1]]), 3)
    rows = np.column_stack([turn, [1, 2, 3]]).tolist()
    file = read_transforms_file(written(tmp_path, [{"file_path": "a", "transform_matrix": rows}]))
    (pose,) = poses_of(file)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3], turn, atol=1e-3)


@pytest.mark.parametrize("key", ["depth_file_path", "depth_path"])
def test_depth_is_named_in_both_ways(tmp_path: Path, key: str) -> None:
    frames = [{"file_path": "a", "transform_matrix": POSE, key: "d.png"}]
    scale = {"depth_file_path": "depth_unit_scale_factor", "depth_path": "integer_depth_scale"}[key]
    file = read_transforms_file(written(tmp_path, frames, **{scale: 0.25}))
    assert file.frames[0].depth_file_path == "d.png" and file.depth_unit_scale_factor == 0.25


@pytest.mark.parametrize("name", ["r_0", "./r_0", "r_0.jpg"])
def test_a_path_may_lack_its_ending(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "r_0.jpg")
    assert inside(tmp_path, name) == (tmp_path / "r_0.jpg").resolve()


@pytest.mark.parametrize(("name", "message"), [("../a.png", "outside of the capture"), ("b.png", "no such file in")])
def test_a_path_that_leads_nowhere_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UnreadableClip, match=f"{name}: .*{message}"):
        inside(tmp_path, name)


def frame(**fields: Any) -> dict[str, Any]:
    return {"frames": [{"file_path": "img/a.png", "transform_matrix": POSE, **fields}]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frames": []}, "frames: no frames in it"),
        (frame(transform_matrix=np.diag([2.0, 2, 2, 1]).tolist()), r"img/a\.png: transform_matrix is no rotation"),
        (frame(transform_matrix=np.diag([1.0, 1, -1, 1]).tolist()), r"img/a\.png: transform_matrix is a mirror"),
        (frame(transform_matrix=np.array(POSE).T.tolist()), "is it transposed"),
        (frame(transform_matrix=[[1, 2]]), "transform_matrix is no finite 4x4 matrix"),
        (frame(fl_x=-3), r"frames\[0\]\.fl_x: got -3: input should be greater than 0"),
        (frame(k1="x"), r"frames\[0\]\.k1: got 'x'"),
        (frame(fl_x=None) | {"fl_x": None}, r"img/a\.png: fl_x \(pixels\) or camera_angle_x"),
        (frame(camera_model="EQUIRECTANGULAR"), r"img/a\.png: camera_model: got EQUIRECTANGULAR"),
        (frame(w=40, h=40), r"img/a\.png: w and h: got 40x40, the picture is 40x30, of another shape"),
        ({"camera_angle_x": 60}, "camera_angle_x: got 60: input should be less than 3.1"),
        ({"applied_transform": [[1, 0, 0, 0]]}, "applied_transform: expected 3x4"),
        ({"applied_transform": np.diag([1.0, 2, 1, 1]).tolist()}, "a rotation with one scale"),
        ({"frames": frame()["frames"] * 2}, r"img/a\.png: is there twice"),
    ],
)
def test_what_is_wrong_is_named_by_frame_and_field(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    value = {"fl_x": 50.0, **frame(), **fields}
    (tmp_path / "transforms.json").write_text(json.dumps(value))
    with pytest.raises(ClipError, match=message):
        file = read_transforms_file(tmp_path)
        poses_of(file)
        lens_of(file, file.frames[0], (40, 30))
