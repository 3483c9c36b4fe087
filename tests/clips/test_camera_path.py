"""Camera paths: where they start, where they end, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.errors import InvalidCameras


def _headings_deg(path: CameraPath, frames: int = 5) -> np.ndarray:
    forward = path.cameras(frames, 96, 64).viewmats[:, 2, :3]
    return np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))


def test_walking_in_goes_straight_ahead_at_even_steps() -> None:
    eyes = CameraPath(start_z_m=-0.5, distance_m=1.0, eye_height_m=1.6).cameras(5, 96, 64).positions
    np.testing.assert_allclose(eyes[:, 2], [-0.5, -0.25, 0.0, 0.25, 0.5], atol=1e-12)
    np.testing.assert_allclose(eyes[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(eyes[:, 1], -1.6, atol=1e-12)


def test_panning_turns_on_the_spot_and_positive_is_to_the_right() -> None:
    path = CameraPath(PathKind.PAN, angle_deg=60.0)
    np.testing.assert_allclose(_headings_deg(path), [-30, -15, 0, 15, 30], atol=1e-9)
    np.testing.assert_allclose(np.ptp(path.cameras(5, 96, 64).positions, axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(_headings_deg(CameraPath(PathKind.PAN, angle_deg=-60.0))[0], 30, atol=1e-9)


def test_orbiting_keeps_its_distance_and_faces_its_middle() -> None:
    path = CameraPath(PathKind.ORBIT, start_z_m=0.5, angle_deg=40.0)
    cameras = path.cameras(5, 96, 64)
    pivot = np.array([0.0, -path.eye_height_m + 0.45, 3.5])
    away = np.linalg.norm(cameras.positions - pivot, axis=1)
    np.testing.assert_allclose(away, math.hypot(3.0, 0.45), atol=1e-9)
    seen = np.einsum("tij,j->ti", cameras.viewmats[:, :3, :3], pivot) + cameras.viewmats[:, :3, 3]
    np.testing.assert_allclose(seen[:, :2], 0.0, atol=1e-9)
    np.testing.assert_allclose(cameras.positions[:, 1], -path.eye_height_m, atol=1e-12)


def test_a_still_path_and_a_single_frame_do_not_move() -> None:
    assert np.ptp(CameraPath(PathKind.STILL).cameras(4, 96, 64).viewmats, axis=0).max() == 0.0
    for kind in PathKind:
        assert len(CameraPath(kind).cameras(1, 96, 64)) == 1


@pytest.mark.parametrize("field", ["start_z_m", "distance_m", "angle_deg", "eye_height_m", "fov_x_deg"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9, -1e9])
def test_numbers_that_make_no_picture_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InvalidCameras, match=rf"camera path: {field} must be within \["):
        CameraPath(**{field: value})


@pytest.mark.parametrize("kind", list(PathKind))
@pytest.mark.parametrize("angle_deg", [-180.0, 180.0])
def test_every_allowed_extreme_gives_cameras(kind: PathKind, angle_deg: float) -> None:
    path = CameraPath(kind, -5.0, 5.0, angle_deg, eye_height_m=0.2, fov_x_deg=120.0)
    assert len(path.cameras(17, 8, 8)) == 17


def test_no_frames_and_no_pixels_are_refused() -> None:
    with pytest.raises(InvalidCameras, match="at least one frame, got 0"):
        CameraPath().cameras(0, 96, 64)
    with pytest.raises(InvalidCameras, match="size must be positive"):
        CameraPath().cameras(2, 0, 64)


def test_a_plain_word_is_its_kind_and_an_unknown_one_is_refused() -> None:
    word, kind = CameraPath(kind="pan"), CameraPath(kind=PathKind.PAN)  # type: ignore[arg-type]
    assert word.cameras(3, 96, 64).digest() == kind.cameras(3, 96, 64).digest()
    with pytest.raises(InvalidCameras, match=r"camera path: kind must be one of walk_in, .*, got 'fly'"):
        CameraPath(kind="fly")  # type: ignore[arg-type]
