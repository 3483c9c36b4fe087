"""Folders with a transforms.json: straightened pictures, cameras, depth, masks and points; and what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clips.cameras import Cameras
from clips.errors import ClipError
from clips.footage.lens import Lens
from recon.capture.capture import Capture
from recon.capture.posed_folder import read_posed_folder
from recon.capture.reading import Footage, kind_of, read_capture
from recon.capture.settings import CaptureSettings
from recon.errors import Unreconstructable
from tests.recon.capture.textured_place import FOCAL, HEIGHT, WIDTH, aligned, pictures_of, walking, write_posed

BENT = Lens(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2 + 3, HEIGHT / 2 - 2, k1=-0.12, k2=0.03, p1=0.002, p2=-0.001)
FEW = CaptureSettings(max_features=400)
COUNT = 5


def quiet(stage: str, share: float) -> None:
    assert stage and 0.0 <= share <= 1.0


@pytest.fixture(scope="module")
def taken() -> tuple[np.ndarray, np.ndarray, Cameras]:
    cameras = walking(COUNT)
    frames, depth, _ = pictures_of(cameras, BENT)
    return frames, depth, cameras


@pytest.fixture
def folder(tmp_path: Path, taken: tuple[np.ndarray, np.ndarray, Cameras]) -> Path:
    return write_posed(tmp_path / "cap", taken[0], taken[2], BENT)


def changed(folder: Path, change: dict[str, Any], frame: dict[str, Any] | None = None) -> Path:
    path = folder / "transforms.json"
    value = {**json.loads(path.read_text()), **change}
    if frame is not None:
        value["frames"][1] = {key: v for key, v in {**value["frames"][1], **frame}.items() if v != "absent"}
    path.write_text(json.dumps(value))
    return folder


def test_bent_pictures_become_those_of_the_pinhole_cameras_that_are_told(folder: Path) -> None:
    capture = read_posed_folder(folder, CaptureSettings(), 10.0)
    truth = walking(COUNT)
    straight = Cameras(truth.viewmats, capture.cameras.Ks, WIDTH, HEIGHT)
    expected, _, _ = pictures_of(straight)
    error = np.abs(capture.frames.astype(int) - expected)[:, 3:-3, 3:-3]
    assert error.mean() < 6.0, "of 256 levels of noise with edges"
    assert np.abs(pictures_of(truth)[0].astype(int) - expected).mean() > 20.0
    scale, turn, shift = aligned(capture.cameras.positions, truth.positions)
    assert scale == pytest.approx(1.0)
    np.testing.assert_allclose(capture.cameras.positions @ turn.T + shift, truth.positions, atol=1e-9)
    np.testing.assert_allclose(capture.cameras.viewmats[:, :3, :3] @ turn.T, truth.viewmats[:, :3, :3], atol=1e-9)
    np.testing.assert_allclose(turn @ [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(capture.times, np.arange(COUNT) / 10.0)


def test_smaller_pictures_keep_the_view(folder: Path) -> None:
    whole = read_posed_folder(folder, CaptureSettings(), 10.0).cameras
    half = read_posed_folder(folder, CaptureSettings(long_side_px=WIDTH // 2), 10.0).cameras
    assert (half.width, half.height) == (WIDTH // 2, HEIGHT // 2)
    np.testing.assert_allclose(half.Ks[:, :2] * 2, whole.Ks[:, :2], rtol=1e-6)


def test_depth_and_masks_are_read_and_holes_stay_unknown(
    folder: Path, taken: tuple[np.ndarray, np.ndarray, Cameras]
) -> None:
    depth = np.where(np.isfinite(taken[1][1]), taken[1][1], 0.0)
    depth[:60, :80] = 0.0
    Image.fromarray(np.round(depth * 500).astype(np.uint16)).save(folder / "d.png")
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[100:, 60:120] = 0
    Image.fromarray(mask).save(folder / "m.png")
    changed(folder, {"depth_unit_scale_factor": 0.002}, {"depth_file_path": "d.png", "mask_path": "m.png"})
    capture = read_posed_folder(folder, CaptureSettings(), 10.0)
    assert capture.depth is not None and capture.moving is not None and not capture.is_dense
    assert not capture.depth[[0, 2, 3, 4]].any() and not capture.moving[[0, 2, 3, 4]].any()
    straight = Cameras(taken[2].viewmats, capture.cameras.Ks, WIDTH, HEIGHT)
    expected = pictures_of(straight)[1][1]
    known = capture.depth[1] > 0
    assert 0.8 < known.mean() < 0.98
    assert np.median(np.abs(capture.depth[1] - expected)[known]) < 0.01
    assert 0.05 < capture.moving[1].mean() < 0.25


def test_all_of_depth_makes_a_clip(folder: Path, taken: tuple[np.ndarray, np.ndarray, Cameras]) -> None:
    entries = json.loads((folder / "transforms.json").read_text())["frames"]
    for index, entry in enumerate(entries):
        np.save(folder / f"{index}.npy", np.nan_to_num(taken[1][index], posinf=9.0))
        entry["depth_file_path"] = f"{index}.npy"
    capture = read_capture(changed(folder, {"frames": entries, "depth_unit_scale_factor": 1.0}), FEW, quiet)
    assert capture.is_dense and len(capture.points) == 0
    assert len(capture.clip()) == COUNT


def test_scale_as_told(folder: Path) -> None:
    capture = read_posed_folder(folder, CaptureSettings(scale_m=8.0), 10.0)
    assert capture.is_metric
    assert np.linalg.norm(capture.cameras.positions[-1] - capture.cameras.positions[0]) == pytest.approx(8.0)


def surface_error_m(capture: Capture) -> float:
    """Median distance of the points from the walls that they are on."""
    truth = walking(COUNT)
    _, turn, shift = aligned(capture.cameras.positions, truth.positions)
    points = capture.points.positions @ turn.T + shift
    normal = np.cross([1.1, 0, 0.3], [0, 1.2, 0])
    slab = np.abs((points - [0.4, -1.2, 3.2]) @ normal) / np.linalg.norm(normal)
    return float(np.median(np.min([np.abs(points[:, 2] - 5.0), np.abs(points[:, 1]), slab], axis=0)))


@pytest.mark.parametrize("own_lens", [False, True])
def test_points_of_known_cameras_lie_on_the_surfaces(folder: Path, own_lens: bool) -> None:
    if own_lens:
        changed(folder, {}, {"fl_x": FOCAL * 1.0001})
    capture = read_capture(folder, FEW, quiet)
    assert len(capture.points) > 100
    assert surface_error_m(capture) < 0.02
    assert len(np.unique(capture.cameras.Ks[:, 0, 0])) == 1 + own_lens


def test_cameras_in_the_wrong_axes_are_refused(folder: Path) -> None:
    value = json.loads((folder / "transforms.json").read_text())
    for entry in value["frames"]:
        matrix = np.array(entry["transform_matrix"])
        matrix[:3, 1:3] *= -1
        entry["transform_matrix"] = matrix.tolist()
    with pytest.raises(Unreconstructable, match=r"cap: the cameras of 5 frames explain \d+ points.*OpenGL axes"):
        read_capture(changed(folder, value), FEW, quiet)


@pytest.mark.parametrize(
    ("change", "frame", "message"),
    [
        ({}, {"file_path": "none.png"}, r"none\.png: no such file"),
        ({}, {"transform_matrix": [[1]]}, r"001\.png: transform_matrix is no finite 4x4"),
        ({}, {"transform_matrix": "absent"}, r"frames\[1\]\.transform_matrix: is missing"),
        ({}, {"k1": -90.0}, r"001\.png: distortion \{'k1': -90\.0"),
        ({}, {"depth_file_path": "d.png"}, r"d\.png: no such file"),
        ({"frames": []}, None, "frames: no frames in it"),
        ({"fl_x": None}, None, r"000\.png: fl_x \(pixels\) or camera_angle_x"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, change: dict[str, Any], frame: dict[str, Any], message: str) -> None:
    with pytest.raises(ClipError, match=message) as raised:
        read_posed_folder(changed(folder, change, frame), CaptureSettings(), 10.0)
    assert str(folder) in str(raised.value)


def test_pictures_of_other_sizes_and_too_few_frames_are_refused(folder: Path) -> None:
    Image.new("RGB", (10, 10)).save(folder / "002.png")
    with pytest.raises(ClipError, match=r"mixed sizes: 000\.png is 240x160, 002\.png 10x10"):
        read_posed_folder(folder, CaptureSettings(), 10.0)
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    with pytest.raises(ClipError, match="frames: 2 of them; at least 3"):
        read_posed_folder(changed(folder, {"frames": frames[:2]}), CaptureSettings(), 10.0)


def test_kinds_of_footage(folder: Path, tmp_path: Path) -> None:
    assert kind_of(folder) is Footage.POSED
    (folder / "transforms.json").unlink()
    assert kind_of(folder) is Footage.PICTURES
    assert kind_of(tmp_path / "a.MOV") is Footage.VIDEO
    assert kind_of(tmp_path / "a.npz") is Footage.CLIP
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClipError, match=r"neither transforms\.json nor pictures"):
        kind_of(tmp_path / "empty")


def test_a_fisheye_capture_is_straightened_too(tmp_path: Path) -> None:
    lens = replace(BENT, k1=0.03, k2=-0.01, p1=0.0, p2=0.0, is_fisheye=True)
    cameras = walking(3)
    frames, _, _ = pictures_of(cameras, lens)
    capture = read_posed_folder(
        write_posed(tmp_path / "fish", frames, cameras, lens, camera_model="OPENCV_FISHEYE"), CaptureSettings(), 10.0
    )
    expected, _, _ = pictures_of(Cameras(cameras.viewmats, capture.cameras.Ks, WIDTH, HEIGHT))
    assert np.abs(capture.frames.astype(int) - expected)[:, 3:-3, 3:-3].mean() < 6.0
