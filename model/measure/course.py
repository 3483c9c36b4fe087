"""The course that a checkpoint runs: every figure of issue 3's table that its clips give, on held-out scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from clips.dungeon.render import render_sample
from model.dit import Dit
from model.measure.accuracy import Accuracy
from model.measure.figures import (
    Figures,
    control_gain,
    distribution_figures,
    lowest_right,
    mmd_ratio,
    step_figures,
    way_figures,
)
from model.measure.generation import Blockout, MadeClip, generate, told
from model.measure.likeness import mean_clip, picture_error
from model.measure.reconstruction import reconstruction_figures
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scene
from model.measure.velocity import velocity_loss
from model.measure.ways import Gathered, Measuring, Way, decoded_clips, real_clips
from model.rgbd import pack_rgbd

FEW, MANY = 4, 20
"""The steps that issue 3 compares."""

TRAINING_SEED = 0
REAL, DECODED = "real", "decoded"
"""Real clips judged as if they were generated, and the same through the autoencoder: what generation could reach."""

SHOWN_BLOCKOUTS = (Blockout.OBJECTS, Blockout.NONE, Blockout.LAYOUT)


@dataclass(frozen=True)
class Counts:
    """How much is measured.

    Attributes:
        clips, seeds: scenes of each seed, and seeds; every seed has scenes of its own.
        coded: scenes that the autoencoder is measured on.
        pairs: scenes with a word pair that training never has.
        paths: scenes with camera paths that training never has.
        mean_of: training scenes that the mean clip is made of.
        noised: scenes that the velocity loss is measured on.
        sheets: scenes that get a contact sheet.
    """

    clips: int
    seeds: int
    coded: int = 200
    pairs: int = 120
    paths: int = 48
    mean_of: int = 200
    noised: int = 64
    sheets: int = 8


@dataclass(frozen=True)
class Policy:
    """How segments are made where nobody says otherwise: steps of both qualities, and the blockout."""

    draft_steps: int
    full_steps: int
    blockout: Blockout

    def ways(self) -> list[Way]:
        """Every way that is measured on every seed's scenes."""
        steps = sorted({self.draft_steps, self.full_steps, FEW, MANY})
        found = [Way(blockout, count) for blockout in (Blockout.OBJECTS, Blockout.NONE) for count in steps]
        return [*found, Way(Blockout.LAYOUT, self.full_steps)]


@dataclass(eq=False)
class Results:
    """Figures by name, and the accuracies among them (their intervals)."""

    figures: Figures = field(default_factory=dict)
    accuracies: dict[str, Accuracy] = field(default_factory=dict)

    def add(self, figures: Figures, accuracies: dict[str, Accuracy], prefix: str = "", suffix: str = "") -> None:
        """Add figures under prefixed and suffixed names."""
        self.figures |= {f"{prefix}{name}{suffix}": value for name, value in figures.items()}
        self.accuracies |= {f"{prefix}{name}{suffix}": value for name, value in accuracies.items()}


@dataclass(frozen=True)
class Stage:
    """A part of the course that may be run in a process of its own: SEED `index`, PAIRS, PATHS, or NETWORKS."""

    name: str
    index: int = 0


SEED, NETWORKS = "seed", "networks"


@dataclass(eq=False)
class Part:
    """What one stage found: clips by way (or `real`, `pairs`, `paths`), and figures that are complete."""

    gathered: dict[str, Gathered] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Course:
    """What is measured, with what.

    Attributes:
        measuring: networks, judge, sampling, picture error.
        policy: of the product.
        counts: how much.
        size: of the clips that the networks make.
        on_sheet: called with the first scenes and their clips by way, once.
    """

    measuring: Measuring
    policy: Policy
    counts: Counts
    size: ClipSize
    on_sheet: Callable[[list[Scene], dict[str, list[MadeClip]]], None]

    def generated_clips(self) -> list[tuple[int, int]]:
        """(steps, clips) of all that is generated, to foretell how long it takes."""
        counts, policy = self.counts, self.policy
        ways = policy.ways()
        each = [(way.steps, counts.clips * counts.seeds) for way in ways]
        shown = [(way.steps, counts.sheets) for way in _shown_ways() if way not in ways]
        return [*each, (policy.full_steps, counts.pairs + counts.paths), *shown]

    def stages(self) -> list[Stage]:
        """Every stage, the longest first."""
        seeds = [Stage(SEED, index) for index in range(self.counts.seeds)]
        return [*seeds, Stage(SceneKind.PAIRS), Stage(SceneKind.PATHS), Stage(NETWORKS)]

    def run(self, stage: Stage) -> Part:
        """What one stage finds; the same in any process."""
        if stage.name == SEED:
            return self._seed(stage.index)
        if stage.name == NETWORKS:
            scenes = self.scenes(SceneKind.HELD_OUT, 0, min(self.counts.noised, self.counts.clips))
            return Part(figures={**self._networks(scenes), **self._mean_clip(scenes)})
        kind = SceneKind(stage.name)
        count = self.counts.pairs if kind is SceneKind.PAIRS else self.counts.paths
        found, default = Gathered(), Way(self.policy.blockout, self.policy.full_steps)
        self.measuring.measure(default, self.scenes(kind, 0, count), _noise_seed(self.counts.seeds), found)
        return Part({str(kind): found})

    def combine(self, parts: Sequence[Part]) -> Results:
        """All figures out of the parts of all stages, in the order of `stages`."""
        results, gathered = Results(), Gathered.joined([part.gathered for part in parts])
        real, ways = gathered[REAL], {way: gathered[str(way)] for way in self.policy.ways()}
        results.add(*way_figures(gathered[DECODED]), suffix=f"_{DECODED}")
        self._add_ways(results, real, ways)
        self._add_steps(results, real, ways)
        for kind in (SceneKind.PAIRS, SceneKind.PATHS):
            results.add(*way_figures(gathered[str(kind)]), prefix=f"{kind}_")
        for part in parts:
            results.figures |= part.figures
        errors = ways[Way(self.policy.blockout, self.policy.full_steps)].errors[: self.counts.noised]
        results.figures["flip_over_mean_clip"] = float(np.mean(errors)) / results.figures["flip_mean_clip"]
        return results

    def scenes(self, kind: SceneKind, first: int, count: int) -> list[Scene]:
        """Scenes of a kind, in the size of the networks."""
        return [make_scene(kind, index, self.size) for index in range(first, first + count)]

    def _seed(self, seed: int) -> Part:
        """Real clips and every way on the scenes of a seed; the first seed's are shown too."""
        scenes = self.scenes(SceneKind.HELD_OUT, seed * self.counts.clips, self.counts.clips)
        part, shown = Part({REAL: Gathered(), DECODED: Gathered()}), {}
        self.measuring.add(scenes, real_clips(scenes), part.gathered[REAL])
        self.measuring.add(scenes, decoded_clips(self.measuring.networks[0], scenes), part.gathered[DECODED])
        for way in self.policy.ways():
            found = part.gathered[str(way)] = Gathered()
            made = self.measuring.measure(way, scenes, _noise_seed(seed), found)
            shown[str(way)] = made[: self.counts.sheets]
        if seed == 0:
            self._show(scenes[: self.counts.sheets], shown)
        return part

    def _show(self, scenes: list[Scene], shown: dict[str, list[MadeClip]]) -> None:
        """The ways on a few scenes, with one and two steps beside them; by blockout, then by steps."""
        measuring, every = self.measuring, dict.fromkeys([*self.policy.ways(), *_shown_ways()])
        for way in every:
            if str(way) not in shown:
                networks, how = measuring.networks, measuring.sampling(way.steps)
                shown[str(way)] = generate(networks, scenes, way.blockout, how, _noise_seed(0), measuring.on_clips)
        ordered = sorted(every, key=lambda way: (SHOWN_BLOCKOUTS.index(way.blockout), way.steps))
        self.on_sheet(scenes, {str(way): shown[str(way)] for way in ordered})

    def _add_ways(self, results: Results, real: Gathered, gathered: dict[Way, Gathered]) -> None:
        full = self.policy.full_steps
        figures, accuracies = way_figures(real)
        results.add(figures, accuracies, suffix=f"_{REAL}")
        results.figures["judge_lowest_on_real"] = lowest_right(figures)
        results.figures["judged_clips"] = float(len(real.verdicts))
        for way, found in gathered.items():
            ending = f"_{way.blockout}" if way.steps == full else f"_{way}"
            results.add(*way_figures(found), suffix=ending)
        results.add(*way_figures(gathered[Way(self.policy.blockout, full)]))
        with_control, without = (
            way_figures(gathered[Way(kind, full)])[0] for kind in (Blockout.OBJECTS, Blockout.NONE)
        )
        results.figures["room_depth_gain"] = control_gain(with_control, without)

    def _add_steps(self, results: Results, real: Gathered, gathered: dict[Way, Gathered]) -> None:
        """Few steps beside many, drafts beside full ones; the worse of with and without blockout."""
        distances, noise = distribution_figures(real, {str(way): found for way, found in gathered.items()})
        results.figures |= {f"mmd_squared_{name}": value for name, value in distances.items()}
        results.figures["mmd_squared_noise"] = noise
        few, drafts, mmds = [], [], []
        for kind in (Blockout.OBJECTS, Blockout.NONE):
            of = {steps: way_figures(gathered[Way(kind, steps)])[0] for steps in self._steps()}
            few.append(step_figures(of[FEW], of[MANY]))
            drafts.append(step_figures(of[self.policy.draft_steps], of[self.policy.full_steps]))
            mmds.append(mmd_ratio(distances, str(Way(kind, FEW)), str(Way(kind, MANY)), noise))
        results.figures |= {
            "four_steps_attribute_loss": max(one["attribute_loss"] for one in few),
            "four_steps_flip_ratio": max(one["flip_ratio"] for one in few),
            "four_steps_mmd_ratio": max(mmds),
            "draft_attribute_share": min(one["attribute_share"] for one in drafts),
        }

    def _steps(self) -> set[int]:
        return {FEW, MANY, self.policy.draft_steps, self.policy.full_steps}

    @torch.inference_mode()
    def _networks(self, scenes: list[Scene]) -> Figures:
        """Reconstruction by the autoencoder, and the velocity loss beside that of an untrained transformer."""
        vae, dit = self.measuring.networks
        coded = (make_scene(SceneKind.HELD_OUT, index, self.size) for index in range(self.counts.coded))
        figures = reconstruction_figures(vae, ((one.frames, one.depth, one.object_mask) for one in coded))
        latents = torch.cat([vae.encode(pack_rgbd(scene.frames, scene.depth)[None]) for scene in scenes])
        condition = told((vae, dit), scenes, Blockout.NONE, list(range(len(scenes))))
        torch.manual_seed(0)
        ours, theirs = (velocity_loss(net, latents, condition) for net in (dit, Dit(dit.config).eval()))
        return {
            **{f"vae_{name}": value for name, value in figures.items()},
            "velocity_loss": ours,
            "velocity_loss_untrained": theirs,
            "velocity_loss_over_untrained": ours / theirs,
        }

    def _mean_clip(self, scenes: list[Scene]) -> Figures:
        """FLIP of the mean of training clips against the real clips of these scenes."""
        frames, _ = mean_clip(_training_clips(self.counts.mean_of, self.size))
        error = self.measuring.picture_error
        return {"flip_mean_clip": float(np.mean([picture_error(error, scene.frames, frames) for scene in scenes]))}


def _shown_ways() -> list[Way]:
    """Fewer steps than are measured, to look at."""
    return [Way(blockout, steps) for blockout in (Blockout.OBJECTS, Blockout.NONE) for steps in (1, 2)]


def _training_clips(count: int, size: ClipSize) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    for seed in range(TRAINING_SEED, TRAINING_SEED + count):
        clip = render_sample(seed, False, size.frames, size.width, size.height, size.fps).clip
        yield clip.frames, clip.depth


def _noise_seed(seed: int) -> int:
    return 100_000 * seed
