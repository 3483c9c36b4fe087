"""Solvers of the probability-flow equation dx/dsigma = velocity(x, sigma), from noise to data.

A sampler knows a velocity, a state and a grid of sigmas; architecture, conditions and guidance are the velocity's
business (`model/guidance.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import InvalidSpec

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x of shape (B, ...), sigmas of shape (B,)) to dx/dsigma of the shape of x."""

OnStep = Callable[[int, Tensor], None]
"""Called after each step with the steps done so far and the new state."""


def sigma_grid(steps: int, shift: float) -> Float[Tensor, " steps+1"]:
    """Sigmas (steps + 1,) from 1 down to 0; shift > 1 spends more steps near noise (arXiv 2403.03206, equation 23).

    Raises:
        InvalidSpec: steps < 1 or shift <= 0.
    """
    if steps < 1 or not shift > 0:
        raise InvalidSpec(f"a sigma grid needs steps >= 1 and shift > 0, got {steps} and {shift}")
    even = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    return (shift * even / (1.0 + (shift - 1.0) * even)).float()


def sample_euler(
    velocity: Velocity, state: Float[Tensor, "B *rest"], sigmas: Float[Tensor, " K"], on_step: OnStep | None = None
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by first-order steps from `state` at sigmas[0]; K - 1 velocity calls."""
    for step, (here, there) in enumerate(_intervals(sigmas)):
        state = state + (there - here) * velocity(state, here.expand(len(state)))
        if on_step is not None:
            on_step(step + 1, state)
    return state


def sample_heun(
    velocity: Velocity, state: Float[Tensor, "B *rest"], sigmas: Float[Tensor, " K"], on_step: OnStep | None = None
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by second-order steps (trapezoid after an Euler guess); 2 (K - 1) velocity calls."""
    for step, (here, there) in enumerate(_intervals(sigmas)):
        slope = velocity(state, here.expand(len(state)))
        guess = state + (there - here) * slope
        state = state + (there - here) * 0.5 * (slope + velocity(guess, there.expand(len(state))))
        if on_step is not None:
            on_step(step + 1, state)
    return state


def _intervals(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(pairwise(sigmas))


def seeded_noise(seeds: list[int], shape: tuple[int, ...]) -> Float[Tensor, "B *shape"]:
    """Standard normal noise (B, *shape), each sample from its own seed, so that a batch equals single runs."""
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
