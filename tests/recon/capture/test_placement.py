"""Up, heading and scale of cameras whose world has none."""

from __future__ import annotations

import numpy as np
import pytest

from clips.cameras import Cameras, intrinsics, look_at
from recon.capture.placement import EYE_HEIGHT_M, GUESSED_DISTANCE_M, estimate_down, placed, scale_of


def looking(pitch_deg: float, headings_deg: np.ndarray) -> np.ndarray:
    """Poses of level cameras that look about at one pitch (positive is down), (T, 4, 4)."""
    viewmats = []
    for heading in np.radians(headings_deg):
        eye = np.array([0.3 * heading, -1.4, 0.1])
        ahead = np.array([np.sin(heading), np.tan(np.radians(pitch_deg)), np.cos(heading)])
        viewmats.append(look_at(eye, eye + ahead))
    Ks = np.repeat(intrinsics(40, 30, 60.0)[None], len(viewmats), axis=0)
    return Cameras(np.stack(viewmats), Ks, 40, 30).camera_to_world


def some_turn() -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def test_down_is_found_though_every_camera_looks_at_the_floor() -> None:
    poses = looking(35.0, np.linspace(-60, 60, 9))
    turn = some_turn()
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    down = estimate_down(poses)
    assert angle_deg(down, turn @ [0.0, 1.0, 0.0]) < 12.0
    mean = poses[:, :3, 1].mean(axis=0)
    assert angle_deg(mean / np.linalg.norm(mean), turn @ [0.0, 1.0, 0.0]) > 20.0, "the mean alone is far off"


def test_where_the_camera_never_turned_its_own_down_is_taken() -> None:
    poses = looking(20.0, np.zeros(5))
    np.testing.assert_allclose(estimate_down(poses), poses[0, :3, 1], atol=1e-9)


def test_the_first_camera_stands_at_eye_height_and_looks_along_z() -> None:
    truth = looking(15.0, np.array([25.0, 40.0, 60.0]))
    turn, shift = some_turn(), np.array([4.0, -3.0, 9.0])
    points = np.random.default_rng(0).normal(size=(20, 3))
    poses = truth.copy()
    poses[:, :3, :3] = turn @ truth[:, :3, :3]
    poses[:, :3, 3] = (truth[:, :3, 3] @ turn.T + shift) / 2.0
    viewmats, moved = placed(poses, (points @ turn.T + shift) / 2.0, turn @ np.array([0.0, 1.0, 0.0]), 2.0)
    found = np.linalg.inv(viewmats)
    np.testing.assert_allclose(found[0, :3, 3], [0.0, -EYE_HEIGHT_M, 0.0], atol=1e-12)
    assert abs(found[0, 0, 2]) < 1e-12 and found[0, 2, 2] > 0
    seen = [points @ v[:3, :3].T + v[:3, 3] for v in np.linalg.inv(truth)]
    np.testing.assert_allclose([moved @ v[:3, :3].T + v[:3, 3] for v in viewmats], seen, atol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_first_camera_that_looks_straight_down_or_up_has_a_heading(sign: float) -> None:
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1.0, 0, 0], [0, 0, sign], [0, -sign, 0]])
    viewmats, _ = placed(pose[None], np.zeros((0, 3)), np.array([0.0, 1.0, 0.0]), 1.0)
    assert np.isfinite(viewmats).all()
    top = -np.linalg.inv(viewmats[0])[:3, 1]
    assert top[2] == pytest.approx(sign), "the picture's top points ahead when looking down, back when looking up"


def test_scale_is_told_or_guessed() -> None:
    positions, distances = np.array([[0.0, 0, 0], [9.0, 9, 9], [0.0, 3, 4]]), np.array([1.0, 2.0, 9.0])
    assert scale_of(positions, distances, 2.5) == (0.5, True)
    assert scale_of(positions, distances, None) == (GUESSED_DISTANCE_M / 2.0, False)
