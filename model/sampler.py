"""Solvers from noise to data: of the equation dx/dsigma = velocity, of its SDEs, and of a few-step flow map.

A sampler knows a velocity, a state and a grid of sigmas; architecture, conditions and guidance are the velocity's
business (`model/guidance.py`). A grid is (K,) for everything alike, or (K, B, t) with a sigma for each latent frame
(`frame_grid`): a frame whose sigma stays 0 is given and never changes. Every sampler may be called for a slice of a
grid and goes on from there bit for bit (test_a_broken_run_equals_an_unbroken_one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.diffusion import Diffusion
from model.errors import InvalidSpec
from model.interpolant import LINEAR, Path, score_from_velocity, spread_sigmas

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x of shape (B, ...), sigmas of shape (B,) or (B, t)) to dx/dsigma of the shape of x."""

FlowMap = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, sigmas, sigmas to arrive at, both (B,) or (B, t)) to the mean velocity between them, of the shape of x."""

OnStep = Callable[[int, Tensor], None]
"""Called after each step with the steps done so far and the new state."""

WALK_LIMIT = 0.5
"""How far one SDE step's walk may go towards the predicted data; with more, narrow data make it swing and grow."""


def sigma_grid(steps: int, shift: float) -> Float[Tensor, " steps+1"]:
    """Sigmas (steps + 1,) from 1 down to 0; shift > 1 spends more steps near noise (arXiv 2403.03206, equation 23).

    Raises:
        InvalidSpec: steps < 1 or shift <= 0.
    """
    if steps < 1 or not shift > 0:
        raise InvalidSpec(f"a sigma grid needs steps >= 1 and shift > 0, got {steps} and {shift}")
    even = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    return (shift * even / (1.0 + (shift - 1.0) * even)).float()


def frame_grid(sigmas: Float[Tensor, " K"], given: Bool[Tensor, "B t"]) -> Float[Tensor, "K B t"]:
    """The grid for latent frames of which some are given (clean, sigma 0 from beginning to end)."""
    return torch.where(given[None], 0.0, sigmas[:, None, None])


def seeded_noise(seeds: list[int], shape: tuple[int, ...]) -> Float[Tensor, "B *shape"]:
    """Standard normal noise (B, *shape), each sample from its own seed, so that a batch equals single runs."""
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def step_noise(seeds: list[int], step: int, shape: tuple[int, ...]) -> Float[Tensor, "B *shape"]:
    """Noise of step `step` (from 0): like `seeded_noise`, but of (seed, step), so that a run may stop anywhere."""
    mixed = [np.random.SeedSequence([seed % 2**64, step]).generate_state(1, np.uint64).item() for seed in seeds]
    return seeded_noise(mixed, shape)


def sample_euler(
    velocity: Velocity, state: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "K *Bt"], on_step: OnStep | None = None
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by first-order steps from `state` at sigmas[0]; K - 1 velocity calls."""
    for step, (here, there) in enumerate(_intervals(sigmas, state)):
        state = state + spread_sigmas(there - here, state) * velocity(state, here)
        if on_step is not None:
            on_step(step + 1, state)
    return state


def sample_heun(
    velocity: Velocity, state: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "K *Bt"], on_step: OnStep | None = None
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by second-order steps (trapezoid after an Euler guess); 2 (K - 1) velocity calls."""
    for step, (here, there) in enumerate(_intervals(sigmas, state)):
        stride = spread_sigmas(there - here, state)
        slope = velocity(state, here)
        guess = state + stride * slope
        state = state + stride * 0.5 * (slope + velocity(guess, there))
        if on_step is not None:
            on_step(step + 1, state)
    return state


def sample_map(
    flow_map: FlowMap, state: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "K *Bt"], on_step: OnStep | None = None
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by jumps along mean velocities (arXiv 2505.13447); K - 1 calls."""
    for step, (here, there) in enumerate(_intervals(sigmas, state)):
        state = state + spread_sigmas(there - here, state) * flow_map(state, here, there)
        if on_step is not None:
            on_step(step + 1, state)
    return state


def sample_sde(
    velocity: Velocity,
    state: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "K *Bt"],
    diffusion: Diffusion,
    seeds: list[int],
    path: Path = LINEAR,
    first_step: int = 0,
    on_step: OnStep | None = None,
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by Euler-Maruyama steps with w = diffusion(sigma); K - 1 velocity calls.

    A step follows the ODE and adds a walk: w dsigma / 2 along the score, and noise of variance w dsigma. Since w is
    free, it is held to `WALK_LIMIT` times 2 noise_scale^2 / dsigma: where it is infinite, or large near data, steps
    stay stable. The last step, into sigma 0, is the ODE's alone: fresh noise would stay in the picture (SiT's code
    ends without noise too). With w = 0 every step is `sample_euler`'s, bit for bit.

    Args:
        seeds: one for each sample; the noise of step k is that of (seed, k).
        first_step: the number of sigmas[0] in the whole grid, where `sigmas` is a slice.

    Raises:
        InvalidSpec: w is negative or NaN.
    """
    for step, (here, there) in enumerate(_intervals(sigmas, state), first_step):
        share = spread_sigmas(_walk_share(diffusion, here, here - there, there, path), state)
        slope = velocity(state, here)
        walk = share * score_from_velocity(state, slope, here, path)
        noise = step_noise(seeds, step, tuple(state.shape[1:])).to(state)
        drift = spread_sigmas(there - here, state) * slope
        state = state + drift + (walk + (2.0 * share).sqrt() * noise)
        if on_step is not None:
            on_step(step + 1, state)
    return state


def sample_sde_heun(
    velocity: Velocity,
    state: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "K *Bt"],
    diffusion: Diffusion,
    seeds: list[int],
    path: Path = LINEAR,
    first_step: int = 0,
    on_step: OnStep | None = None,
) -> Float[Tensor, "B *rest"]:
    """The state at sigmas[-1], by stochastic Heun steps: second order in the moments; 2 (K - 1) velocity calls.

    Drift and variance of the noise are trapezoids of both ends, and the guess at the far end holds the step's noise
    already. Arguments, errors, last step and limit are `sample_sde`'s. With w = 0 it is `sample_heun`, bit for bit.
    """
    for step, (here, there) in enumerate(_intervals(sigmas, state), first_step):
        near, far = (
            spread_sigmas(_walk_share(diffusion, level, here - there, there, path), state) for level in (here, there)
        )
        stride = spread_sigmas(there - here, state)
        noise = step_noise(seeds, step, tuple(state.shape[1:])).to(state)
        slope = velocity(state, here)
        walk = near * score_from_velocity(state, slope, here, path)
        guess = state + stride * slope + (walk + (2.0 * near).sqrt() * noise)
        slope_there = velocity(guess, there)
        walk_there = far * score_from_velocity(guess, slope_there, there, path)
        drift = stride * 0.5 * (slope + slope_there)
        state = state + drift + (0.5 * (walk + walk_there) + (near + far).sqrt() * noise)
        if on_step is not None:
            on_step(step + 1, state)
    return state


def _walk_share(diffusion: Diffusion, level: Tensor, stride: Tensor, there: Tensor, path: Path) -> Tensor:
    """w stride / 2 within its limit: what the score is multiplied by, and half the variance of the noise.

    0 in a frame that is given or that this step takes to sigma 0.
    """
    walks = (stride > 0) & (there > 0)
    wanted = torch.where(walks, 0.5 * diffusion(level) * stride, 0.0)
    if not (wanted >= 0.0).all():
        raise InvalidSpec(f"w(sigma) must not be negative, got {diffusion(level).tolist()} at {level.tolist()}")
    return torch.minimum(wanted, WALK_LIMIT * path.noise_scale(level) ** 2)


def _intervals(sigmas: Tensor, state: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each step's two ends, (B,) or (B, t)."""
    if sigmas.ndim == 1:
        sigmas = sigmas[:, None].expand(-1, len(state))
    yield from pairwise(sigmas)
