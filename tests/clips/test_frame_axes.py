"""Coordinate systems of files and engines, by an asymmetric scene and inverse pairs."""

from __future__ import annotations

import numpy as np
import pytest

from clips.frame_axes import GLTF_RUB, PLY_RDF, UNITY_RUF, UNREAL_FRU, FrameAxes

ALL = [PLY_RDF, GLTF_RUB, UNITY_RUF, UNREAL_FRU]

# One metre to the right of the gate's middle, two metres up, three metres into the room.
POINT = np.array([[1.0, -2.0, 3.0]])


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (PLY_RDF, (1.0, -2.0, 3.0)),
        (GLTF_RUB, (1.0, 2.0, -3.0)),
        (UNITY_RUF, (1.0, 2.0, 3.0)),
        (UNREAL_FRU, (300.0, 100.0, 200.0)),
    ],
)
def test_an_asymmetric_point_lands_where_each_system_has_it(axes: FrameAxes, expected) -> None:
    np.testing.assert_allclose(axes.points(POINT)[0], expected)
    np.testing.assert_allclose(axes.velocities(POINT)[0], expected)
    np.testing.assert_allclose(axes.directions(POINT)[0] * axes.units_per_m, expected)


def test_handedness() -> None:
    assert [axes.handedness for axes in ALL] == [1, 1, -1, -1]


def _rotation(quats):
    w, x, y, z = np.moveaxis(quats, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _splats(count: int, dtype=np.float64):
    rng = np.random.default_rng(5)
    quats = rng.normal(size=(count, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    return quats.astype(dtype), rng.uniform(-4, 0, (count, 3)).astype(dtype)


def _covariances(quats, log_scales):
    half = _rotation(quats) * np.exp(log_scales)[..., None, :]
    return half @ half.swapaxes(-1, -2)


@pytest.mark.parametrize("axes", ALL, ids=lambda axes: axes.name)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_splats_keep_their_shape(axes: FrameAxes, count: int) -> None:
    quats, log_scales = _splats(count)
    converted = _covariances(axes.quats(quats), axes.log_scales(log_scales))
    expected = axes.units_per_m**2 * axes.matrix @ _covariances(quats, log_scales) @ axes.matrix.T
    np.testing.assert_allclose(converted, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("axes", ALL, ids=lambda axes: axes.name)
def test_a_turned_point_is_the_same_whether_turned_before_or_after(axes: FrameAxes) -> None:
    quats, points = _splats(20)
    before = axes.points(np.einsum("nij,nj->ni", _rotation(quats), points))
    after = np.einsum("nij,nj->ni", _rotation(axes.quats(quats)), axes.points(points))
    np.testing.assert_allclose(before, after, atol=1e-9)


@pytest.mark.parametrize("axes", ALL, ids=lambda axes: axes.name)
def test_poses_carry_points_the_same_way(axes: FrameAxes) -> None:
    quats, local = _splats(6)
    poses = np.zeros((6, 4, 4))
    poses[:, :3, :3], poses[:, 3, 3] = _rotation(quats), 1.0
    poses[:, :3, 3] = np.arange(18).reshape(6, 3)
    world = np.einsum("nij,nj->ni", poses[:, :3, :3], local) + poses[:, :3, 3]
    turned = axes.poses(poses)
    again = np.einsum("nij,nj->ni", turned[:, :3, :3], axes.points(local)) + turned[:, :3, 3]
    np.testing.assert_allclose(again, axes.points(world), atol=1e-9)


@pytest.mark.parametrize("axes", ALL, ids=lambda axes: axes.name)
def test_there_and_back_is_where_one_was_in_single_precision(axes: FrameAxes) -> None:
    quats, log_scales = _splats(30, np.float32)
    back = axes.inverse
    for there, thing in (("points", log_scales), ("velocities", log_scales), ("log_scales", log_scales)):
        round_trip = getattr(back, there)(getattr(axes, there)(thing))
        np.testing.assert_allclose(round_trip, thing, rtol=1e-5, atol=1e-5)
        assert round_trip.dtype == np.float32
    np.testing.assert_allclose(back.quats(axes.quats(quats)), quats, atol=1e-6)
    assert axes.quats(quats).dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(axes.quats(quats), axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "units"),
    [
        (((1, 0, 0), (1, 0, 0), (0, 0, 1)), 1.0),
        (((2, 0, 0), (0, 1, 0), (0, 0, 1)), 1.0),
        (((1, 0, 0), (0, 1, 0), (0, 0, 1)), 0.0),
        (((1, 0, 0), (0, 1, 0), (0, 0, 1)), float("inf")),
    ],
)
def test_axes_that_lose_a_direction_are_refused(rows, units: float) -> None:
    with pytest.raises(ValueError, match="axes bad"):
        FrameAxes("bad", rows, units)
