"""Noise levels of training windows: one for all frames, the first frames given, or one for every frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

GIVEN = 0.15
GIVEN_WHERE_CONTINUED = 0.5
INDEPENDENT = 0.1
ONE_GIVEN = 0.8
UNIFORM = 0.125
LOGIT_MEAN = 0.3


@dataclass(frozen=True, eq=False)
class FrameNoise:
    """Noise of B windows of t latent frames.

    Attributes:
        sigmas: of every frame, (B, t); 0 where it is given.
        given: frames that are shown clean and not learned from, (B, t).
    """

    sigmas: Float[Tensor, "B t"]
    given: Bool[Tensor, "B t"]


def sample_sigmas(count: int, random: torch.Generator) -> Float[Tensor, " B"]:
    """Training noise levels (B,): logit-normal as in arXiv 2403.03206, one in eight uniform to cover the ends."""
    middle = torch.sigmoid(LOGIT_MEAN + torch.randn(count, generator=random))
    uniform = torch.rand(count, generator=random)
    return torch.where(torch.rand(count, generator=random) < UNIFORM, uniform, middle)


def given_frames(continued: Bool[Tensor, " B"], frames: int, random: torch.Generator) -> Bool[Tensor, "B t"]:
    """Which frames are given: none mostly, else the first one (sometimes more), never all.

    Windows that do not begin with their clip are continuations half of the time.
    """
    count = len(continued)
    share = torch.where(continued, GIVEN_WHERE_CONTINUED, GIVEN)
    chosen = torch.rand(count, generator=random) < share
    some = torch.randint(1, max(frames, 2), (count,), generator=random)
    one = torch.rand(count, generator=random) < ONE_GIVEN
    how_many = torch.where(chosen, torch.where(one, 1, some), 0).clamp(max=frames - 1)
    return torch.arange(frames) < how_many.unsqueeze(1)


def sample_frame_noise(continued: Bool[Tensor, " B"], frames: int, random: torch.Generator) -> FrameNoise:
    """Noise of windows; `continued` (B,) are those that do not begin with their clip.

    Where no frame is given, one window in ten has a sigma of its own for every frame (arXiv 2407.01392).
    """
    count = len(continued)
    given = given_frames(continued, frames, random)
    together = sample_sigmas(count, random).unsqueeze(1).expand(-1, frames)
    apart = sample_sigmas(count * frames, random).view(count, frames)
    independent = (torch.rand(count, generator=random) < INDEPENDENT).unsqueeze(1) & ~given.any(1, keepdim=True)
    return FrameNoise(torch.where(independent, apart, together).masked_fill(given, 0.0), given)
