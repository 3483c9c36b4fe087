"""Refinement by gradient: better pictures, the same number of splats, and nothing lost between rounds."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from clips.clip import Clip
from recon.pipeline import Reconstruction, reconstruct
from recon.raster import render_scene
from recon.refine import TRANSPARENT, Fit, Round, refine, relocate
from recon.scene import Scene4D
from recon.settings import ReconSettings
from recon.splats import Splats, covariances_of, quats_and_scales, scene_of

Room = Callable[..., Clip]
ROUGH = replace(ReconSettings.draft(), color_rounds=1)


def psnr(scene: Scene4D, clip: Clip, mask: np.ndarray | None = None) -> float:
    frames, _, _ = render_scene(scene, clip.cameras, clip.times)
    error = (frames.astype(float) - clip.frames) ** 2
    return float(10 * np.log10(255**2 / np.mean(error if mask is None else error[mask])))


def rough_splats(clip: Clip) -> tuple[Splats, np.ndarray]:
    job = Reconstruction(clip, ROUGH)
    while not job.done:
        job.advance()
    return job._splats(), job._arrays["filled"]


@pytest.fixture(scope="module")
def clip(room: Room) -> Clip:
    return room(frames=7)


@pytest.fixture(scope="module")
def splats(clip: Clip) -> tuple[Splats, np.ndarray]:
    return rough_splats(clip)


def test_refined_splats_show_the_clip_better_from_its_cameras_and_from_others(
    room: Room, clip: Clip, splats: tuple[Splats, np.ndarray]
) -> None:
    aside = room(frames=7, aside_m=0.15)
    before = scene_of(splats[0], clip.duration_s)
    fit = Fit(*splats)
    first = refine(fit, clip, Round(0, 0.0, 0.5, 0.0, 40))
    last = refine(fit, clip, Round(1, 0.5, 1.0, 0.0, 40))
    after = scene_of(fit.splats(), clip.duration_s)
    assert last < first
    assert len(after) == len(before)
    assert psnr(after, clip) > psnr(before, clip) + 2.0
    assert psnr(after, clip, clip.motion_mask) > psnr(before, clip, clip.motion_mask) + 1.0
    assert psnr(after, aside) > psnr(before, aside) + 0.5


def test_only_what_moves_gets_another_velocity_or_window(clip: Clip, splats: tuple[Splats, np.ndarray]) -> None:
    fit = Fit(*splats)
    refine(fit, clip, Round(0, 0.0, 1.0, 0.0, 10))
    after, still = fit.splats(), np.isinf(splats[0].time_widths)
    for name in ("velocities", "time_centers", "time_widths"):
        np.testing.assert_array_equal(getattr(after, name)[still], getattr(splats[0], name)[still])
        assert (getattr(after, name)[~still] != getattr(splats[0], name)[~still]).any(), name
    for name in ("time_starts", "time_ends"):
        np.testing.assert_array_equal(getattr(after, name), getattr(splats[0], name))


def test_a_round_without_seconds_or_steps_changes_nothing(clip: Clip, splats: tuple[Splats, np.ndarray]) -> None:
    fit = Fit(*splats)
    assert np.isnan(refine(fit, clip, Round(0, 0.0, 1.0, 0.0, 0)))
    assert fit.steps == 0


def test_no_splats_and_a_clip_of_one_frame_are_no_trouble(room: Room) -> None:
    one = room(frames=1)
    splats, filled = rough_splats(one)
    assert np.isnan(refine(Fit(splats[np.zeros(len(splats), bool)], filled[:0]), one, Round(0, 0.0, 1.0, 0.0, 3)))
    fit = Fit(splats, filled)
    assert np.isfinite(refine(fit, one, Round(0, 0.0, 1.0, 0.0, 3)))
    assert np.isfinite(fit.splats().means).all()


def test_a_fit_goes_on_from_its_arrays_as_if_it_had_not_stopped(clip: Clip, splats: tuple[Splats, np.ndarray]) -> None:
    whole, stopped = Fit(*splats), Fit(*splats)
    for fit in (whole, stopped):
        refine(fit, clip, Round(0, 0.0, 0.5, 0.0, 6))
    again = Fit.restored(stopped.arrays())
    for fit in (whole, again):
        refine(fit, clip, Round(1, 0.5, 1.0, 0.0, 6))
    for field in fields(Splats):
        np.testing.assert_array_equal(getattr(whole.splats(), field.name), getattr(again.splats(), field.name))


def test_relocated_splats_leave_the_picture_as_it_was(clip: Clip, splats: tuple[Splats, np.ndarray]) -> None:
    fit = Fit(*splats)
    dead = np.arange(0, len(fit), 40)
    fit.values["logits"][dead] = -8.0
    before = scene_of(fit.splats(), clip.duration_s)
    fit.pull[:] = 1.0
    moved = relocate(fit, np.random.default_rng(0))
    assert moved == len(dead)
    assert (fit.values["logits"].sigmoid() >= TRANSPARENT).all()
    after = scene_of(fit.splats(), clip.duration_s)
    assert len(after) == len(before)
    frames, _, alpha = render_scene(before, clip.cameras, clip.times)
    now, _, now_alpha = render_scene(after, clip.cameras, clip.times)
    assert 10 * np.log10(255**2 / np.mean((frames.astype(float) - now) ** 2)) > 30
    assert abs(float(alpha.mean() - now_alpha.mean())) < 0.01


def test_nothing_is_relocated_where_nothing_is_transparent_or_nothing_pulls(
    clip: Clip, splats: tuple[Splats, np.ndarray]
) -> None:
    fit = Fit(*splats)
    fit.pull[:] = 1.0
    assert relocate(fit, np.random.default_rng(0)) == 0
    fit.values["logits"][:5] = -8.0
    fit.pull[:] = 0.0
    assert relocate(fit, np.random.default_rng(0)) == 0


def test_a_refined_reconstruction_resumed_at_every_stage_is_the_same_bit_for_bit(room: Room) -> None:
    clip = room(frames=4)
    settings = replace(ReconSettings.draft(), refine_rounds=3, refine_steps=7)
    expected = reconstruct(clip, settings)
    job = Reconstruction(clip, settings)
    stages = []
    while not job.done:
        stages.append(job.stage_name)
        job.advance()
        job = Reconstruction.resume(clip, settings, job.state_bytes())
    assert stages.count("refine") == 3
    for field in fields(Scene4D):
        np.testing.assert_array_equal(getattr(job.finish(), field.name), getattr(expected, field.name))
    assert psnr(expected, clip) > psnr(reconstruct(clip, ReconSettings.draft()), clip) + 0.3


def test_seconds_decide_how_long_a_refinement_is(room: Room) -> None:
    settings = replace(ReconSettings.draft(), refine_rounds=2, refine_s=0.4)
    job = Reconstruction(room(frames=3), settings)
    while job.stage_name != "refine":
        job.advance()
    job.advance()
    assert job._arrays["fit.steps"] >= 1
    job.finish()
    assert ReconSettings.full().budget_s(48 * 160 * 90) == pytest.approx(38.0, abs=0.1)
    assert settings.budget_s(48 * 160 * 90) == 0.4


def test_covariances_are_those_of_their_axes() -> None:
    rng = np.random.default_rng(2)
    quats = rng.normal(size=(30, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    scales = np.exp(rng.normal(size=(30, 3)))
    covariances = covariances_of(quats, scales)
    again = covariances_of(*quats_and_scales(covariances))
    np.testing.assert_allclose(again, covariances, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.sort(quats_and_scales(covariances)[1]), np.sort(scales), rtol=1e-4)
