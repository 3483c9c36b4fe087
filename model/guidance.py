"""A network under a condition, as a velocity or a flow map that any sampler can use.

Classifier-free guidance is arXiv 2207.12598; restricting it to an interval of noise levels is arXiv 2404.07724: at
high noise it costs variety, at low noise it costs time and changes little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.dit import Condition, Dit
from model.errors import InvalidSpec
from model.sampler import FlowMap, Velocity


def guided_velocity(
    dit: Dit, condition: Condition, guidance: float, interval: tuple[float, float] = (0.0, 1.0)
) -> Velocity:
    """The velocity without - with slots, pushed by `guidance`, for sigmas within `interval` (both ends belong to it).

    Inside, both branches are one batch of 2 B; outside, and at guidance 1 everywhere, only the conditioned branch
    runs, a batch of B. Cameras and control are told in both branches: guidance sharpens what is in the room, never
    where it is seen from. A clip with a sigma for each latent frame counts as its noisiest frame.

    Raises:
        InvalidSpec: an interval that is not 0 <= low <= high <= 1.
    """
    low, high = interval
    if not 0.0 <= low <= high <= 1.0:
        raise InvalidSpec(f"guidance interval must be 0 <= low <= high <= 1, got {interval}")
    both = condition if guidance == 1.0 else condition.without_slots().joined(condition)

    def plain(state: Tensor, sigmas: Tensor) -> Tensor:
        return dit(state, sigmas, condition)  # type: ignore[no-any-return]

    def guided(state: Tensor, sigmas: Tensor) -> Tensor:
        noisiest = sigmas.flatten(1).amax(1) if sigmas.ndim > 1 else sigmas
        inside = (noisiest >= low) & (noisiest <= high)
        if not inside.any():
            return plain(state, sigmas)
        flow: Tensor = dit(torch.cat([state, state]), torch.cat([sigmas, sigmas]), both)
        without, with_slots = flow.chunk(2)
        pushed = without + guidance * (with_slots - without)
        return torch.where(inside.view(-1, *([1] * (state.ndim - 1))), pushed, with_slots)

    return plain if guidance == 1.0 else guided


def flow_map(dit: Dit, condition: Condition) -> FlowMap:
    """The network's mean velocity between two sigmas, one pass of B; guidance was trained into it."""

    def mean_velocity(state: Tensor, sigmas: Tensor, sigma_next: Tensor) -> Tensor:
        return dit(state, sigmas, condition, sigma_next)  # type: ignore[no-any-return]

    return mean_velocity
