"""Mistaken axes, units, view angles and kinds of depth are noticed; what is right is not called doubtful."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.render import render_clip
from clips.dungeon.scene import sample_room
from clips.footage.agreement import Agreement, depth_agreement

TIMES = np.arange(9) / 8.0


def clip_of(kind: PathKind, seed: int = 3) -> Clip:
    path = CameraPath(kind=kind, start_z_m=0.3, distance_m=0.9, angle_deg=35.0)
    return render_clip(sample_room(seed), path.cameras(9, 48, 32), TIMES)


def agreement(clip: Clip) -> Agreement:
    found = depth_agreement(clip)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [PathKind.WALK_IN, PathKind.PAN, PathKind.ORBIT, PathKind.SHAKE])
@pytest.mark.parametrize("seed", [3, 4])
def test_exact_clips_agree(kind: PathKind, seed: int) -> None:
    found = agreement(clip_of(kind, seed))
    assert found.error < 0.005 and found.error < 0.1 * found.frozen
    assert not found.is_doubtful


def with_cameras(clip: Clip, viewmats: np.ndarray, Ks: np.ndarray) -> Clip:
    return replace(clip, cameras=Cameras(viewmats, Ks, clip.cameras.width, clip.cameras.height))


def test_a_walk_backwards_is_doubtful() -> None:
    clip = clip_of(PathKind.WALK_IN)
    assert agreement(with_cameras(clip, clip.cameras.viewmats[::-1], clip.cameras.Ks)).is_doubtful


def test_a_pan_the_wrong_way_round_is_doubtful() -> None:
    clip = clip_of(PathKind.PAN)
    assert agreement(with_cameras(clip, clip.cameras.viewmats[::-1], clip.cameras.Ks)).is_doubtful


def test_metres_taken_for_feet_are_doubtful() -> None:
    """The path in other units than the depth: three times as long."""
    clip = clip_of(PathKind.WALK_IN)
    viewmats = clip.cameras.viewmats.copy()
    viewmats[:, :3, 3] *= 3.28
    assert agreement(with_cameras(clip, viewmats, clip.cameras.Ks)).is_doubtful


def test_ray_depth_taken_for_planar_is_doubtful() -> None:
    clip = clip_of(PathKind.PAN)
    K = clip.cameras.Ks[0]
    x, y = (np.arange(48) + 0.5 - K[0, 2]) / K[0, 0], (np.arange(32) + 0.5 - K[1, 2]) / K[1, 1]
    rays = clip.depth * np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2)
    assert agreement(replace(clip, depth=rays.astype(np.float32))).is_doubtful


def test_walls_that_look_the_same_from_everywhere_do_not_hide_a_mistake() -> None:
    """Most of what a camera sees that walks down a long room keeps its depth; what is ahead does not."""
    found = agreement(clip_of(PathKind.WALK_IN))
    assert found.frozen > 0.05


def test_a_moving_thing_without_a_mask_is_no_doubt() -> None:
    clip = clip_of(PathKind.ORBIT, seed=5)
    assert clip.motion_mask is not None and clip.motion_mask.any()
    assert not agreement(replace(clip, motion_mask=None)).is_doubtful


def test_a_camera_that_stands_still_says_nothing() -> None:
    assert depth_agreement(clip_of(PathKind.STILL)) is None


def test_a_single_frame_says_nothing() -> None:
    clip = clip_of(PathKind.WALK_IN)
    single = Clip(clip.frames[:1], clip.depth[:1], clip.cameras[:1], clip.times[:1])
    assert depth_agreement(single) is None
