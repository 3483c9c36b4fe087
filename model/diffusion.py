"""Diffusion coefficients w(sigma) of the sampling SDE (SiT, arXiv 2401.08740, section 2.4).

Going from noise to data, dx = (v - w/2 score) dsigma + sqrt(w) dW has the same distribution at every sigma whatever
w >= 0 is; w = 0 is the ODE. Noise that is added again washes out what earlier steps got wrong, and costs steps.
The paper's own code calls half of w the diffusion. w belongs to sampling: a network is trained without knowing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from model.errors import InvalidSpec
from model.interpolant import END, LINEAR, Path

Diffusion = Callable[[Tensor], Tensor]
"""Sigmas to w(sigma) >= 0, of their shape."""


def diffusion(name: str, path: Path = LINEAR, strength: float = 1.0) -> Diffusion:
    """The coefficient of that name in `DIFFUSIONS`, times `strength`.

    Raises:
        InvalidSpec: an unknown name, or a strength that is negative or not finite.
    """
    if name not in DIFFUSIONS:
        raise InvalidSpec(f"diffusion must be one of {', '.join(DIFFUSIONS)}, got {name!r}")
    if not 0.0 <= strength < math.inf:
        raise InvalidSpec(f"the strength of a diffusion must be finite and not negative, got {strength}")
    form = DIFFUSIONS[name]
    return lambda sigmas: strength * form(path, sigmas)


def _zero(path: Path, sigmas: Tensor) -> Tensor:
    return torch.zeros_like(sigmas)


def _constant(path: Path, sigmas: Tensor) -> Tensor:
    return torch.ones_like(sigmas)


def _sigma(path: Path, sigmas: Tensor) -> Tensor:
    return path.noise_scale(sigmas)


def _decreasing(path: Path, sigmas: Tensor) -> Tensor:
    return 0.25 * (1.0 - torch.cos(math.pi * sigmas)) ** 2


def _increasing_decreasing(path: Path, sigmas: Tensor) -> Tensor:
    return torch.sin(math.pi * sigmas) ** 2


def _kl_optimal(path: Path, sigmas: Tensor) -> Tensor:
    """2 noise_scale / c of `Path.inverse`: with it an error of the velocity costs least in the KL bound.

    The drift is wrong by the velocity's error times (1 + w c / (2 noise_scale)), and Girsanov's bound weighs its
    square by 1 / w. It is also the w of score-based diffusion, whose forward process has no score: beta on the VP
    path. On the other paths it is infinite at sigma 1.
    """
    inside = sigmas.clamp(END, 1.0 - END)
    return 2.0 * path.noise_scale(inside) / path.inverse(inside).c


DIFFUSIONS: Mapping[str, Callable[[Path, Tensor], Tensor]] = MappingProxyType(
    {
        "zero": _zero,
        "constant": _constant,
        "sigma": _sigma,
        "decreasing": _decreasing,
        "increasing-decreasing": _increasing_decreasing,
        "kl-optimal": _kl_optimal,
    }
)
"""By name: 0; 1; noise_scale; 1 at noise falling to 0 at data; sin^2(pi sigma); the one that the KL bound prefers."""
