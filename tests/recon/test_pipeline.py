from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from clips.cameras import Cameras
from clips.clip import Clip
from recon.errors import InvalidScene, UnreadableScene, Unreconstructable
from recon.pipeline import Reconstruction, reconstruct
from recon.raster import render_scene
from recon.scene import Scene4D
from recon.settings import ReconSettings

DRAFT, FULL = ReconSettings.draft(), replace(ReconSettings.full(), refine_steps=24)
Room = Callable[..., Clip]


def psnr(rendered: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    error = (rendered.astype(float) - truth) ** 2
    return float(10 * np.log10(255**2 / np.mean(error if mask is None else error[mask])))


def render(scene: Scene4D, clip: Clip) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return render_scene(scene, clip.cameras, clip.times)


def same(a: Scene4D, b: Scene4D) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Scene4D))


@pytest.fixture(scope="module")
def full_scene(room: Room) -> Scene4D:
    return reconstruct(room(), FULL)


def test_a_full_scene_shows_the_clip_and_what_other_cameras_see(room: Room, full_scene: Scene4D) -> None:
    clip, aside = room(), room(aside_m=0.15)
    frames, depth, alpha = render(full_scene, clip)
    assert psnr(frames, clip.frames) > 31
    assert psnr(frames, clip.frames, clip.motion_mask) > 24
    # Where a surface runs away from the camera the nearer splats of a pixel weigh more; where it faces it they do not.
    facing = clip.depth > 4.3
    assert np.median(np.abs(depth / clip.depth - 1)[facing & ~clip.motion_mask]) < 0.02
    assert np.median(np.abs(depth / clip.depth - 1)) < 0.08
    assert (alpha > 0.9).mean() > 0.999
    moved, _, moved_alpha = render(full_scene, aside)
    assert psnr(moved, aside.frames) > 27
    assert psnr(moved, aside.frames, aside.motion_mask) > 21
    assert (moved_alpha > 0.9).mean() > 0.99


def test_the_ball_moves_and_the_room_does_not(full_scene: Scene4D) -> None:
    moving = full_scene.velocities[~full_scene.is_static]
    assert len(moving) > 50
    np.testing.assert_allclose(np.median(moving, axis=0), [1.3, 0.0, 0.0], atol=0.12)
    assert (full_scene.velocities[full_scene.is_static] == 0).all()


def test_the_ball_is_where_it_was_between_frames(room: Room, full_scene: Scene4D) -> None:
    from tests.recon.conftest import render_room

    clip = room()
    times = (clip.times[:-1] + clip.times[1:]) / 2
    between = render_room(clip.cameras[:-1], times, ball=True)
    frames, _, _ = render_scene(full_scene, between.cameras, times)
    assert psnr(frames, between.frames, between.motion_mask) > 21


def test_a_draft_is_smaller_and_worse_but_good(room: Room, full_scene: Scene4D) -> None:
    clip = room()
    draft = reconstruct(clip, DRAFT)
    assert len(draft) < 0.7 * len(full_scene)
    frames, _, alpha = render(draft, clip)
    assert 26 < psnr(frames, clip.frames) < psnr(render(full_scene, clip)[0], clip.frames)
    assert (alpha > 0.85).mean() > 0.99


@pytest.mark.parametrize("settings", [DRAFT, FULL])
def test_a_job_resumed_at_every_stage_gives_the_same_scene_bit_for_bit(room: Room, settings: ReconSettings) -> None:
    clip = room(frames=5)
    expected = reconstruct(clip, settings)
    job = Reconstruction(clip, settings)
    seen = []
    while not job.done:
        seen.append(job.stage_name)
        assert job.stages_done == len(seen) - 1 < job.stages_total
        job.advance()
        job = Reconstruction.resume(clip, settings, job.state_bytes())
    assert job.stage_name == "done" and job.stages_done == job.stages_total == len(seen)
    assert seen[0] == "check" and seen.count("colors") == settings.color_rounds
    assert same(job.finish(), expected)
    job.advance()
    assert same(job.finish(), expected)


def test_a_state_is_refused_for_another_job_and_when_damaged(room: Room) -> None:
    clip = room(frames=2)
    job = Reconstruction(clip, DRAFT)
    job.advance()
    state = job.state_bytes()
    with pytest.raises(UnreadableScene, match="another job"):
        Reconstruction.resume(clip, FULL, state)
    with pytest.raises(UnreadableScene, match="another job"):
        Reconstruction.resume(room(frames=2, ball=False), DRAFT, state)
    for bad in (b"", b"garbage", state[: len(state) // 2], b"\0" * 64):
        with pytest.raises(UnreadableScene, match="not readable"):
            Reconstruction.resume(clip, DRAFT, bad)


def test_one_frame_is_enough(room: Room) -> None:
    clip = room(frames=1)
    scene = reconstruct(clip, FULL)
    assert scene.is_static.all() and scene.duration_s == 0.0
    frames, _, alpha = render(scene, clip)
    assert psnr(frames, clip.frames) > 28
    assert alpha.min() > 0.75 and (alpha > 0.9).mean() > 0.96


def test_two_frames_are_enough(room: Room) -> None:
    clip = room(frames=2)
    frames, _, _ = render(reconstruct(clip, FULL), clip)
    assert psnr(frames, clip.frames) > 28


def test_a_still_room_has_no_moving_splats(room: Room) -> None:
    clip = room(ball=False)
    scene = reconstruct(clip, FULL)
    assert scene.is_static.all()
    assert psnr(render(scene, clip)[0], clip.frames) > 34


def test_everything_may_move(room: Room) -> None:
    clip = room(frames=6, ball=False)
    # The cameras say that they stand still while the whole room comes towards them.
    cameras = Cameras(np.repeat(clip.cameras.viewmats[:1], 6, axis=0), clip.cameras.Ks, 48, 32)
    rushing = (clip.depth * (1.0 - 0.06 * np.arange(6))[:, None, None]).astype(np.float32)
    moving = replace(clip, cameras=cameras, depth=rushing, motion_mask=None)
    frames, _, _ = render(reconstruct(moving, FULL), moving)
    assert psnr(frames, moving.frames) > 25


@pytest.mark.parametrize("sigma", [0.01, 0.03])
def test_noisy_depth_costs_little(room: Room, full_scene: Scene4D, sigma: float) -> None:
    clip, aside = room(), room(aside_m=0.15)
    noise = np.random.default_rng(1).normal(size=clip.depth.shape) * sigma
    scene = reconstruct(replace(clip, depth=(clip.depth * np.exp(noise)).astype(np.float32)), FULL)
    lost = psnr(render(full_scene, aside)[0], aside.frames) - psnr(render(scene, aside)[0], aside.frames)
    assert lost < (1.5 if sigma == 0.01 else 4.0)


def test_smeared_depth_edges_leave_no_dust_in_the_air(room: Room) -> None:
    from scipy.ndimage import gaussian_filter

    clip, aside = room(), room(aside_m=0.15)
    smeared = np.exp(gaussian_filter(np.log(clip.depth), (0, 0.8, 0.8))).astype(np.float32)
    scene = reconstruct(replace(clip, depth=smeared), FULL)
    frames, _, alpha = render(scene, aside)
    assert psnr(frames, aside.frames) > 25
    assert (alpha > 0.9).mean() > 0.98


def test_cameras_that_contradict_depth_are_named(room: Room) -> None:
    clip = room()
    viewmats = clip.cameras.viewmats.copy()
    viewmats[4, 2, 3] += 2.5
    broken = replace(clip, cameras=Cameras(viewmats, clip.cameras.Ks, 48, 32))
    with pytest.raises(Unreconstructable, match=r"contradict depth in frames .*\b4\b.* of 9") as caught:
        reconstruct(broken, DRAFT)
    assert not caught.value.retryable


def test_cameras_in_another_unit_than_depth_are_refused(room: Room) -> None:
    clip = room()
    viewmats = clip.cameras.viewmats.copy()
    viewmats[:, :3, 3] *= 30.0
    with pytest.raises(Unreconstructable, match="same unit"):
        reconstruct(replace(clip, cameras=Cameras(viewmats, clip.cameras.Ks, 48, 32)), DRAFT)


def test_few_blends_use_fewer_frames_but_still_work(room: Room) -> None:
    clip = room()
    scene = reconstruct(clip, replace(DRAFT, max_blends=100_000))
    assert psnr(render(scene, clip)[0], clip.frames) > 25


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(InvalidScene, match="window_frames must be within"):
        ReconSettings(window_frames=0)
    with pytest.raises(InvalidScene, match="cell_footprints"):
        ReconSettings(cell_footprints=float("nan"))
