"""Training of an adapter: the base's own velocity loss on clips of a style, and a hold on geometry everywhere else.

The base stays as it is; only low-rank layers beside it learn. A style has no word, the adapter itself is what calls it
up, so a prior of plain base clips would teach it to be half a style. What the prior rows hold fast is therefore what
a style leaves alone: in rooms that the base's renderer draws, with the words of the style's clips and cameras of their
own, the depth that the velocity implies must stay right. Colours are free there.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoint import write_atomically
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.dit import Dit
from model.errors import ModelError
from model.guidance import guided_velocity
from model.interpolant import interpolate, velocity
from model.lora import Lora, LoraConfig
from model.lora_file import load_lora, save_lora
from model.measure.velocity import velocity_loss
from model.revision import GUIDANCE
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, seeded_noise, sigma_grid
from model.train.depth_metric import depth_loss, depth_metric
from model.train.dit import WEIGHED_CLIPS, WITH_OBJECTS, WITH_ROOM, drop_slots, picture_weights, weighted_loss
from model.train.few_step import SHIFT, segment_targets
from model.train.latents import LatentStore, Windows
from model.train.loop import Moment, OnProgress, Training, TrainingPlan
from model.train.low_rank import LowRankLayers
from model.train.noise import given_frames, sample_frame_noise
from model.train.pictures import save_sheet

FACTS_FILE = "training.json"
BEST_FILE = "best.safetensors"
VALIDATED_PRIOR = 16
LOOK_CLIPS = 3
LOOK_STEPS = 12


@dataclass(frozen=True)
class LoraPolicy:
    """What a step of the training is made of.

    Attributes:
        style_rows: windows of the style's clips in a batch.
        prior_rows: windows of the base's own rooms in a batch; 0 is no hold on geometry.
        prior_weight: what their loss weighs beside the style's.
        map_share: last share of the training in which some of the style's windows teach the few-step map.
        map_rows: how many of them.
        held_out: one in so many clips is kept for validation.

    Raises:
        ModelError: a number is out of range.
    """

    style_rows: int = 6
    prior_rows: int = 2
    prior_weight: float = 1.0
    map_share: float = 0.4
    map_rows: int = 2
    held_out: int = 10

    def __post_init__(self) -> None:
        rows = self.style_rows >= 1 and self.prior_rows >= 0 and 0 <= self.map_rows <= self.style_rows
        if not rows or not 0.0 <= self.prior_weight <= 100.0 or not 0.0 <= self.map_share <= 1.0 or self.held_out < 2:
            raise ModelError(f"lora training: a number is out of range: {self}")

    def teaches_map(self, progress: float) -> bool:
        """True in the last part of the training."""
        return self.map_rows > 0 and self.map_share > 0.0 and progress >= 1.0 - self.map_share


@dataclass(frozen=True, eq=False)
class LoraData:
    """What an adapter is trained on.

    Attributes:
        dit: the base; never changed.
        base_revision: which weights the base is of.
        style: latents of the style's clips.
        prior: latents of the base's own rooms.
        recipe: what is known of the clips, for the adapter's header.
    """

    dit: Dit
    base_revision: str
    style: LatentStore
    prior: LatentStore
    recipe: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LoraTask:
    """Learn the style's velocity with low-rank layers beside the base.

    Attributes:
        network: the layers in training.
        average: their average, which makes the few-step map's targets.
        channel_weights: from `model.train.dit.picture_weights`, (C,).
        depth_metric: from `depth_metric`, (2, C, C).
        trained: the first so many style clips are trained on, the rest validated on.
    """

    network: LowRankLayers
    average: LowRankLayers
    data: LoraData
    policy: LoraPolicy
    channel_weights: Tensor
    depth_metric: Tensor
    trained: int

    def loss(self, random: torch.Generator, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """Weighted velocity error of the style's windows, and the depth error of the prior's."""
        policy, frames = self.policy, self.data.dit.config.latent_size[0]
        style = self._windows(self.data.style, self.trained, policy.style_rows, random)
        windows = style
        if policy.prior_rows:
            windows = _joined(style, self._windows(self.data.prior, len(self.data.prior), policy.prior_rows, random))
        noise = torch.randn(windows.latents.shape, generator=random)
        levels = sample_frame_noise(~windows.condition.starts, frames, random)
        points, targets = interpolate(windows.latents, noise, levels.sigmas), velocity(windows.latents, noise)
        sigmas, sigma_next, given = levels.sigmas, levels.sigmas, levels.given
        teaches = policy.teaches_map(moment.progress)
        if teaches:
            first = windows.rows(slice(0, policy.map_rows))
            clean = given_frames(~first.condition.starts, frames, random)
            with self.average.beside(self.data.dit):
                taught = segment_targets(self.data.dit, first, clean, random)
            points, targets = _with_first(points, taught.points), _with_first(targets, taught.targets)
            sigmas, sigma_next = _with_first(sigmas, taught.sigmas), _with_first(sigmas, taught.sigma_next)
            given = _with_first(given, clean)
        with self.network.beside(self.data.dit.train()):
            error = self.data.dit(points, sigmas, windows.condition, sigma_next) - targets
        return self._losses(error, windows, given, policy.map_rows if teaches else 0)

    def _losses(self, error: Tensor, windows: Windows, given: Tensor, map_rows: int) -> tuple[Tensor, dict[str, float]]:
        rows = self.policy.style_rows
        squared = error[:rows].square()
        loss = weighted_loss(squared, windows.rows(slice(0, rows)), given[:rows], self.channel_weights)
        plain = squared.detach().mean((1, 3, 4)).masked_fill(given[:rows], 0.0).sum(1) / (~given[:rows]).sum(1)
        figures = {"style_loss": plain[map_rows:].mean().item()} if map_rows < rows else {}
        if map_rows:
            figures["map_loss"] = plain[:map_rows].mean().item()
        if len(error) > rows:
            of_depth = depth_loss(error[rows:], given[rows:], self.depth_metric)
            loss = loss + self.policy.prior_weight * of_depth
            figures["prior_depth_loss"] = of_depth.item()
        return loss, figures

    def _windows(self, store: LatentStore, clips: int, count: int, random: torch.Generator) -> Windows:
        """Whole clips with their kinds of control, slots dropped as in the base's training."""
        rows = torch.randint(clips, (count,), generator=random).tolist()
        dice = torch.rand(count, generator=random)
        free = torch.where(dice < WITH_OBJECTS + WITH_ROOM, CONTROL_ROOM, CONTROL_NONE)
        kinds = torch.where(dice < WITH_OBJECTS, CONTROL_OBJECTS, free).tolist()
        windows = store.windows(rows, [0] * count, kinds, self.data.dit.config.latent_size[0])
        slots = drop_slots(windows.condition.slots, random)
        return replace(windows, condition=replace(windows.condition, slots=slots))

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Velocity loss on the style's held-out clips, and on the prior's in depth."""
        style, prior = self.data.style, self.data.prior
        kept = _whole(style, range(self.trained, len(style)), self.data.dit)
        rooms = _whole(prior, range(min(VALIDATED_PRIOR, len(prior))), self.data.dit)
        dit = self.data.dit.eval()
        with _as_layers(network).beside(dit), dit.rough_products():
            return {
                "val_loss": velocity_loss(dit, kept.latents, kept.condition),
                "val_prior": velocity_loss(dit, rooms.latents, rooms.condition),
            }

    @torch.no_grad()
    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Three rows for each of some held-out clips: the clip (through the VAE), the base, and the adapter on it."""
        style, dit = self.data.style, self.data.dit.eval()
        first = max(0, len(style) - LOOK_CLIPS)
        real = _whole(style, range(first, len(style)), dit)
        noise = dit.start_of(seeded_noise(list(range(len(real))), tuple(real.latents.shape[1:])))
        flow, sigmas = guided_velocity(dit, real.condition, GUIDANCE), sigma_grid(LOOK_STEPS, SHIFT)
        with dit.rough_products():
            plain = sample_euler(flow, noise, sigmas)
            with _as_layers(network).beside(dit):
                styled = sample_euler(flow, noise, sigmas)
        rows = [one[index] for index in range(len(real)) for one in (real.latents, plain, styled)]
        vae = style.coder.vae
        save_sheet([unpack_rgbd(vae.decode(one[None])[0]) for one in rows], folder / f"look-{step:06d}.png")


def adapter_path(out: Path) -> Path:
    """Where a training in `out` writes its adapter: named as the folder is, so that several may be told apart."""
    return out / f"{out.resolve().name}.safetensors"


@dataclass(frozen=True, eq=False)
class BestAdapter:
    """The adapter of lowest `val_loss` so far, in a file: a style's clips are few, and are known by heart at last.

    A resumed training that lost its last steps offers the same adapters again, so the file may be ahead of it.
    """

    path: Path
    base_revision: str

    @property
    def val_loss(self) -> float:
        """That of the adapter in the file; infinity where there is none."""
        return float(load_lora(self.path).recipe["val_loss"]) if self.path.exists() else math.inf

    def offer(self, layers: LowRankLayers, step: int, figures: Mapping[str, float]) -> None:
        """Keep the layers if their `val_loss` is lower than that of the file."""
        if figures["val_loss"] < self.val_loss:
            kept = {"kept_step": step, **{name: figures[name] for name in ("val_loss", "val_prior")}}
            save_lora(layers.as_lora(self.base_revision, kept), self.path)


def train_lora(
    plan: TrainingPlan,
    data: LoraData,
    config: LoraConfig,
    policy: LoraPolicy,
    resume: bool,
    on_progress: OnProgress | None = None,
) -> tuple[Lora, dict[str, float]]:
    """Train, write the adapter to `adapter_path(plan.out)`; the adapter and its figures beside those of the base.

    The adapter is that of the lowest `val_loss` among those looked at: every `plan.look_every` steps, and the last.

    Raises:
        TrainingDiverged: a loss was not finite.
        ModelError: too few clips to hold one out, or the folder holds a training of another adapter.
    """
    trained = len(data.style) - max(1, len(data.style) // policy.held_out)
    if trained < 1:
        raise ModelError(f"lora training: one clip is held out, so at least two are needed, got {len(data.style)}")
    _claim(plan.out, data, config, policy)
    torch.manual_seed(plan.seed)
    data.dit.requires_grad_(False)
    layers = LowRankLayers(data.dit, config)
    average = copy.deepcopy(layers)
    vae = data.style.coder.vae
    weights = picture_weights(vae, _whole(data.style, range(min(WEIGHED_CLIPS, trained)), data.dit).latents)
    metric = depth_metric(vae, data.dit.config.latent_size)
    task = LoraTask(layers, average, data, policy, weights, metric, trained)
    before = {f"base_{name}": value for name, value in task.validate(LowRankLayers(data.dit, config)).items()}
    best = BestAdapter(plan.out / BEST_FILE, data.base_revision)

    def looked(share: float, line: dict[str, float]) -> None:
        if "val_loss" in line:
            best.offer(average, int(line["step"]), line)
        if on_progress is not None:
            on_progress(share, line)

    training = Training(task, plan, average, resume)
    if not training.step:
        best.path.unlink(missing_ok=True)
    try:
        training.run(looked)
    finally:
        data.dit.eval()
    best.offer(average, training.step, task.validate(average))
    return _finished(plan.out, best, task, training, before)


def _finished(
    out: Path, best: BestAdapter, task: LoraTask, training: Training, before: Mapping[str, float]
) -> tuple[Lora, dict[str, float]]:
    """The best adapter, written under the training's name with all that is known of it, and its figures."""
    kept = load_lora(best.path)
    figures = {name: float(kept.recipe[name]) for name in ("kept_step", "val_loss", "val_prior")}
    figures |= before
    task.look(_layers_of(kept, task), out, int(kept.recipe["kept_step"]))
    facts = {"steps": training.step, "trained_s": round(training.trained_s, 1), "style_rows": task.policy.style_rows}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    lora = replace(kept, recipe={**task.data.recipe, **facts, **rounded, "kept_step": int(kept.recipe["kept_step"])})
    save_lora(lora, adapter_path(out))
    return lora, {"steps": float(training.step), "trained_s": training.trained_s, **figures}


def _layers_of(lora: Lora, task: LoraTask) -> LowRankLayers:
    layers = LowRankLayers(task.data.dit, lora.config)
    layers.start_from(lora)
    return layers


def _claim(folder: Path, data: LoraData, config: LoraConfig, policy: LoraPolicy) -> None:
    """Write down what the folder trains, or refuse where it trains something else."""
    facts = {"base": data.base_revision, "style": data.style.source.key(), "config": str(config), "policy": str(policy)}
    path = folder / FACTS_FILE
    if path.exists():
        there = json.loads(path.read_text())
        differing = [name for name in facts if there.get(name) != facts[name]]
        if differing:
            name = differing[0]
            raise ModelError(f"{folder} trains another adapter: {name} is {there.get(name)}, wanted {facts[name]}")
    write_atomically(path, json.dumps(facts, sort_keys=True).encode())


def _whole(store: LatentStore, clips: range, dit: Dit) -> Windows:
    """Whole clips under the prompt alone."""
    count = len(clips)
    return store.windows(list(clips), [0] * count, [CONTROL_NONE] * count, dit.config.latent_size[0])


def _joined(first: Windows, second: Windows) -> Windows:
    return Windows(
        torch.cat([first.latents, second.latents]),
        first.condition.joined(second.condition),
        torch.cat([first.coverage, second.coverage]),
    )


def _with_first(every_row: Tensor, first: Tensor) -> Tensor:
    return torch.cat([first, every_row[len(first) :]])


def _as_layers(network: nn.Module) -> LowRankLayers:
    if not isinstance(network, LowRankLayers):
        raise TypeError(f"expected LowRankLayers, got {type(network).__name__}")
    return network
