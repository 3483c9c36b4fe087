"""Training of the transformer: velocity on windows of latents, then also the mean velocity over sampling steps."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from model.checkpoint import load_dit, save_checkpoint
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.dit import UNKNOWN, Dit, DitConfig
from model.errors import ModelError
from model.interpolant import interpolate, velocity
from model.measure.velocity import velocity_loss
from model.train.data import slot_table
from model.train.few_step import segment_targets
from model.train.growth import grown_dit
from model.train.latents import LatentStore, Windows
from model.train.loop import Moment, OnProgress, Training, TrainingPlan
from model.train.noise import given_frames, sample_frame_noise
from model.train.samples import save_samples
from model.vae import Vae

WINDOW = 5
BATCH = 8
SEGMENTS = 3
DROP_ALL = 0.1
DROP_ONE = 0.1
WITH_OBJECTS = 0.45
WITH_ROOM = 0.3
FROM_START = 0.6
OBJECT_WEIGHT = 2.0
NUDGE = 0.3
WEIGHED_CLIPS = 12
KINDS = {"none": CONTROL_NONE, "room": CONTROL_ROOM, "objects": CONTROL_OBJECTS}


def dit_config(store: LatentStore) -> DitConfig:
    """The embedded model's transformer (12.5 million parameters) for windows of 17 frames of a store."""
    _, channels, _, rows, columns = store.latents.shape
    return DitConfig(
        latent_channels=channels,
        latent_size=(WINDOW, rows, columns),
        width=256,
        depth=8,
        heads=4,
        patch=2,
        slots=slot_table(),
    )


@dataclass(frozen=True)
class DitPolicy:
    """What the transformer is trained on, and when.

    Attributes:
        pool_start, pool_rate: step k draws from the first pool_start + k * pool_rate clips, so that training begins
            before all clips are made and does not depend on how far another process has filled the store.
        few_step_share: last share of the training in which 3 windows of 8 teach the flow map.

    Raises:
        ModelError: an empty pool, or a number out of range.
    """

    pool_start: int = 600
    pool_rate: float = 0.8
    few_step_share: float = 0.3

    def __post_init__(self) -> None:
        if self.pool_start < 1 or self.pool_rate < 0.0 or not 0.0 <= self.few_step_share <= 1.0:
            raise ModelError(f"dit training: pool or few_step_share is out of range: {self}")

    def pool(self, step: int, clips: int) -> int:
        """How many clips step `step` draws from."""
        return min(clips, self.pool_start + int(step * self.pool_rate))

    def teaches_map(self, progress: float) -> bool:
        """True in the last part of the training."""
        return progress >= 1.0 - self.few_step_share and self.few_step_share > 0.0


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


def weighted_loss(
    error: Float[Tensor, "B C t h w"], windows: Windows, given: Tensor, channel_weights: Tensor
) -> Float[Tensor, ""]:
    """Mean of squared errors: cells of the free object weigh up to three times as much, given frames nothing.

    Every window weighs the same, whatever its object covers.
    """
    cells = (1.0 + OBJECT_WEIGHT * windows.coverage) * ~given[:, :, None, None]
    cells = cells / cells.sum((1, 2, 3), keepdim=True)
    per_cell = torch.einsum("bcthw,c->bthw", error, channel_weights / len(channel_weights))
    return (per_cell * cells).sum((1, 2, 3)).mean()


@dataclass(frozen=True, eq=False)
class DitTask:
    """Predict the velocity of noisy windows, and late in the training also the mean velocity over sampling steps.

    Attributes:
        teacher: the averaged network, which makes the flow map's targets.
        held_out: clips to validate on and to draw beside generated ones.
        channel_weights: from `picture_weights`, (C,).
    """

    network: Dit
    teacher: Dit
    train: LatentStore
    held_out: LatentStore
    policy: DitPolicy
    channel_weights: Tensor

    @property
    def frames(self) -> int:
        """Latent frames of a window."""
        return self.network.config.latent_size[0]

    def loss(self, random: torch.Generator, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """Weighted mean squared error of a random batch; the log has plain means too."""
        windows = self.draw(random, moment.step)
        continued = ~windows.condition.starts
        noise = torch.randn(windows.latents.shape, generator=random)
        levels = sample_frame_noise(continued, self.frames, random)
        points, targets = interpolate(windows.latents, noise, levels.sigmas), velocity(windows.latents, noise)
        sigmas, sigma_next, given = levels.sigmas, levels.sigmas, levels.given
        teaches = self.policy.teaches_map(moment.progress)
        if teaches:
            first = slice(0, SEGMENTS)
            clean = given_frames(continued[first], self.frames, random)
            taught = segment_targets(self.teacher, windows.rows(first), clean, random)
            points, targets = _with_first(points, taught.points), _with_first(targets, taught.targets)
            sigmas, sigma_next = _with_first(sigmas, taught.sigmas), _with_first(sigmas, taught.sigma_next)
            given = _with_first(given, clean)
        error = (self.network(points, sigmas, windows.condition, sigma_next) - targets).square()
        loss = weighted_loss(error, windows, given, self.channel_weights)
        plain = error.detach().mean((1, 3, 4)).masked_fill(given, 0.0).sum(1) / (~given).sum(1)
        figures = {"plain_loss": plain[SEGMENTS if teaches else 0 :].mean().item()}
        if teaches:
            figures["map_loss"] = plain[:SEGMENTS].mean().item()
        return loss, figures

    def draw(self, random: torch.Generator, step: int) -> Windows:
        """The windows of one step, with their kinds of control and with slots dropped."""
        pool = self.policy.pool(step, len(self.train))
        clips = torch.randint(pool, (BATCH,), generator=random)
        later = torch.randint(1, max(self.train.frames - self.frames + 1, 2), (BATCH,), generator=random)
        from_start = torch.rand(BATCH, generator=random) < FROM_START
        from_start |= self.train.frames == self.frames
        dice = torch.rand(BATCH, generator=random)
        kinds = torch.where(
            dice < WITH_OBJECTS,
            CONTROL_OBJECTS,
            torch.where(dice < WITH_OBJECTS + WITH_ROOM, CONTROL_ROOM, CONTROL_NONE),
        )
        offsets = torch.where(from_start, 0, later)
        windows = self.train.windows(clips.tolist(), offsets.tolist(), kinds.tolist(), self.frames)
        slots = drop_slots(windows.condition.slots, random)
        return replace(windows, condition=replace(windows.condition, slots=slots))

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Velocity loss on the held-out clips under each kind of control, and the mean of the three."""
        dit = _as_dit(network)
        with dit.rough_products():
            return validation_figures(dit, self.held_out)

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Held-out clips and what is generated for them."""
        save_samples(_as_dit(network), self.held_out, folder / f"look-{step:06d}.png")


def validation_figures(dit: Dit, held_out: LatentStore) -> dict[str, float]:
    """`val_none`, `val_room`, `val_objects`: velocity loss under each kind of control; `val_loss` is their mean."""
    figures = {}
    for name, kind in KINDS.items():
        windows = first_windows(held_out, len(held_out), kind, dit.config.latent_size[0])
        figures[f"val_{name}"] = velocity_loss(dit, windows.latents, windows.condition)
    return {**figures, "val_loss": sum(figures.values()) / len(figures)}


def first_windows(store: LatentStore, count: int, kind: int, frames: int) -> Windows:
    """The windows with which the first `count` clips begin, all under one kind of control."""
    return store.windows(list(range(count)), [0] * count, [kind] * count, frames)


@dataclass(frozen=True, eq=False)
class DitData:
    """Latents of training and held-out clips, and what is known of their making."""

    train: LatentStore
    held_out: LatentStore
    recipe: dict[str, str | int]


def train_dit(
    plan: TrainingPlan,
    data: DitData,
    policy: DitPolicy,
    config: DitConfig,
    resume: bool,
    start_from: Path | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Train, write `plan.out / "dit.safetensors"`, return the last figures with those of the untrained network.

    Args:
        start_from: weights to begin with where there is no state to resume.

    Raises:
        TrainingDiverged: a loss was not finite.
        ModelError: `start_from` is of another architecture.
    """
    torch.manual_seed(plan.seed)
    dit = Dit(config)
    untrained = validation_figures(dit.eval(), data.held_out)["val_loss"]
    if start_from is not None:
        _begin_with(dit, start_from)
    dit.train()
    average = copy.deepcopy(dit)
    opening = first_windows(data.train, min(WEIGHED_CLIPS, len(data.train)), CONTROL_NONE, config.latent_size[0])
    weights = picture_weights(data.train.coder.vae, opening.latents)
    task = DitTask(dit, average, data.train, data.held_out, policy, weights)
    training = Training(task, plan, average, resume)
    training.run(on_progress)
    figures = {**validation_figures(average, data.held_out), "untrained_val_loss": untrained}
    save_dit(average, plan.out / "dit.safetensors", data.recipe, training, figures)
    return {"steps": float(training.step), "trained_s": training.trained_s, **figures}


def save_dit(dit: Dit, path: Path, recipe: dict[str, Any], training: Training, figures: dict[str, float]) -> None:
    """Write the weights with what trained them."""
    facts = {"steps": training.step, "trained_s": round(training.trained_s), "batch": BATCH}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    save_checkpoint(dit, {**recipe, **facts, **rounded}, path)


def _begin_with(dit: Dit, path: Path) -> None:
    dit.load_state_dict(grown_dit(load_dit(path), dit.config).state_dict())


def _with_first(all_rows: Tensor, first: Tensor) -> Tensor:
    return torch.cat([first, all_rows[len(first) :]])


def _as_dit(network: nn.Module) -> Dit:
    if not isinstance(network, Dit):
        raise TypeError(f"expected a Dit, got {type(network).__name__}")
    return network
