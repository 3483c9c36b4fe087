"""Levels of detail: fewer splats, the same moments, layers and motions kept apart, nothing that shows through."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from clips.clip import Clip
from recon.errors import InvalidScene
from recon.export.fourdgs_file import decode_4dgs, encode_4dgs
from recon.instant import scene_at
from recon.levels import coarser, levels_of
from recon.mist import mist_scene
from recon.pipeline import reconstruct
from recon.raster import render_scene
from recon.scene import Scene4D
from recon.settings import ReconSettings
from recon.splats import scene_of, static_splats

Room = Callable[..., Clip]


def psnr(rendered: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((rendered.astype(float) - truth) ** 2)))


@pytest.fixture(scope="module")
def full_scene(room: Room) -> Scene4D:
    return reconstruct(room(frames=5), ReconSettings.full())


def test_levels_get_coarser_stay_whole_and_come_coarsest_first(room: Room, full_scene: Scene4D) -> None:
    clip = room(frames=5)
    levels = levels_of(full_scene, clip)
    assert [(level.level, level.factor) for level in levels] == [(2, 4.0), (1, 2.0), (0, 1.0)]
    assert levels[-1].scene is full_scene
    coarse, middle, fine = (len(level.scene) for level in levels)
    assert middle < 0.42 * fine and coarse < 0.16 * fine
    quality = []
    for level in levels:
        frames, _, alpha = render_scene(level.scene, clip.cameras, clip.times)
        quality.append(psnr(frames, clip.frames))
        assert (alpha > 0.9).mean() > 0.995, level.factor
    assert 22 < quality[0] < quality[1] < quality[2] and quality[1] > 27


def test_colours_fitted_to_the_clip_show_it_better(room: Room, full_scene: Scene4D) -> None:
    clip = room(frames=5)
    plain, fitted = (
        render_scene(coarser(full_scene, 2.0, given), clip.cameras, clip.times)[0] for given in (None, clip)
    )
    assert psnr(fitted, clip.frames) > psnr(plain, clip.frames) + 0.5


def test_a_level_is_written_and_read_back(full_scene: Scene4D) -> None:
    level = coarser(full_scene, 4.0)
    read = decode_4dgs(encode_4dgs(level))
    assert len(read) == len(level) and read.is_static.sum() == level.is_static.sum()


def test_mean_and_spread_are_those_of_the_splats_that_were_merged() -> None:
    means = np.array([[0.01, 0.01, 1.0], [0.03, 0.01, 1.0]])
    spread = np.tile([4e-4, 0.0, 0.0, 4e-4, 0.0, 1e-8], (2, 1))
    scene = scene_of(static_splats(means, spread, np.array([[0.2, 0.4, 0.6], [0.6, 0.4, 0.2]]), 0.985), 1.0)
    (merged,) = [coarser(scene, 4.0)]
    assert len(merged) == 1
    np.testing.assert_allclose(merged.means[0], [0.02, 0.01, 1.0], atol=1e-6)
    np.testing.assert_allclose(merged.sh0[0, 0], scene.sh0[:, 0].mean(axis=0), atol=1e-6)
    scales = np.sort(np.exp(merged.log_scales[0]).astype(float))
    # Moments alone: variances 4e-4 + 1e-4 and 4e-4, thickness as it was; widened alike along the surface.
    assert scales[0] == pytest.approx(1e-4, rel=1e-2)
    assert (scales[2] / scales[1]) ** 2 == pytest.approx(5 / 4, rel=1e-3)
    assert scales[1] * scales[2] == pytest.approx(2 * 2 * 4e-4, rel=1e-3)


def test_one_splat_alone_keeps_its_place_and_its_thickness() -> None:
    scene = scene_of(static_splats([[0.0, 0.0, 2.0]], [[1e-4, 0, 0, 4e-4, 0, 1e-6]], [[0.1, 0.5, 0.9]], 0.5), 1.0)
    merged = coarser(scene, 2.0)
    np.testing.assert_allclose(merged.means, scene.means, atol=1e-6)
    np.testing.assert_allclose(merged.sh0, scene.sh0, atol=1e-6)
    assert np.exp(merged.log_scales).min() == pytest.approx(1e-3, rel=1e-2)


MOVING = {"time_widths": 0.1, "time_centers": 1.0, "time_starts": 0.9, "time_ends": 1.1}


def crowd(first: dict[str, object], second: dict[str, object]) -> Scene4D:
    """Two hundred flat splats in one place; a hundred with the values of `first`, the others with those of `second`."""
    rng = np.random.default_rng(0)
    means = rng.uniform(0.0, 1e-3, (200, 3)) + 0.002
    scene = scene_of(static_splats(means, np.tile([1e-2, 0, 0, 1e-2, 0, 1e-6], (200, 1)), means, 0.9), 2.0)
    columns = {name: np.array(getattr(scene, name)) for name in {*first, *second}}
    for half, values in ((slice(0, 100), first), (slice(100, 200), second)):
        for name, value in values.items():
            columns[name][half] = value
    return replace(scene, **columns)


def test_what_lies_in_one_place_is_one_splat_only_within_its_layer() -> None:
    assert len(coarser(crowd({}, {}), 2.0)) == 1
    both = coarser(crowd({}, MOVING), 2.0)
    assert sorted(both.is_static.tolist()) == [False, True]
    (moving,) = np.flatnonzero(~both.is_static)
    for name, value in MOVING.items():
        assert getattr(both, name)[moving] == pytest.approx(value)


@pytest.mark.parametrize(
    "otherwise",
    [{"time_starts": 0.8}, {"time_centers": 0.5}, {"time_widths": 0.4}, {"velocities": [8.0, 0.0, 0.0]}],
)
def test_splats_that_move_otherwise_are_not_merged(otherwise: dict[str, object]) -> None:
    assert len(coarser(crowd(MOVING, MOVING), 2.0)) == 1
    assert len(coarser(crowd(MOVING, {**MOVING, **otherwise}), 2.0)) == 2


def test_a_moving_thing_is_at_the_same_place_at_every_time(full_scene: Scene4D) -> None:
    merged = coarser(full_scene, 2.0)
    for time_s in (0.0, 0.2, 0.45):
        middles = []
        for scene in (full_scene, merged):
            now = scene_at(scene, time_s)
            moving = ~scene.is_static[now.indices]
            assert moving.any()
            middles.append(np.median(now.means[moving], axis=0))
        np.testing.assert_allclose(middles[0], middles[1], atol=0.06)


def test_mist_stays_translucent() -> None:
    scene = mist_scene()
    haze = scene.logit_opacities < -1.0
    merged = coarser(scene, 2.0)
    assert len(merged) < len(scene)
    assert np.quantile(merged.logit_opacities[merged.logit_opacities < 2.0], 0.9) < 1.0 and haze.any()


def test_nothing_stays_nothing_and_bad_factors_are_named(full_scene: Scene4D) -> None:
    empty = scene_of(static_splats(np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 3)), 0.9), 1.0)
    assert len(coarser(empty, 2.0)) == 0
    for factor in (1.0, 0.0, float("nan"), 100.0):
        with pytest.raises(InvalidScene, match="a factor must be within"):
            coarser(full_scene, factor)
    with pytest.raises(InvalidScene, match="factors must ascend"):
        levels_of(full_scene, factors=(4.0, 2.0))
