"""Points, agreement, noise, fusion, split and merge on a room whose geometry is known exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from clips.clip import Clip
from recon.agreement import count_views, log_ratios
from recon.fusion import fuse_depth, sharpen_edges, untrusted
from recon.merge import merge, voxel_keys
from recon.noise import DepthNoise, estimate_noise
from recon.points import Points, gentle_slope, points_of
from recon.settings import ReconSettings
from recon.splats import quats_and_scales, scene_of
from recon.split import DROPPED, MOVING, STATIC, split

Room = Callable[..., Clip]
EXACT = DepthNoise(0.0, 0.0, 0.0)


def on_a_wall(positions: np.ndarray) -> np.ndarray:
    """Distance of each position to the nearest wall of the room."""
    x, y, z = np.abs(positions.T)
    return np.min([np.abs(x - 2.0), np.abs(y - 2.6), y, np.abs(z - 5.0)], axis=0)


def test_points_lie_on_the_surface_and_steps_along_it(room: Room) -> None:
    clip = room(frames=2, ball=False)
    points = points_of(clip.frames, clip.depth, clip.cameras)
    assert len(points) == 2 * 32 * 48
    assert on_a_wall(points.positions).max() < 1e-4
    for steps in (points.steps_u, points.steps_v):
        # 5 % of the pixels are beside creases, where there is no one next point.
        assert np.quantile(on_a_wall(points.positions + steps) / points.footprints, 0.95) < 0.05
    again = points[points.frames == 1]
    np.testing.assert_allclose(again.colors, clip.frames[1].reshape(-1, 3) / 255.0, atol=1e-6)
    np.testing.assert_array_equal(again.pixels, np.arange(32 * 48))


def test_slopes_are_exact_on_planes_do_not_cross_edges_and_vanish_on_thin_things() -> None:
    plane = 0.2 + 0.01 * np.arange(12.0)[None] + np.zeros((3, 1))
    np.testing.assert_allclose(gentle_slope(plane, 1), 0.01)
    np.testing.assert_allclose(gentle_slope(plane, 0), 0.0)
    step = np.where(np.arange(12)[None] < 6, plane, plane + 0.5)
    np.testing.assert_allclose(gentle_slope(step, 1), 0.01)
    thin = plane.copy()
    thin[:, 6] += 0.5
    assert (gentle_slope(thin, 1)[:, 6] == 0).all()


def test_frames_of_a_still_room_agree(room: Room) -> None:
    clip = room(ball=False)
    ratios = log_ratios(clip.depth, clip.cameras, 4, 3)
    seen = np.isfinite(ratios)
    assert 0.7 < seen.mean() < 1.0
    assert np.median(np.abs(ratios[seen])) < 1e-4
    points = points_of(clip.frames, clip.depth, clip.cameras)
    views = count_views(points.positions, points.frames, clip.depth, clip.cameras, np.arange(9), 0.012)
    assert (views[:, 0] == 0).all() and views[:, 1].mean() > 5


def test_points_in_the_air_are_seen_through_and_points_behind_walls_are_hidden(room: Room) -> None:
    clip = room(ball=False)
    points = np.array([[0.0, -1.3, 3.0], [0.0, -1.3, 5.0], [0.0, -1.3, 6.0], [0.0, -1.3, -1.0]])
    views = count_views(points, np.full(4, -1), clip.depth, clip.cameras, np.arange(9), 0.012)
    np.testing.assert_array_equal(views, [[9, 0, 0], [0, 9, 0], [0, 0, 9], [0, 0, 0]])


@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.03])
def test_the_noise_is_found_in_the_clip_itself(room: Room, sigma: float) -> None:
    clip = room()
    noise = np.random.default_rng(0).normal(size=clip.depth.shape) * sigma
    found = estimate_noise(replace(clip, depth=(clip.depth * np.exp(noise)).astype(np.float32)))
    assert found.sigma == pytest.approx(sigma, rel=0.25, abs=1e-3)
    assert found.is_exact == (sigma == 0.0)


def test_depth_that_drifts_is_noticed_and_does_not_count_as_motion(room: Room) -> None:
    still = room(ball=False)
    drift = np.exp(np.linspace(0.0, 0.08, 9))[:, None, None]
    clip = replace(still, depth=(still.depth * drift).astype(np.float32))
    noise = estimate_noise(clip)
    assert noise.drift_sigma > 2 * noise.sigma and noise.far_tolerance > 0.08
    points = points_of(clip.frames, clip.depth, clip.cameras)
    kinds = split(points, clip.depth, np.zeros(clip.depth.shape, bool), clip.cameras, noise)
    assert (kinds == MOVING).mean() < 0.02


def test_fusing_reduces_noise_and_leaves_exact_depth_alone(room: Room) -> None:
    clip = room(ball=False)
    np.testing.assert_array_equal(fuse_depth(clip, EXACT), clip.depth)
    factor = np.exp(np.random.default_rng(0).normal(size=clip.depth.shape) * 0.02)
    noisy = replace(clip, depth=(clip.depth * factor).astype(np.float32))
    fused = fuse_depth(noisy, estimate_noise(noisy))
    before, after = np.abs(noisy.depth / clip.depth - 1).mean(), np.abs(fused / clip.depth - 1).mean()
    assert after < 0.5 * before


def test_smeared_edges_become_steps_and_steps_stay(room: Room) -> None:
    clip = room()
    np.testing.assert_array_equal(sharpen_edges(clip.depth, EXACT), clip.depth)
    smeared = np.exp(gaussian_filter(np.log(clip.depth), (0, 0.8, 0.8))).astype(np.float32)
    sharp = sharpen_edges(smeared, EXACT)

    def in_the_air(depth: np.ndarray) -> int:
        points = points_of(clip.frames, depth, clip.cameras).positions
        center = np.array([-0.9, -1.2, 2.9]) + np.array([1.3, 0, 0]) * np.repeat(clip.times, 32 * 48)[:, None]
        return int((np.minimum(on_a_wall(points), np.abs(np.linalg.norm(points - center, axis=1) - 0.45)) > 0.25).sum())

    assert in_the_air(sharp) < 0.35 * in_the_air(smeared)


def test_pixels_between_two_surfaces_are_not_trusted() -> None:
    depth = np.full((1, 5, 9), 4.0, np.float32)
    depth[:, :, 4:] = 2.0
    assert not untrusted(depth, EXACT).any()
    depth[:, :, 4] = 2.7
    np.testing.assert_array_equal(np.unique(np.nonzero(untrusted(depth, EXACT))[2]), [4])


def test_what_moves_is_told_from_what_stands(room: Room) -> None:
    clip = room()
    points = points_of(clip.frames, clip.depth, clip.cameras)
    kinds = split(points, clip.depth, np.zeros(clip.depth.shape, bool), clip.cameras, EXACT)
    truth = clip.motion_mask
    assert truth is not None
    moving = kinds == MOVING
    assert (moving & truth).sum() > 0.9 * truth.sum()
    assert (moving & truth).sum() > 0.95 * moving.sum()
    assert (kinds == DROPPED).mean() < 0.01
    still = room(ball=False)
    points = points_of(still.frames, still.depth, still.cameras)
    kinds = split(points, still.depth, np.zeros(still.depth.shape, bool), still.cameras, EXACT)
    assert (kinds == STATIC).mean() > 0.999


def test_a_merge_has_one_splat_per_voxel_and_keeps_to_the_surface(room: Room) -> None:
    clip = room(ball=False)
    points = points_of(clip.frames, clip.depth, clip.cameras)
    fine, coarse = merge(points, ReconSettings()), merge(points, ReconSettings().coarser(2.0))
    assert len(points) > 2 * len(fine) > 4 * len(coarse)
    # A voxel in a corner of the room holds points of two walls; their mean is off both.
    assert np.quantile(on_a_wall(fine.means), 0.9) < 1e-3
    _, scales = quats_and_scales(fine.covariances)
    assert np.median(scales[:, 0] / scales[:, 2]) < 0.5


def test_near_views_win_over_far_ones() -> None:
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2) * 0.02
    near = np.concatenate([grid, np.full((400, 1), 2.0)], axis=1).astype(np.float32)
    far = (near + np.array([0.003, 0.004, 0.0])).astype(np.float32)

    def samples(positions: np.ndarray, footprint: float, color: float) -> Points:
        count = len(positions)
        step = np.array([[footprint, 0, 0]], np.float32).repeat(count, 0)
        rows = np.zeros(count, np.int32)
        return Points(
            positions, np.full((count, 3), color, np.float32), step, step[:, [1, 0, 2]],
            np.full(count, footprint, np.float32), rows, rows,
        )  # fmt: skip

    both = [samples(near, 0.02, 1.0), samples(far, 0.08, 0.0)]
    from recon.points import concatenate

    merged = merge(concatenate(both), ReconSettings())
    assert (merged.colors == 1.0).mean() > 0.97


def test_voxel_keys_are_equal_within_a_voxel_only() -> None:
    keys = voxel_keys(np.array([[0.1, 0.1, 0.1], [0.9, 0.9, 0.9], [1.1, 0.1, 0.1], [-0.1, 0.1, 0.1]]), 1.0)
    assert keys[0] == keys[1] and len(set(keys.tolist())) == 3


def test_covariances_become_rotations_and_scales_and_back() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(200, 3, 3)) * rng.uniform(0.01, 0.3, (200, 1, 1))
    full = roots @ roots.transpose(0, 2, 1)
    covariances = full[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]].astype(np.float32)
    quats, scales = quats_and_scales(covariances)
    np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1.0, atol=1e-6)
    w, x, y, z = quats.astype(np.float64).T
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    back = np.einsum("nij,nj,nkj->nik", rotation, scales.astype(np.float64) ** 2, rotation)
    np.testing.assert_allclose(back, full, atol=2e-5)


def test_no_points_give_an_empty_scene() -> None:
    none = np.zeros((0, 3), np.float32)
    flat = np.zeros(0, np.float32)
    whole = np.zeros(0, np.int32)
    splats = merge(Points(none, none, none, none, flat, whole, whole), ReconSettings())
    assert len(scene_of(splats, 1.0)) == 0
