"""Targets that teach the transformer its flow map: a segment's mean velocity is that of its two halves.

Shortcut models (arXiv 2410.12557, equations 4 and 5) with two noise levels instead of a step size: the network u(x,
sigma, sigma_next) is asked on the sampler's own grids of 8, 4, 2 and 1 steps. The halves of a segment of the 8-step
grid are steps of the guided velocity itself, so the map has guidance inside and needs one pass a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.dit import Dit
from model.guidance import flow_map, guided_velocity
from model.interpolant import interpolate
from model.revision import GUIDANCE
from model.sampler import FlowMap, Velocity, sigma_grid
from model.train.latents import Windows

GRIDS = (8, 4, 2, 1)
SHIFT = 2.0


@dataclass(frozen=True, eq=False)
class Segments:
    """Points on segments of a sampling grid, and the mean velocity to learn.

    Attributes:
        points: noisy latents, (B, C, t, h, w).
        sigmas, sigma_next: where each segment begins and ends, (B, t); 0 where a frame is given.
        targets: of the shape of `points`; meaningless in given frames.
    """

    points: Float[Tensor, "B C t h w"]
    sigmas: Float[Tensor, "B t"]
    sigma_next: Float[Tensor, "B t"]
    targets: Float[Tensor, "B C t h w"]


@torch.no_grad()
def segment_targets(teacher: Dit, windows: Windows, given: Bool[Tensor, "B t"], random: torch.Generator) -> Segments:
    """Segments of one grid, drawn from `random`, for these windows; `teacher` is the averaged network."""
    steps = GRIDS[int(torch.randint(len(GRIDS), (1,), generator=random))]
    fine = sigma_grid(2 * steps, SHIFT)
    index = 2 * torch.randint(steps, (len(windows),), generator=random)
    here, middle, there = (fine[index + k].unsqueeze(1).expand(given.shape).masked_fill(given, 0.0) for k in range(3))
    noise = torch.randn(windows.latents.shape, generator=random)
    points = interpolate(windows.latents, noise, here)
    with teacher.rough_products():
        half = _half(teacher, windows, steps)
        first = half(points, here, middle)
        second = half(points + _cells(middle - here) * first, middle, there)
    share = ((middle - here) / (there - here)).nan_to_num(0.5)
    return Segments(points, here, there, _cells(share) * first + _cells(1.0 - share) * second)


def _half(teacher: Dit, windows: Windows, steps: int) -> FlowMap:
    """What makes a half segment: the map itself, or at the finest grid a step of the guided velocity."""
    if steps != GRIDS[0]:
        return flow_map(teacher, windows.condition)
    velocity: Velocity = guided_velocity(teacher, windows.condition, GUIDANCE)
    return lambda points, sigmas, _sigma_next: velocity(points, sigmas)


def _cells(of_frames: Float[Tensor, "B t"]) -> Float[Tensor, "B 1 t 1 1"]:
    return of_frames[:, None, :, None, None]
