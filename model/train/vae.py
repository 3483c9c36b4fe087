"""Training of the VAE: reconstruction of colour and inverse depth, the moving object weighing more."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.checkpoint import load_vae, save_checkpoint
from model.errors import ModelError
from model.measure.reconstruction import RealClip, reconstruction_figures
from model.rgbd import unpack_rgbd
from model.train.data import ClipStore
from model.train.growth import grown_vae
from model.train.loop import Moment, OnProgress, Training, TrainingPlan
from model.train.pictures import save_sheet
from model.vae import ENCODER_PARTS, Vae, VaeConfig

VAE_CONFIG = VaeConfig(
    latent_channels=72,
    width=192,
    encoder_blocks=2,
    decoder_blocks=8,
    patch_px=8,
    group_frames=4,
    detail_width=512,
)
GROWN_FILE = "grown.safetensors"
PCA_CLIPS, GROWING_CLIPS = 96, 200
CROP_FRAMES = 9
BATCH = 4
OBJECT_WEIGHT = 7.0
NEAR_WEIGHT = 2.0
POSTERIOR_DEVIATION = 0.05
PRIOR_WEIGHT = 1e-4
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class VaeTask:
    """Reconstruct random 9-frame crops (causality makes crops as good as whole clips)."""

    network: Vae
    train: ClipStore
    held_out: ClipStore
    use_clips: int

    def loss(self, random: torch.Generator, _moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared and absolute error, and the prior's pull on the latents."""
        rgbd, weight = self.batch(random)
        raw = self.network.encode_raw(rgbd)
        noise = torch.randn(raw.shape, generator=random)
        error = self.network.decode_raw(raw + POSTERIOR_DEVIATION * noise) - rgbd
        channels = torch.tensor(CHANNEL_WEIGHTS).view(1, 4, 1, 1, 1)
        reconstruction = (channels * weight * (error.square() + 0.25 * error.abs())).mean()
        prior = 0.5 * raw.square().mean()
        psnr = -10.0 * torch.log10(error[:, :3].detach().square().mean() / 4.0)
        return reconstruction + PRIOR_WEIGHT * prior, {"psnr_db": psnr.item(), "prior": prior.item()}

    def batch(self, random: torch.Generator) -> tuple[Float[Tensor, "B 4 T H W"], Float[Tensor, "B 1 T H W"]]:
        """Crops and the weight of their pixels."""
        recipe = self.train.recipe
        indices = torch.randint(self.use_clips, (BATCH,), generator=random).tolist()
        starts = torch.randint(recipe.frames - CROP_FRAMES + 1, (BATCH,), generator=random).tolist()
        pairs = list(zip(indices, starts, strict=True))
        rgbd = torch.stack([self.train.rgbd(index, start, CROP_FRAMES) for index, start in pairs])
        masks = np.stack([self.train.mask[index, start : start + CROP_FRAMES] for index, start in pairs])
        of_object = torch.from_numpy(masks).float().unsqueeze(1)
        # Around the object, in space and time, lie the pixels where a smeared edge would show.
        near = nn.functional.max_pool3d(of_object, (3, 5, 5), 1, (1, 2, 2))
        return rgbd, 1.0 + (OBJECT_WEIGHT - 1.0) * of_object + NEAR_WEIGHT * near

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR and depth error on the first 16 held-out clips."""
        count = min(16, self.held_out.recipe.clips)
        figures = reconstruction_figures(_as_vae(network), real_clips(self.held_out, count))
        return {f"val_{name}": value for name, value in figures.items()}

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Held-out clips above their reconstructions."""
        vae = _as_vae(network)
        rows = []
        with torch.no_grad():
            for index in range(min(4, self.held_out.recipe.clips)):
                rgbd = self.held_out.rgbd(index)[None]
                rows += [unpack_rgbd(rgbd[0]), unpack_rgbd(vae.decode(vae.encode(rgbd))[0])]
        save_sheet(rows, folder / f"look-{step:06d}.png")


def train_vae(
    plan: TrainingPlan,
    stores: tuple[ClipStore, ClipStore],
    resume: bool,
    use_clips: int,
    config: VaeConfig,
    on_progress: OnProgress | None = None,
    decoder_of: Path | None = None,
    start_from: Path | None = None,
) -> dict[str, float]:
    """Train on the first `use_clips` of (train, held out), write `plan.out / "vae.safetensors"`, return the figures.

    Args:
        decoder_of: weights whose decoder alone is trained on; the latents stay what they are, so that a transformer
            trained on them still fits.
        start_from: weights of fewer channels or of a shorter decoder to grow (`model.train.growth`). What they grow
            into is written to `plan.out / "grown.safetensors"` at once; its decoder is then trained as by `decoder_of`,
            so a transformer can be trained on its latents meanwhile.

    Raises:
        TrainingDiverged: a loss was not finite.
        UnreadableCheckpoint: `decoder_of` or `start_from` is no VAE.
        ModelError: both are given; or one has another architecture (the decoder of `decoder_of` may have fewer
            blocks).
    """
    train, held_out = stores
    torch.manual_seed(plan.seed)
    if decoder_of is not None and start_from is not None:
        raise ModelError("decoder_of and start_from: only one of them can be given")
    if start_from is not None:
        decoder_of = plan.out / GROWN_FILE
        if not (resume and decoder_of.exists()):
            _grow(start_from, config, _opening(train, min(GROWING_CLIPS, use_clips)), decoder_of)
    if decoder_of is not None:
        vae = _with_fixed_encoder(load_vae(decoder_of), config)
    else:
        vae = Vae(config)
        if not (resume and (plan.out / "state.pt").exists()):
            vae.start_from_pca(_opening(train, min(PCA_CLIPS, use_clips)))
    training = Training(VaeTask(vae, train, held_out, use_clips), plan, copy.deepcopy(vae), resume)
    training.run(on_progress)
    best = _as_vae(training.average)
    if decoder_of is None:
        measure_whitening(best, train, min(256, use_clips))
    figures = reconstruction_figures(best, real_clips(held_out, held_out.recipe.clips))
    recipe = {
        **train.origin(),
        "clips": use_clips,
        "steps": training.step,
        "trained_s": round(training.trained_s),
        "batch": BATCH,
        "crop_frames": CROP_FRAMES,
        "trained": "both sides" if decoder_of is None else f"the decoder, after {decoder_of}",
        **({} if start_from is None else {"started_from": str(start_from)}),
        **{name: round(value, 4) for name, value in figures.items()},
    }
    save_checkpoint(best, recipe, plan.out / "vae.safetensors")
    return {"steps": float(training.step), "trained_s": training.trained_s, **figures}


def _opening(store: ClipStore, clips: int) -> Float[Tensor, "N 4 T H W"]:
    return torch.stack([store.rgbd(index) for index in range(clips)])


def _grow(trained: Path, config: VaeConfig, clips: Float[Tensor, "N 4 T H W"], path: Path) -> None:
    save_checkpoint(
        grown_vae(load_vae(trained), config, clips), {"grown_from": str(trained), "clips": len(clips)}, path
    )


def _with_fixed_encoder(trained: Vae, config: VaeConfig) -> Vae:
    """A VAE of `config` that does what `trained` does: blocks that its decoder has more are the identity at first."""
    if replace(config, decoder_blocks=trained.config.decoder_blocks) != trained.config:
        raise ModelError(f"decoder_of: another architecture, {trained.config}; expected {config}")
    vae = Vae(config)
    vae.load_state_dict({**vae.state_dict(), **trained.state_dict()})
    for name, weight in vae.named_parameters():
        weight.requires_grad_(not name.startswith(ENCODER_PARTS))
    return vae


@torch.no_grad()
def measure_whitening(vae: Vae, store: ClipStore, clips: int) -> None:
    """Whiten the latents of the store's first `clips` clips."""
    vae.set_whitening(torch.cat([vae.encode_raw(store.rgbd(index)[None]) for index in range(clips)]))


def real_clips(store: ClipStore, count: int) -> Iterator[RealClip]:
    """Frames, depth and object mask of the store's first `count` clips."""
    for index in range(count):
        store.ensure(index)
        yield store.frames[index], store.depth[index], store.mask[index]


def _as_vae(network: nn.Module) -> Vae:
    if not isinstance(network, Vae):
        raise TypeError(f"expected a Vae, got {type(network).__name__}")
    return network
