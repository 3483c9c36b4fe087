"""A network under a condition, as a velocity or a flow map that any sampler can use.

Classifier-free guidance is arXiv 2207.12598; restricting it to an interval of noise levels is arXiv 2404.07724: at
high noise it costs variety, at low noise it costs time and changes little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.dit import Condition, Dit
from model.errors import InvalidSpec
from model.revision import GUIDANCE, MAP_PUSHES
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


def guided_map(dit: Dit, condition: Condition, steps: int, guidance: float) -> FlowMap:
    """The mean velocity for `steps` jumps, pushed away from that without slots beyond what was taught.

    The map was taught `GUIDANCE`; yet a mean over many clips that fit blurs what few of them show, such as a prop,
    and a push brings it back. At `guidance` = `GUIDANCE` it is `MAP_PUSHES[steps]`, and it goes with guidance - 1; at
    guidance 1, or for a single step, there is none, and a jump is one pass of B instead of 2 B.

    Raises:
        InvalidSpec: the flow map is not for so many steps.
    """
    if steps not in MAP_PUSHES:
        raise InvalidSpec(f"the flow map makes {min(MAP_PUSHES)} to {max(MAP_PUSHES)} steps, got {steps}")
    push = 1.0 + MAP_PUSHES[steps] * (guidance - 1.0) / (GUIDANCE - 1.0)
    if push == 1.0:
        return flow_map(dit, condition)
    both = condition.without_slots().joined(condition)

    def mean_velocity(state: Tensor, sigmas: Tensor, sigma_next: Tensor) -> Tensor:
        doubled = torch.cat([state, state]), torch.cat([sigmas, sigmas]), both, torch.cat([sigma_next, sigma_next])
        without, with_slots = dit(*doubled).chunk(2)
        return without + push * (with_slots - without)  # type: ignore[no-any-return]

    return mean_velocity


def flow_map(dit: Dit, condition: Condition) -> FlowMap:
    """The network's mean velocity between two sigmas, one pass of B; guidance was trained into it."""

    def mean_velocity(state: Tensor, sigmas: Tensor, sigma_next: Tensor) -> Tensor:
        return dit(state, sigmas, condition, sigma_next)  # type: ignore[no-any-return]

    return mean_velocity
