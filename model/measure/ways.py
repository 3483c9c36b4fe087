"""Ways to generate, each measured on the same scenes, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from model.dit import Dit
from model.measure.distribution import random_features
from model.measure.generation import Blockout, MadeClip, Sampling, generate
from model.measure.judge import Judge
from model.measure.likeness import PictureError, picture_error
from model.measure.scenes import Scene
from model.measure.verdicts import Verdict, judge_clips
from model.rgbd import pack_rgbd, unpack_rgbd
from model.vae import Vae


@dataclass(frozen=True)
class Way:
    """A blockout and a number of steps."""

    blockout: Blockout
    steps: int

    def __str__(self) -> str:
        return f"{self.blockout}_{self.steps}"


@dataclass(eq=False)
class Gathered:
    """What was measured of one way so far, clip by clip, in the order of the scenes.

    Attributes:
        verdicts: of the judge and of geometry.
        errors: picture error against the real clip of the same scene.
        features: of the fixed random network, one array (n, F) a seed.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def joined(parts: Sequence[Mapping[str, Gathered]]) -> dict[str, Gathered]:
        """Parts that were gathered apart, by name and in their order."""
        whole: dict[str, Gathered] = {}
        for part in parts:
            for name, found in part.items():
                into = whole.setdefault(name, Gathered())
                into.verdicts += found.verdicts
                into.errors += found.errors
                into.features += found.features
        return whole

    @property
    def all_features(self) -> Tensor:
        """Features of every clip, (N, F)."""
        return torch.from_numpy(np.concatenate(self.features))


@dataclass(frozen=True, eq=False)
class Measuring:
    """What every way is measured with.

    Attributes:
        networks: VAE and transformer.
        judge: tells what clips show.
        sampling: number of steps to how they are made.
        picture_error: of two pictures.
        on_clips: called with how many clips were generated or judged just now.
    """

    networks: tuple[Vae, Dit]
    judge: Judge
    sampling: Callable[[int], Sampling]
    picture_error: PictureError
    on_clips: Callable[[int], None]

    def measure(self, way: Way, scenes: Sequence[Scene], first_seed: int, into: Gathered) -> list[MadeClip]:
        """Generate one clip a scene, add what is measured of them, and return them."""
        made = generate(self.networks, scenes, way.blockout, self.sampling(way.steps), first_seed, self.on_clips)
        self.add(scenes, made, into)
        return made

    def add(self, scenes: Sequence[Scene], clips: Sequence[MadeClip], into: Gathered) -> None:
        """Measure clips that were made for these scenes."""
        into.verdicts += judge_clips(self.judge, scenes, clips)
        pairs = zip(scenes, clips, strict=True)
        into.errors += [picture_error(self.picture_error, scene.frames, clip.frames) for scene, clip in pairs]
        into.features.append(random_features([clip.frames for clip in clips]).numpy())


def real_clips(scenes: Sequence[Scene]) -> list[MadeClip]:
    """The real clips of scenes, to be measured as if they were generated: the best that any way could reach."""
    return [MadeClip(scene.frames, scene.depth) for scene in scenes]


@torch.inference_mode()
def decoded_clips(vae: Vae, scenes: Sequence[Scene]) -> list[MadeClip]:
    """The real clips through the autoencoder: the best that a perfect transformer could reach."""
    packed = (pack_rgbd(scene.frames, scene.depth)[None] for scene in scenes)
    return [MadeClip(*unpack_rgbd(vae.decode(vae.encode(one))[0])) for one in packed]
