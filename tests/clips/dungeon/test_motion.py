"""Poses of the free object: closed forms, physics as clips ask for it, and the room that holds both."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clips.dungeon.attributes import Motion, Prop, Shape, Size
from clips.dungeon.bodies import radius, reach, vertices
from clips.dungeon.motion import ORBIT_RADIUS_M, SLIDE_M, ObjectPoses, object_poses
from clips.dungeon.physics import PHYSICAL
from clips.dungeon.scene import SHAPE_HALVES, PropPlace, RoomSpec, sample_room
from clips.dungeon.space import NEAREST_Z_M, free_space
from clips.errors import InvalidClip

CLOSED = (Motion.STILL, Motion.SLIDE, Motion.ORBIT, Motion.HOVER)
SINK_M = 0.01


def _extents(room: RoomSpec, poses: ObjectPoses) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x, y, z of the object's surface in every frame, (T, 3) each."""
    size = room.object_size_m
    if room.shape is Shape.ORB:
        return poses.centers - size, poses.centers + size
    corners = poses.centers[:, None] + np.einsum("tij,vj->tvi", poses.rotations, size * vertices(room.shape))
    return corners.min(axis=1), corners.max(axis=1)


def test_closed_forms_are_periodic_and_as_wide_as_they_say() -> None:
    times = np.linspace(0.0, 5.0, 200)
    spans = {}
    for motion in CLOSED:
        room = sample_room(1, motion=motion, shape=Shape.CRYSTAL)
        centers = object_poses(room, times).centers
        period = object_poses(room, times + room.motion_period_s).centers
        np.testing.assert_allclose(centers, period, atol=1e-9)
        spans[motion] = np.ptp(centers, axis=0)
    assert (spans[Motion.STILL] == 0).all()
    assert spans[Motion.SLIDE][0] == pytest.approx(2 * SLIDE_M, rel=0.01) and spans[Motion.SLIDE][1] == 0
    assert spans[Motion.ORBIT][[0, 2]] == pytest.approx([2 * ORBIT_RADIUS_M] * 2, rel=0.01)
    assert 0.3 < spans[Motion.HOVER][1] < 0.6 and spans[Motion.HOVER][0] == 0


@pytest.mark.parametrize("shape", list(Shape))
def test_a_still_object_stands_on_the_floor_and_a_hovering_one_never_touches_it(shape: Shape) -> None:
    times = np.linspace(0.0, 4.0, 33)
    still = sample_room(2, motion="still", shape=shape)
    assert _extents(still, object_poses(still, times))[1][:, 1] == pytest.approx(0.0, abs=1e-12)
    for motion in ("slide", "orbit", "hover"):
        room = sample_room(2, motion=motion, shape=shape)
        assert _extents(room, object_poses(room, times))[1][:, 1].max() < -0.04


def test_the_yaw_turns_the_objects_x_axis_towards_z() -> None:
    room = sample_room(3, motion="slide", object_yaw_rad=math.pi / 2)
    turn = object_poses(room, np.zeros(2)).rotations[1]
    np.testing.assert_allclose(turn, [[0, 0, -1], [0, 1, 0], [1, 0, 0]], atol=1e-12)
    # The renderer's convention: local x = cos vx + sin vz, local z = cos vz - sin vx.
    room = sample_room(3, motion="still", object_yaw_rad=0.3)
    vector = np.array([0.4, -0.2, 0.9])
    cos, sin = math.cos(0.3), math.sin(0.3)
    local = object_poses(room, np.zeros(1)).rotations[0].T @ vector
    np.testing.assert_allclose(local, [cos * 0.4 + sin * 0.9, -0.2, cos * 0.9 - sin * 0.4])


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("motion", sorted(PHYSICAL))
def test_physics_keeps_the_object_in_its_room_and_out_of_the_floor(motion: Motion, shape: Shape) -> None:
    times = np.linspace(0.0, 4.0, 801)
    for seed in range(5):
        room = sample_room(seed, motion=motion, shape=shape)
        poses = object_poses(room, times)
        low, high = _extents(room, poses)
        assert high[:, 1].max() <= SINK_M and low[:, 1].min() >= -room.height_m - SINK_M
        assert low[:, 0].min() >= -room.width_m / 2 and high[:, 0].max() <= room.width_m / 2
        assert low[:, 2].min() >= 1.6 and high[:, 2].max() <= room.depth_m
        wander = np.abs(poses.centers - [free_space(room).center_m[0], 0.0, 0.0])[:, 0].max()
        assert wander < 1.1 + 0.6 * radius(shape) * room.object_size_m


@pytest.mark.parametrize("motion", sorted(PHYSICAL))
def test_physics_stays_inside_the_smallest_and_largest_rooms_that_a_spec_allows(motion: Motion) -> None:
    times = np.linspace(0.0, 3.0, 301)
    sides = {"width_m": (4.0, 8.0), "height_m": (2.6, 4.0), "depth_m": (4.8, 9.0)}
    for big in (0, 1):
        for x, z, size in ((-1.0, 2.0, 0.7), (1.0, 6.0, 0.7), (1.0, 6.0, 0.2)):
            fixed = {name: limits[big] for name, limits in sides.items()}
            fixed |= {"object_x_m": x, "object_z_m": z, "object_size_m": size, "prop": "none"}
            room = sample_room(big, motion=motion, shape="crystal", **fixed)
            low, high = _extents(room, object_poses(room, times))
            tolerance = 0.03
            assert high[:, 1].max() <= tolerance and low[:, 1].min() >= -room.height_m - tolerance
            assert np.abs([low[:, 0], high[:, 0]]).max() <= room.width_m / 2
            assert low[:, 2].min() >= 1.0 and high[:, 2].max() <= room.depth_m


def test_a_free_space_leaves_out_the_props_side() -> None:
    plain = sample_room(1, size=Size.SMALL, motion="bounce", prop=Prop.NONE, shape="orb")
    for place in PropPlace:
        room = sample_room(
            1, size=Size.SMALL, motion="bounce", prop=Prop.CRATE, prop_place=place, shape="orb", object_x_m=0.0
        )
        space = free_space(room)
        if place is PropPlace.LEFT:
            assert space.x_m[0] == pytest.approx(-room.width_m / 2 + 1.27)
        if place is PropPlace.RIGHT:
            assert space.x_m[1] == pytest.approx(room.width_m / 2 - 1.27)
        if place is PropPlace.BACK:
            assert space.z_m[1] < free_space(plain).z_m[1]
        assert space.z_m[0] == NEAREST_Z_M
        around_m = radius(room.shape) * room.object_size_m
        assert space.x_m[0] + around_m <= space.center_m[0] <= space.x_m[1] - around_m
        assert space.z_m[0] + around_m <= space.center_m[1] <= space.z_m[1] - around_m


@pytest.mark.parametrize("motion", list(Motion))
def test_clips_of_17_and_33_frames_agree_exactly_on_the_seconds_that_they_share(motion: Motion) -> None:
    room = sample_room(4, motion=motion, shape="cone")
    short, long = object_poses(room, np.arange(17) / 8.0), object_poses(room, np.arange(33) / 8.0)
    assert short.centers.tobytes() == long.centers[:17].tobytes()
    assert short.rotations.tobytes() == long.rotations[:17].tobytes()
    again = object_poses(room, np.arange(17) / 8.0)
    assert short.centers.tobytes() == again.centers.tobytes()


def test_a_pose_does_not_depend_on_the_order_or_company_of_its_second() -> None:
    for motion in Motion:
        room = sample_room(9, motion=motion, shape="cube")
        times = np.array([1.2345, 0.0, 2.5, 0.333, 0.333])
        together = object_poses(room, times)
        for row, second in enumerate(times):
            alone = object_poses(room, np.array([second]))
            np.testing.assert_allclose(together.centers[row], alone.centers[0], atol=1e-12)
            np.testing.assert_allclose(together.rotations[row], alone.rotations[0], atol=1e-12)


@pytest.mark.parametrize("motion", list(Motion))
def test_rotations_are_rigid_and_unmirrored(motion: Motion) -> None:
    for shape in Shape:
        turns = object_poses(sample_room(6, motion=motion, shape=shape), np.linspace(0.0, 3.0, 41)).rotations
        np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(turns), 1.0, atol=1e-9)


def test_only_a_swing_has_a_cord_from_the_ceiling_to_its_centre_of_one_length() -> None:
    times = np.linspace(0.0, 4.0, 50)
    for motion in Motion:
        room = sample_room(7, motion=motion, shape="orb")
        poses = object_poses(room, times)
        if motion is not Motion.SWING:
            assert poses.cord_from is None
            continue
        assert poses.cord_from.shape == (50, 3)
        assert (poses.cord_from == poses.cord_from[0]).all()
        assert poses.cord_from[0, 1] == pytest.approx(-room.height_m)
        cord = poses.cord_from - poses.centers
        lengths = np.linalg.norm(cord, axis=1)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-9)
        # The object's up points along the cord.
        np.testing.assert_allclose(-poses.rotations[:, :, 1], cord / lengths[:, None], atol=1e-9)


def test_a_cone_that_stands_on_its_tip_is_told_from_one_that_stands_on_its_rim() -> None:
    assert reach(Shape.CONE, np.array([0.0, -1.0, 0.0])) == SHAPE_HALVES[Shape.CONE][1]
    room = sample_room(8, motion="topple", shape="cone")
    first = object_poses(room, np.zeros(1))
    tip = first.rotations[0] @ [0.0, -1.0, 0.0]
    assert tip[1] > 0.98, "it starts with its tip down"


@pytest.mark.parametrize(
    "times", [np.array([]), np.array([[0.0]]), np.array([0.0, np.nan]), np.array([-0.1, 0.2]), np.array(1.0)]
)
def test_times_that_are_no_row_of_seconds_are_refused(times: np.ndarray) -> None:
    with pytest.raises(InvalidClip, match="times must be one or more finite seconds >= 0"):
        object_poses(sample_room(1), times)


def test_times_beyond_what_is_simulated_are_refused_and_closed_forms_reach_them() -> None:
    with pytest.raises(InvalidClip, match=r"must be within \[0, 600.0\] s"):
        object_poses(sample_room(1, motion="roll", shape="orb"), np.array([0.0, 1000.0]))
    assert np.isfinite(object_poses(sample_room(1, motion="orbit"), np.array([1000.0])).centers).all()
