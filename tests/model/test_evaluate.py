import numpy as np
import pytest
import torch

from model.dit import Dit
from model.evaluate import Sampling, generate_like, mean_clip, reconstruction_figures, velocity_loss
from model.rgbd import unpack_rgbd
from model.train.data import ClipRecipe, ClipStore
from model.train.dit import drop_slots, picture_weights, sample_sigmas
from model.vae import Vae


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    folder = tmp_path_factory.mktemp("clips")
    return ClipStore(folder, ClipRecipe(clips=3, held_out=True, frames=9, width=48, height=32))


def test_mean_clip_is_the_mean_of_frames_and_depth(clips: ClipStore) -> None:
    frames, depth = mean_clip(clips, 3)
    assert np.abs(frames - clips.frames[:3].astype(float).mean(0)).max() <= 0.5
    assert np.allclose(depth, clips.depth[:3].astype(float).mean(0), rtol=1e-4)


def test_a_perfect_vae_has_no_error_and_a_blank_one_has_much(clips: ClipStore, small_vae: Vae) -> None:
    class Perfect(Vae):
        def encode(self, rgbd: torch.Tensor) -> torch.Tensor:
            return rgbd

        def decode(self, latents: torch.Tensor) -> torch.Tensor:
            return latents

    perfect = reconstruction_figures(Perfect(small_vae.config), clips, 3)
    assert perfect["psnr_db"] == 100.0
    assert perfect["depth_abs_rel"] < 1e-3
    assert reconstruction_figures(small_vae, clips, 3)["psnr_db"] < 20.0


def test_velocity_loss_of_a_new_network_is_the_power_of_the_velocity(small_dit: Dit) -> None:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(40, *(6, 3, 4, 6), generator=random)
    rays, slots = torch.zeros(40, 12, 3, 4, 6), torch.zeros(40, 7, dtype=torch.int64)
    fresh = Dit(small_dit.config)
    assert velocity_loss(fresh, latents, rays, slots) == pytest.approx(2.0, rel=0.05)
    assert velocity_loss(small_dit, latents, rays, slots) == velocity_loss(small_dit, latents, rays, slots)
    batched = velocity_loss(small_dit, latents, rays, slots, batch=7)
    assert velocity_loss(small_dit, latents, rays, slots, batch=40) == pytest.approx(batched, rel=1e-5)


def test_generated_clips_do_not_depend_on_the_batch(clips: ClipStore, small_vae: Vae, small_dit: Dit) -> None:
    sampling = Sampling(steps=3, guidance=2.0, shift=2.0)
    together = generate_like((small_vae, small_dit), clips, 3, sampling, batch=3)
    alone = generate_like((small_vae, small_dit), clips, 3, sampling, batch=1)
    for (ours, our_depth), (theirs, their_depth) in zip(together, alone, strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert np.allclose(our_depth, their_depth, rtol=1e-3)


def test_sigmas_cover_the_range_and_prefer_the_middle() -> None:
    sigmas = sample_sigmas(20_000, torch.Generator().manual_seed(0))
    assert 0.0 < sigmas.min() < 0.01
    assert 0.99 < sigmas.max() < 1.0
    assert ((sigmas > 0.25) & (sigmas < 0.8)).float().mean() > 0.6


def test_slots_are_dropped_one_by_one_and_all_at_once() -> None:
    slots = torch.ones(20_000, 7, dtype=torch.int64)
    dropped = drop_slots(slots, torch.Generator().manual_seed(0)) == 0
    assert float(dropped.all(1).float().mean()) == pytest.approx(0.1, abs=0.01)
    kept_rows = dropped[~dropped.all(1)]
    assert float(kept_rows.float().mean()) == pytest.approx(0.1, abs=0.01)


def test_picture_weights_find_the_channel_that_the_decoder_does_not_use(small_vae: Vae) -> None:
    vae = Vae(small_vae.config)
    vae.load_state_dict(small_vae.state_dict())
    with torch.no_grad():
        vae.unwhiten[:, 2] = 0.0
        vae.unwhiten[:, 4] *= 10.0
    latents = torch.randn(2, 6, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    weights = picture_weights(vae, latents)
    assert float(weights.mean()) == pytest.approx(1.0)
    assert weights[2] == 0.0
    assert weights.argmax() == 4
    assert unpack_rgbd(vae.decode(latents)[0])[0].shape == (9, 32, 48, 3)
