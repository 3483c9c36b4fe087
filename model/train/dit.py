"""Training of the transformer: velocity of the linear path on cached latents, slots dropped at random."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from model.checkpoint import save_checkpoint
from model.dit import UNKNOWN, Dit, DitConfig
from model.evaluate import velocity_loss
from model.guidance import guided_velocity
from model.interpolant import interpolate, velocity
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, seeded_noise, sigma_grid
from model.train.data import LatentSet, slot_table
from model.train.loop import OnProgress, Training, TrainingPlan
from model.train.pictures import save_sheet
from model.vae import Vae

BATCH = 6
DROP_ALL = 0.1
DROP_ONE = 0.1
NUDGE = 0.3
WEIGHED_CLIPS = 12
LOOK_CLIPS = 4
LOOK_STEPS = 12
LOOK_GUIDANCE = 2.5
LOOK_SHIFT = 2.0


def dit_config(latent_channels: int, latent_size: tuple[int, int, int]) -> DitConfig:
    """The embedded model's transformer: about 10 million parameters."""
    return DitConfig(
        latent_channels=latent_channels,
        latent_size=latent_size,
        width=256,
        depth=8,
        heads=4,
        patch=2,
        slots=slot_table(),
    )


def sample_sigmas(count: int, random: torch.Generator) -> Float[Tensor, " B"]:
    """Training noise levels (B,): logit-normal as in arXiv 2403.03206, one in eight uniform to cover the ends."""
    middle = torch.sigmoid(0.2 + torch.randn(count, generator=random))
    uniform = torch.rand(count, generator=random)
    return torch.where(torch.rand(count, generator=random) < 0.125, uniform, middle)


def drop_slots(slots: Int64[Tensor, "B S"], random: torch.Generator) -> Int64[Tensor, "B S"]:
    """Slots with some values replaced by UNKNOWN, and some rows wholly: what guidance and sparse prompts need."""
    one = torch.rand(slots.shape, generator=random) < DROP_ONE
    every = torch.rand((len(slots), 1), generator=random) < DROP_ALL
    return torch.where(one | every, UNKNOWN, slots)


@torch.no_grad()
def picture_weights(vae: Vae, latents: Float[Tensor, "B C t h w"]) -> Float[Tensor, " C"]:
    """Loss weight of every latent channel, mean 1: root of how much a nudge of it changes the decoded clip.

    Whitened channels are equal to a plain loss, but three of 24 carry four fifths of the picture (the root keeps
    the others from being forgotten); docs/experiments/001-first-checkpoint.md has the figures.
    """
    base = vae.decode(latents)
    change = torch.zeros(latents.shape[1])
    for channel in range(len(change)):
        nudged = latents.clone()
        nudged[:, channel] += NUDGE
        change[channel] = (vae.decode(nudged) - base).square().mean()
    return change.sqrt() / change.sqrt().mean()


@dataclass(frozen=True, eq=False)
class DitTask:
    """Predict the velocity of noisy latents; `channel_weights` (C,) is from `picture_weights`."""

    network: Dit
    train: LatentSet
    held_out: LatentSet
    vae: Vae
    channel_weights: Tensor

    def loss(self, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Weighted mean squared velocity error of a random batch; the log has the plain mean too."""
        rows = torch.randint(len(self.train), (BATCH,), generator=random)
        data = self.train.latents[rows].float()
        noise = torch.randn(data.shape, generator=random)
        sigmas = sample_sigmas(BATCH, random)
        slots = drop_slots(self.train.slots[rows], random)
        predicted = self.network(interpolate(data, noise, sigmas), sigmas, slots, self.train.rays[rows].float())
        error = (predicted - velocity(data, noise)).square()
        weighted = (self.channel_weights.view(1, -1, 1, 1, 1) * error).mean()
        return weighted, {"plain_loss": error.detach().mean().item()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Velocity loss on the held-out latents."""
        held_out = self.held_out
        return {"val_loss": velocity_loss(_as_dit(network), held_out.latents, held_out.rays, held_out.slots)}

    @torch.no_grad()
    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Held-out clips (through the VAE) above clips generated with their slots and cameras."""
        held_out = self.held_out
        slots, rays = held_out.slots[:LOOK_CLIPS], held_out.rays[:LOOK_CLIPS].float()
        noise = seeded_noise(list(range(LOOK_CLIPS)), tuple(held_out.latents.shape[1:]))
        flow = guided_velocity(_as_dit(network), slots, rays, LOOK_GUIDANCE)
        made = sample_euler(flow, noise, sigma_grid(LOOK_STEPS, LOOK_SHIFT))
        rows = []
        for index in range(LOOK_CLIPS):
            for latents in (held_out.latents[index].float(), made[index]):
                rows.append(unpack_rgbd(self.vae.decode(latents[None])[0]))
        save_sheet(rows, folder / f"look-{step:06d}.png")


@dataclass(frozen=True, eq=False)
class DitData:
    """Latents of training and held-out clips, the VAE that made them, and what is known of their making."""

    train: LatentSet
    held_out: LatentSet
    vae: Vae
    recipe: dict[str, str | int]


def train_dit(
    plan: TrainingPlan, data: DitData, resume: bool, config: DitConfig, on_progress: OnProgress | None = None
) -> dict[str, float]:
    """Train, write `plan.out / "dit.safetensors"`, return the last figures with those of the untrained network.

    Raises:
        TrainingDiverged: a loss was not finite.
    """
    torch.manual_seed(plan.seed)
    dit = Dit(config)
    held_out = data.held_out
    untrained = velocity_loss(dit, held_out.latents, held_out.rays, held_out.slots)
    weights = picture_weights(data.vae, data.train.latents[:WEIGHED_CLIPS].float())
    task = DitTask(dit, data.train, held_out, data.vae, weights)
    training = Training(task, plan, copy.deepcopy(dit), resume)
    training.run(on_progress)
    best = _as_dit(training.average)
    figures = {
        "val_loss": velocity_loss(best, held_out.latents, held_out.rays, held_out.slots),
        "untrained_val_loss": untrained,
    }
    save_dit(best, plan.out / "dit.safetensors", data.recipe, training, figures)
    return {"steps": float(training.step), "trained_s": training.trained_s, **figures}


def save_dit(dit: Dit, path: Path, recipe: dict[str, str | int], training: Training, figures: dict[str, float]) -> None:
    """Write the weights with what trained them."""
    facts = {"steps": training.step, "trained_s": round(training.trained_s), "batch": BATCH}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    save_checkpoint(dit, {**recipe, **facts, **rounded}, path)


def load_latents(path: Path, key: str) -> LatentSet | None:
    """Latents that `save_latents` wrote under `key`, or None where they must be made."""
    if not path.exists():
        return None
    held = torch.load(path, weights_only=True)
    if held["key"] != key:
        return None
    return LatentSet(held["latents"], held["rays"], held["slots"])


def save_latents(path: Path, latents: LatentSet, key: str) -> None:
    """Keep latents for a resumed training; `key` says what they were made of."""
    partial = path.with_suffix(".tmp")
    torch.save({"key": key, "latents": latents.latents, "rays": latents.rays, "slots": latents.slots}, partial)
    partial.replace(path)


def _as_dit(network: nn.Module) -> Dit:
    if not isinstance(network, Dit):
        raise TypeError(f"expected a Dit, got {type(network).__name__}")
    return network
