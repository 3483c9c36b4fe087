"""Cameras: conventions by known points, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips.cameras import Cameras, intrinsics, look_at
from clips.errors import InvalidCameras

finite = st.floats(-5.0, 5.0, allow_nan=False)


def _one(viewmat=None, K=None, width: int = 96, height: int = 64) -> Cameras:
    viewmat = np.eye(4) if viewmat is None else viewmat
    K = intrinsics(width, height, 75.0) if K is None else K
    return Cameras(viewmat[None], K[None], width, height)


def _project(cameras: Cameras, point) -> tuple[float, float, float]:
    x, y, z = cameras.viewmats[0, :3, :3] @ point + cameras.viewmats[0, :3, 3]
    u, v, w = cameras.Ks[0] @ np.array([x, y, z])
    return u / w, v / w, z


def test_look_at_has_x_right_y_down_z_forward() -> None:
    camera = _one(look_at(np.array([0.0, -1.5, 1.0]), np.array([0.0, -1.5, 4.0])))
    column, row, depth = _project(camera, np.array([0.0, -1.5, 4.0]))
    assert (column, row) == pytest.approx((48.0, 32.0)) and depth == pytest.approx(3.0)
    right, _, _ = _project(camera, np.array([1.0, -1.5, 4.0]))
    assert right == pytest.approx(48.0 + camera.Ks[0, 0, 0] / 3.0)
    _, below, _ = _project(camera, np.array([0.0, 0.0, 4.0]))
    assert below == pytest.approx(32.0 + 1.5 * camera.Ks[0, 1, 1] / 3.0)


def test_looking_to_the_right_puts_what_was_ahead_on_the_left() -> None:
    eye = np.array([0.0, -1.5, 0.0])
    camera = _one(look_at(eye, eye + np.array([1.0, 0.0, 1.0])))
    column, row, _ = _project(camera, eye + np.array([0.0, 0.0, 2.0]))
    assert column < 48.0 and row == pytest.approx(32.0)


def test_intrinsics_put_the_edge_of_the_view_on_the_edge_of_the_picture() -> None:
    K = intrinsics(96, 64, 90.0)
    assert K[0, 0] == pytest.approx(48.0) and K[1, 1] == pytest.approx(48.0)
    edge = K @ np.array([1.0, 0.0, 1.0])
    assert edge[0] == pytest.approx(96.0) and edge[1] == pytest.approx(32.0)


@settings(max_examples=50, deadline=None)
@given(st.tuples(finite, finite, finite), st.tuples(finite, finite, finite))
def test_look_at_is_rigid_and_its_pose_is_the_inverse(eye, target) -> None:
    try:
        viewmat = look_at(np.array(eye), np.array(target))
    except InvalidCameras:
        sideways = np.hypot(target[0] - eye[0], target[2] - eye[2])
        assert sideways < 1e-6, "only views along the vertical are refused"
        return
    cameras = _one(viewmat)
    np.testing.assert_allclose(cameras.camera_to_world[0] @ viewmat, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(cameras.positions[0], eye, atol=1e-9)


@pytest.mark.parametrize("target", [(0.0, -1.0, 0.0), (0.0, 5.0, 0.0), (0.0, np.nan, 1.0)])
def test_views_along_the_vertical_or_to_nowhere_are_refused(target) -> None:
    with pytest.raises(InvalidCameras, match="off the camera's vertical"):
        look_at(np.array([0.0, -1.0, 0.0]), np.array(target))


def _with(index, value):
    matrix = np.eye(4)
    matrix[index] = value
    return matrix


@pytest.mark.parametrize(
    ("viewmats", "Ks", "size", "message"),
    [
        (np.eye(4), np.eye(3)[None], (4, 4), r"viewmats must be \(T, 4, 4\)"),
        (np.zeros((0, 4, 4)), np.zeros((0, 3, 3)), (4, 4), "with T >= 1"),
        (np.eye(4)[None], np.eye(3)[None].repeat(2, 0), (4, 4), r"Ks must be \(1, 3, 3\)"),
        (np.eye(4)[None], np.eye(3)[None], (0, 4), "size must be positive, got 0x4"),
        (_with((0, 3), np.nan)[None], np.eye(3)[None], (4, 4), r"viewmats must be finite; frames \[0\]"),
        (np.eye(4)[None], np.full((1, 3, 3), np.inf), (4, 4), "Ks must be finite"),
        (_with((0, 0), 2.0)[None], np.eye(3)[None], (4, 4), r"rigid .* frames \[0\]"),
        (_with((0, 0), -1.0)[None], np.eye(3)[None], (4, 4), "rigid"),
        (np.eye(4)[None], np.diag([-1.0, 1.0, 1.0])[None], (4, 4), "focal lengths must be positive"),
    ],
)
def test_matrices_that_are_no_cameras_are_refused(viewmats, Ks, size, message: str) -> None:
    with pytest.raises(InvalidCameras, match=message):
        Cameras(viewmats, Ks, *size)


def test_resizing_keeps_the_field_of_view_and_slicing_keeps_the_size() -> None:
    cameras = Cameras(np.eye(4)[None].repeat(3, 0), intrinsics(96, 64, 75.0)[None].repeat(3, 0), 96, 64)
    half = cameras.resized(48, 32)
    np.testing.assert_allclose(half.Ks[0], intrinsics(48, 32, 75.0))
    assert (len(cameras[1:]), cameras[1:].width) == (2, 96)


def test_the_digest_ignores_noise_below_a_micrometre_and_sees_a_millimetre() -> None:
    moved, shaken = np.eye(4), np.eye(4)
    moved[0, 3], shaken[0, 3] = 1e-3, 1e-8
    assert _one(shaken).digest() == _one().digest()
    assert _one(moved).digest() != _one().digest()
    assert _one(width=48, K=intrinsics(96, 64, 75.0)).digest() != _one().digest()
