"""Classifier-free guidance (arXiv 2207.12598) around a network, as a velocity that any sampler can use."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from model.dit import UNKNOWN, Dit
from model.sampler import Velocity


def guided_velocity(dit: Dit, slots: Int64[Tensor, "B S"], rays: Float[Tensor, "B 12 t h w"], scale: float) -> Velocity:
    """The velocity without - with slots, pushed by `scale`; both in one batch of 2 B.

    At scale 1 it is the velocity with slots and costs a batch of B (test_guidance_at_scale_one_is_none). The
    cameras are told in both halves: guidance sharpens what is in the room, never where it is seen from.
    """
    nothing_said = torch.full_like(slots, UNKNOWN)

    def plain(state: Tensor, sigmas: Tensor) -> Tensor:
        return dit(state, sigmas, slots, rays)  # type: ignore[no-any-return]

    def guided(state: Tensor, sigmas: Tensor) -> Tensor:
        both = dit(
            torch.cat([state, state]),
            torch.cat([sigmas, sigmas]),
            torch.cat([nothing_said, slots]),
            torch.cat([rays, rays]),
        )
        without, with_slots = both.chunk(2)
        return without + scale * (with_slots - without)  # type: ignore[no-any-return]

    return plain if scale == 1.0 else guided
