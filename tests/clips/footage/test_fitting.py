"""Footage at another size, length and rate: cameras and depth still agree with the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clips.cameras import Cameras, intrinsics, look_at
from clips.clip import Clip
from clips.errors import InvalidClip
from clips.footage.fitting import Fit, fitted, resized
from clips.footage.footage import Footage
from tests.clips.footage.footage_samples import make_footage


def _slope(width: int, height: int) -> Footage:
    """A tilted plane z = 4 + 0.5 x seen by a level camera: planar depth is 4 / (1 - 0.5 * (u - cx) / fx)."""
    viewmat = look_at(np.array([0.0, -1.5, 0.0]), np.array([0.0, -1.5, 1.0]))
    K = intrinsics(width, height, 70.0)
    x = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    depth = np.repeat(np.repeat((4 / (1 - 0.5 * x))[None, None], height, axis=1), 2, axis=0).astype(np.float32)
    frames = np.repeat(np.round(depth * 20)[..., None], 3, axis=-1).astype(np.uint8)
    cameras = Cameras(np.repeat(viewmat[None], 2, axis=0), np.repeat(K[None], 2, axis=0), width, height)
    return Footage(
        Clip(frames, depth, cameras, np.array([0.0, 0.125])), flow=np.ones((1, height, width, 2), np.float32)
    )


@pytest.mark.parametrize(("source", "target"), [((192, 128), (96, 64)), ((240, 135), (96, 64)), ((90, 90), (96, 64))])
def test_depth_colour_and_intrinsics_stay_true_to_the_plane(source: tuple[int, int], target: tuple[int, int]) -> None:
    got = resized(_slope(*source), *target).clip
    K = got.cameras.Ks[0]
    x = (np.arange(target[0]) + 0.5 - K[0, 2]) / K[0, 0]
    wanted = 4 / (1 - 0.5 * x)
    step = np.abs(np.diff(wanted)).max()
    assert K[0, 0] == pytest.approx(K[1, 1]), "pixels stay square"
    np.testing.assert_allclose(K[:2, 2], [target[0] / 2, target[1] / 2])
    np.testing.assert_allclose(got.depth[0, 10, 1:-1], wanted[1:-1], rtol=1e-5, err_msg="exact on a plane")
    np.testing.assert_allclose(got.depth[0, 10], wanted, rtol=1e-3, err_msg="the border may lie past the last centre")
    assert np.abs(got.frames[0, 10, 2:-2, 0] / 20.0 - wanted[2:-2]).max() <= step + 0.05


def test_what_is_cropped_is_the_middle_and_flow_is_scaled() -> None:
    footage = _slope(240, 120)
    mask = np.zeros((2, 120, 240), dtype=bool)
    mask[:, :, 30:210] = True
    got = resized(replace(footage, object_mask=mask), 90, 60)
    assert got.object_mask is not None and got.object_mask.all(), "180 of 240 columns are kept: the middle ones"
    assert got.flow is not None and np.allclose(got.flow, 0.5)


def test_no_depth_is_invented_at_an_edge() -> None:
    """A thing at 2 m before a wall at 6 m, its edge at a third of the picture."""
    depth = np.full((2, 40, 60), 6.0, np.float32)
    depth[:, :, :21] = 2.0
    footage = _slope(60, 40)
    got = resized(replace(footage, clip=replace(footage.clip, depth=depth)), 24, 16).clip.depth
    assert set(np.unique(got)) == {2.0, 6.0}
    assert (got[0, 3] == 2.0).sum() == 8, "21 of 60 columns are 8.4 of 24"


def test_the_same_size_is_the_same_footage() -> None:
    footage = make_footage()
    assert resized(footage, 10, 6) is footage


def test_a_long_capture_becomes_several_clips_of_the_nearest_frames() -> None:
    footage = make_footage(frames=60)
    clip = replace(footage.clip, times=np.arange(60) / 30.0)
    clips, left = fitted(replace(footage, clip=clip), Fit(10, 6, 5, 10.0))
    assert [len(part.clip) for part in clips] == [5, 5, 5, 5] and left == 2
    np.testing.assert_array_equal(clips[1].clip.frames, footage.clip.frames[15:30:3])
    np.testing.assert_array_equal(clips[1].clip.cameras.viewmats, footage.clip.cameras.viewmats[15:30:3])
    np.testing.assert_allclose(clips[1].clip.times, np.arange(5) / 10.0)
    assert clips[1].flow is None, "flow leads to a frame that is gone"
    assert clips[0].objects_depth is not None and clips[0].objects_depth.shape == (5, 6, 10)


def test_a_capture_of_the_right_length_is_taken_whole() -> None:
    footage = make_footage(frames=17)
    clips, left = fitted(footage, Fit(10, 6, 17, 8.0))
    assert left == 0 and clips[0] is footage


def test_the_last_bit_of_a_time_costs_no_frame() -> None:
    footage = make_footage(frames=17)
    clip = replace(footage.clip, times=np.cumsum(np.full(17, 0.1)) * 1.25 * (1 - 1e-12))
    clips, left = fitted(replace(footage, clip=clip), Fit(10, 6, 17, 8.0))
    assert [len(part.clip) for part in clips] == [17] and left == 0


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (Fit(10, 6, 17, 8.0), r"is 0\.50 s long \(4 frames\), 2\.12 s are needed for 17 frames at 8 fps"),
        (Fit(10, 6, 4, 30.0), r"has 8 frames a second, too few for --fps 30; ask for less"),
    ],
)
def test_footage_that_cannot_be_fitted_says_why(fit: Fit, message: str) -> None:
    with pytest.raises(InvalidClip, match=message):
        fitted(make_footage(), fit)


@pytest.mark.parametrize("numbers", [(0, 6, 4, 8.0), (10, 6, 0, 8.0), (10, 6, 4, 0.0), (10, 6, 4, float("nan"))])
def test_a_fit_of_nothing_is_refused(numbers: tuple[int, int, int, float]) -> None:
    with pytest.raises(InvalidClip, match="must be"):
        Fit(*numbers)
