"""Rooms with company: one object alone is the room as it always was; speeds are those of the physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import Motion, Shape
from clips.dungeon.company import Company, render_company, surface_points
from clips.dungeon.motion import object_poses
from clips.dungeon.render import render_clip
from clips.dungeon.scene import RoomSpec, sample_room
from clips.errors import InvalidClip, InvalidRoom

TIMES = np.arange(4) / 24.0
CAMERAS = CameraPath(PathKind.WALK_IN, start_z_m=-0.3).cameras(4, 64, 36)


def room(seed: int = 3, **words: object) -> RoomSpec:
    return sample_room(seed, True, size="large", prop="none", **words)


def test_one_object_in_textured_faces_is_its_room_byte_for_byte() -> None:
    for motion in (Motion.ORBIT, Motion.SWING, Motion.STILL):
        alone = render_company(Company(room(motion=motion)), CAMERAS, TIMES).clip
        before = render_clip(room(motion=motion), CAMERAS, TIMES)
        assert np.array_equal(alone.frames, before.frames)
        assert np.array_equal(alone.depth, before.depth)
        assert np.array_equal(alone.motion_mask, before.motion_mask)


def test_another_object_is_there_where_it_is_and_nothing_else_changes() -> None:
    first = room(motion="slide", object_x_m=-1.0, color="red", shape="orb")
    other = replace(first, object_x_m=1.0, color="blue", object_z_m=4.0)
    both = render_company(Company(first, (other,)), CAMERAS, TIMES).clip
    one = render_clip(first, CAMERAS, TIMES)
    there = render_clip(other, CAMERAS, TIMES).motion_mask
    added = both.motion_mask & ~one.motion_mask
    assert added.any()
    assert not (added & ~there).any()
    # A pixel whose corner alone meets the object is supersampled: its colour may change a little.
    beside = binary_dilation(there, np.ones((1, 3, 3), bool))
    assert np.array_equal(both.frames[~beside], one.frames[~beside])
    assert np.array_equal(both.depth[~there], one.depth[~there])
    blue = both.frames[added & (both.depth < one.depth - 0.1)].mean(axis=0)
    assert blue[2] > blue[0] + 30


def test_flat_faces_lose_their_pattern_and_keep_their_shape() -> None:
    plain, patterned = (
        render_company(Company(room(motion="still", wall="brick", floor="tiles"), flat=flat), CAMERAS, TIMES).clip
        for flat in (True, False)
    )
    assert np.array_equal(plain.depth, patterned.depth)
    rough = [np.abs(np.diff(clip.frames.astype(float), axis=2)).mean() for clip in (plain, patterned)]
    assert rough[0] < 0.6 * rough[1]


@pytest.mark.parametrize("motion", [Motion.ORBIT, Motion.BOUNCE, Motion.ROLL])
def test_surface_speed_carries_points_to_where_the_object_is_next(motion: Motion) -> None:
    lively = room(motion=motion, shape=Shape.CUBE)
    made = render_company(Company(lively), CAMERAS, TIMES)
    points = surface_points(made.clip.depth, CAMERAS)
    step_s = 0.002
    now, soon = object_poses(lively, TIMES), object_poses(lively, TIMES + step_s)
    moving = np.isfinite(made.velocity).all(axis=-1) & made.clip.motion_mask
    assert moving.sum() > 100
    missed = []
    for i in range(len(TIMES)):
        here, speed = points[i][moving[i]], made.velocity[i][moving[i]]
        expected = (here - now.centers[i]) @ now.rotations[i] @ soon.rotations[i].T + soon.centers[i]
        # A cube that rolls hits the floor with an edge now and then: its speed jumps there.
        wrong_m = np.abs(here + speed * step_s - expected).max(axis=1)
        missed.append(np.median(wrong_m))
    assert np.median(missed) < 1e-4
    assert max(missed) < (3e-3 if motion is Motion.ROLL else 5e-4)
    assert (made.velocity[~made.clip.motion_mask] == 0).all()


def test_the_spin_of_an_orb_is_no_motion_of_its_surface() -> None:
    bounce = room(motion="bounce", shape="orb")
    made = render_company(Company(bounce), CAMERAS, TIMES)
    centers = [object_poses(bounce, TIMES + step_s).centers for step_s in (0.0, 0.002)]
    for i in range(1, len(TIMES)):
        speeds = made.velocity[i][np.isfinite(made.velocity[i]).all(axis=-1) & made.clip.motion_mask[i]]
        assert np.abs(speeds - (centers[1][i] - centers[0][i]) / 0.002).max() < 0.1


def test_a_camera_path_through_the_points_sees_them_where_they_are() -> None:
    clip = render_company(Company(room(motion="still")), CAMERAS, TIMES).clip
    points = surface_points(clip.depth, CAMERAS)
    local = points[2] @ CAMERAS.viewmats[2, :3, :3].T + CAMERAS.viewmats[2, :3, 3]
    assert np.allclose(local[..., 2], clip.depth[2], atol=1e-5)
    column = local[..., 0] / local[..., 2] * CAMERAS.Ks[2, 0, 0] + CAMERAS.Ks[2, 0, 2]
    assert np.allclose(column, np.arange(64)[None] + 0.5, atol=1e-5)


def test_too_many_objects_and_times_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidRoom, match="at most 8 moving solids"):
        Company(room(motion="swing"), (room(motion="swing"),) * 4)
    with pytest.raises(InvalidClip, match="4 seconds to match the cameras"):
        render_company(Company(room()), CAMERAS, TIMES[:3])
