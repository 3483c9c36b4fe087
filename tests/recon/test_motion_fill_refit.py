import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from clips.clip import Clip
from recon.fill import Seen, fill_points
from recon.motion import HALF_WINDOW, moving_splats, window_centers
from recon.noise import DepthNoise
from recon.points import points_of
from recon.prune import visible
from recon.raster import render_scene
from recon.refit import refit_colors, splat_weights, views_of
from recon.settings import ReconSettings
from recon.splats import concatenate_splats, scene_of, static_splats

Room = Callable[..., Clip]
EXACT = DepthNoise(0.0, 0.0, 0.0)


def test_windows_are_centred_on_every_nth_frame_and_the_last() -> None:
    assert window_centers(5, 1) == [0, 1, 2, 3, 4]
    assert window_centers(6, 2) == [0, 2, 4, 5]
    assert window_centers(7, 3) == [0, 3, 6]
    assert window_centers(1, 3) == [0]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_something_moving_is_shown_at_every_instant(room: Room, every: int) -> None:
    clip = room()
    assert clip.motion_mask is not None
    points = points_of(clip.frames, clip.depth, clip.cameras)[clip.motion_mask.ravel()]
    windows = moving_splats(points, clip, replace(ReconSettings(), window_frames=every))
    assert len(windows) == len(window_centers(9, every))
    for before, after in itertools.pairwise(windows):
        assert before.time_ends[0] > after.time_starts[0]
        spacing_s = after.time_centers[0] - before.time_centers[0]
        assert before.time_ends[0] == pytest.approx(before.time_centers[0] + HALF_WINDOW * spacing_s, rel=1e-5)
    scene = scene_of(concatenate_splats(windows), clip.duration_s)
    times = np.linspace(0.0, clip.duration_s, 23)
    seen = [render_scene(scene, clip.cameras[4:5], [time_s])[2].max() for time_s in times]
    assert min(seen) > 0.9


def test_something_that_jumps_is_not_flung(room: Room) -> None:
    clip = room(frames=3)
    assert clip.motion_mask is not None
    depth = clip.depth.copy()
    depth[1][clip.motion_mask[1]] *= 0.4
    points = points_of(clip.frames, depth, clip.cameras)[clip.motion_mask.ravel()]
    windows = moving_splats(points, clip, ReconSettings())
    speeds = np.concatenate([np.linalg.norm(w.velocities, axis=1) for w in windows])
    assert speeds.max() <= 6.0 + 1e-5


def test_surfaces_go_on_beyond_the_picture_and_behind_things_but_not_into_sight(room: Room) -> None:
    clip = room(frames=3)
    assert clip.motion_mask is not None
    seen = Seen(clip.frames, clip.depth, ~clip.motion_mask, clip.cameras)
    points = fill_points(seen, EXACT, ReconSettings())
    assert points is not None
    x, y, z = np.abs(points.positions.T)
    off_wall = np.min([np.abs(x - 2.0), np.abs(y - 2.6), y, np.abs(z - 5.0)], axis=0)
    assert np.quantile(off_wall, 0.8) < 0.02
    scene = scene_of(static_splats(points.positions, np.full((len(points), 6), 1e-9), points.colors, 0.9), 1.0)
    _, depth, alpha = render_scene(scene, clip.cameras, clip.times)
    in_sight = (alpha > 0.05) & (depth < clip.depth * 0.98)
    assert in_sight[:, 2:-2, 2:-2].mean() < 0.002
    assert fill_points(seen, EXACT, replace(ReconSettings(), fill_margin=0.0)) is not None


def test_nothing_is_filled_where_there_is_nothing_to_go_on(room: Room) -> None:
    clip = room(frames=2, ball=False)
    seen = Seen(clip.frames, clip.depth, np.zeros(clip.depth.shape, bool), clip.cameras)
    assert fill_points(seen, EXACT, ReconSettings()) is None


def test_the_refit_finds_the_colours_that_made_a_picture(room: Room) -> None:
    clip = room(frames=3, ball=False)
    rng = np.random.default_rng(0)
    means = rng.uniform([-1.2, -2.0, 2.5], [1.2, -0.4, 4.0], (150, 3))
    covariances = np.zeros((150, 6))
    covariances[:, [0, 3, 5]] = 0.15**2
    truth = static_splats(means, covariances, rng.uniform(0.1, 0.9, (150, 3)), 0.9)
    frames, _, _ = render_scene(scene_of(truth, 1.0), clip.cameras, clip.times)
    painted = replace(clip, frames=frames)
    start = np.full((150, 3), 0.5, np.float32)
    views = views_of(scene_of(truth, 1.0), painted, 10**8)
    weights = splat_weights(views, 150)
    assert len(views) == 3
    once = refit_colors(start, views, 5)
    more = refit_colors(once, views, 300)
    well_seen = weights > 20
    assert well_seen.sum() > 30
    errors = [np.abs(c[well_seen] - truth.colors[well_seen]).mean() for c in (start, once, more)]
    assert errors[2] < 0.3 * errors[0] and errors[1] < errors[0]
    assert more.min() >= 0.0 and more.max() <= 1.0
    np.testing.assert_array_equal(more[weights == 0], start[weights == 0])


def test_fewer_blends_mean_fewer_views_but_at_least_one(room: Room) -> None:
    clip = room(frames=5, ball=False)
    scene = scene_of(static_splats([[0, -1.3, 3]], [[0.04, 0, 0, 0.04, 0, 0.04]], [[0.5] * 3], 0.9), 1.0)
    assert len(views_of(scene, clip, 10**9)) == 5
    assert len(views_of(scene, clip, 1)) == 1


def test_pruning_keeps_what_paints_and_what_was_filled_in() -> None:
    splats = static_splats(np.zeros((4, 3)), np.zeros((4, 6)), np.zeros((4, 3)), 0.9)
    splats.means[3] = np.nan
    keep = visible(splats, np.array([1.0, 0.0, 0.0, 1.0]), np.array([False, False, True, False]))
    np.testing.assert_array_equal(keep, [True, False, True, False])
