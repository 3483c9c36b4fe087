"""Paths between data and noise, and four views of one prediction (SiT, arXiv 2401.08740, sections 2 and 3).

Sigma convention, everywhere in Narthex: x = alpha(sigma) * data + noise_scale(sigma) * noise with sigma 0 at data and
1 at noise, and the velocity is dx/dsigma. The paper's t runs the same way, its published code the other way; nothing
outside this file needs to know. On the linear path alpha = 1 - sigma and noise_scale = sigma.

At a point x of the path, velocity, noise, data and score are linear views of each other. Some are undetermined at an
end (the score at sigma 0 on the linear path, say): there the coefficients are taken `END` inside, so that what comes
back is finite. docs/sampling.md has the table of coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import InvalidSpec

END = 1e-4
"""How far from an end the coefficients are taken where they have no value at the end itself."""


class Inverse(NamedTuple):
    """What solves a path for its parts: data = a * x - b * v and noise = c * v - d * x; finite for every sigma."""

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor


class Path(Protocol):
    """x = alpha * data + noise_scale * noise; every method takes and returns tensors of one shape."""

    @property
    def name(self) -> str:
        """The path's name in `PATHS`."""
        ...

    def alpha(self, sigmas: Tensor) -> Tensor:
        """The share of the data: 1 at sigma 0."""
        ...

    def noise_scale(self, sigmas: Tensor) -> Tensor:
        """The share of the noise: 0 at sigma 0."""
        ...

    def alpha_slope(self, sigmas: Tensor) -> Tensor:
        """The derivative of `alpha`."""
        ...

    def noise_slope(self, sigmas: Tensor) -> Tensor:
        """The derivative of `noise_scale`, which may be infinite at sigma 0; there it is the one at `END`."""
        ...

    def inverse(self, sigmas: Tensor) -> Inverse:
        """(noise_slope, noise_scale, alpha, alpha_slope) / (alpha noise_slope - alpha_slope noise_scale)."""
        ...


@dataclass(frozen=True)
class Linear:
    """x = (1 - sigma) data + sigma noise: straight lines, the path of the embedded model."""

    name: str = "linear"

    def alpha(self, sigmas: Tensor) -> Tensor:
        """1 - sigma."""
        return 1.0 - sigmas

    def noise_scale(self, sigmas: Tensor) -> Tensor:
        """Sigma itself."""
        return sigmas

    def alpha_slope(self, sigmas: Tensor) -> Tensor:
        """-1."""
        return torch.full_like(sigmas, -1.0)

    def noise_slope(self, sigmas: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(sigmas)

    def inverse(self, sigmas: Tensor) -> Inverse:
        """As `Path.inverse`; the divisor is 1."""
        return Inverse(torch.ones_like(sigmas), sigmas, 1.0 - sigmas, torch.full_like(sigmas, -1.0))


@dataclass(frozen=True)
class Gvp:
    """x = cos(pi/2 sigma) data + sin(pi/2 sigma) noise: the variance of whitened data stays 1 along the path."""

    name: str = "gvp"

    def alpha(self, sigmas: Tensor) -> Tensor:
        """cos(pi/2 sigma), written as a sine so that it is exactly 0 at sigma 1."""
        return torch.sin(0.5 * math.pi * (1.0 - sigmas))

    def noise_scale(self, sigmas: Tensor) -> Tensor:
        """sin(pi/2 sigma)."""
        return torch.sin(0.5 * math.pi * sigmas)

    def alpha_slope(self, sigmas: Tensor) -> Tensor:
        """-pi/2 sin(pi/2 sigma)."""
        return -0.5 * math.pi * self.noise_scale(sigmas)

    def noise_slope(self, sigmas: Tensor) -> Tensor:
        """pi/2 cos(pi/2 sigma)."""
        return 0.5 * math.pi * self.alpha(sigmas)

    def inverse(self, sigmas: Tensor) -> Inverse:
        """As `Path.inverse`; the divisor is pi/2."""
        cosine, sine = self.alpha(sigmas), self.noise_scale(sigmas)
        return Inverse(cosine, sine * (2.0 / math.pi), cosine * (2.0 / math.pi), -sine)


@dataclass(frozen=True)
class Vp:
    """The variance-preserving diffusion with a linear beta (arXiv 2011.13456, equation 33): alpha(1) is about 0.007.

    Raises:
        InvalidSpec: not 0 < beta_low <= beta_high.
    """

    beta_low: float = 0.1
    beta_high: float = 20.0
    name: str = "vp"

    def __post_init__(self) -> None:
        if not 0.0 < self.beta_low <= self.beta_high < math.inf:
            raise InvalidSpec(f"vp path: 0 < beta_low <= beta_high, got {self.beta_low} and {self.beta_high}")

    def beta(self, sigmas: Tensor) -> Tensor:
        """The rate at which the diffusion forgets."""
        return self.beta_low + sigmas * (self.beta_high - self.beta_low)

    def alpha(self, sigmas: Tensor) -> Tensor:
        """exp(-half the integral of beta)."""
        return torch.exp(-0.5 * self._forgotten(sigmas))

    def noise_scale(self, sigmas: Tensor) -> Tensor:
        """sqrt(1 - alpha^2), without cancellation near sigma 0."""
        return torch.sqrt(-torch.expm1(-self._forgotten(sigmas)))

    def alpha_slope(self, sigmas: Tensor) -> Tensor:
        """-beta alpha / 2."""
        return -0.5 * self.beta(sigmas) * self.alpha(sigmas)

    def noise_slope(self, sigmas: Tensor) -> Tensor:
        """beta alpha^2 / (2 noise_scale), which grows without bound towards sigma 0."""
        inside = sigmas.clamp(min=END)
        return 0.5 * self.beta(inside) * self.alpha(inside) ** 2 / self.noise_scale(inside)

    def inverse(self, sigmas: Tensor) -> Inverse:
        """As `Path.inverse`; the divisor beta alpha / (2 noise_scale) is infinite at sigma 0, its shares are not."""
        alpha, scale, beta = self.alpha(sigmas), self.noise_scale(sigmas), self.beta(sigmas)
        return Inverse(alpha, 2.0 * scale**2 / (beta * alpha), 2.0 * scale / beta, -scale)

    def _forgotten(self, sigmas: Tensor) -> Tensor:
        return sigmas * (self.beta_low + 0.5 * sigmas * (self.beta_high - self.beta_low))


LINEAR = Linear()
GVP = Gvp()
VP = Vp()
PATHS: Mapping[str, Path] = MappingProxyType({path.name: path for path in (LINEAR, GVP, VP)})


def interpolate(
    data: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "B *t"], path: Path = LINEAR
) -> Float[Tensor, "B *rest"]:
    """The point of the path at `sigmas` ((B,), or (B, t) for each latent frame), the shape of `data`."""
    level = spread_sigmas(sigmas, data)
    return path.alpha(level) * data + path.noise_scale(level) * noise


def velocity(
    data: Float[Tensor, "B *rest"],
    noise: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "B *t"] | None = None,
    path: Path = LINEAR,
) -> Float[Tensor, "B *rest"]:
    """What the network learns to predict: dx/dsigma along the path; the linear path needs no sigmas.

    Raises:
        InvalidSpec: no sigmas on a path whose velocity depends on them.
    """
    if path == LINEAR:
        return noise - data
    if sigmas is None:
        raise InvalidSpec(f"the velocity of the path {path.name} depends on sigma: expected sigmas, got none")
    level = spread_sigmas(sigmas, data)
    return path.alpha_slope(level) * data + path.noise_slope(level) * noise


def data_from_velocity(
    point: Float[Tensor, "B *rest"],
    velocity: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "B *t"],
    path: Path = LINEAR,
) -> Float[Tensor, "B *rest"]:
    """The data that a velocity at `point` implies; x - sigma * v on the linear path."""
    parts = path.inverse(spread_sigmas(sigmas, point))
    return parts.a * point - parts.b * velocity


def noise_from_velocity(
    point: Float[Tensor, "B *rest"],
    velocity: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "B *t"],
    path: Path = LINEAR,
) -> Float[Tensor, "B *rest"]:
    """The noise that a velocity at `point` implies; x + (1 - sigma) * v on the linear path."""
    parts = path.inverse(spread_sigmas(sigmas, point))
    return parts.c * velocity - parts.d * point


def score_from_velocity(
    point: Float[Tensor, "B *rest"],
    velocity: Float[Tensor, "B *rest"],
    sigmas: Float[Tensor, "B *t"],
    path: Path = LINEAR,
) -> Float[Tensor, "B *rest"]:
    """The gradient of the log density at `point`, -noise / noise_scale; undetermined at sigma 0 but on the VP path."""
    level = spread_sigmas(sigmas, point).clamp(min=END)
    parts, scale = path.inverse(level), path.noise_scale(level)
    return parts.d / scale * point - parts.c / scale * velocity


def velocity_from_data(
    point: Float[Tensor, "B *rest"], data: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "B *t"], path: Path = LINEAR
) -> Float[Tensor, "B *rest"]:
    """The velocity that predicted data imply at `point`; undetermined at sigma 0, where the point is the data."""
    parts = path.inverse(spread_sigmas(sigmas, point).clamp(min=END))
    return (parts.a * point - data) / parts.b


def velocity_from_noise(
    point: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "B *t"], path: Path = LINEAR
) -> Float[Tensor, "B *rest"]:
    """The velocity that predicted noise implies at `point`; undetermined at sigma 1, where the point is the noise.

    On the VP path it is undetermined at sigma 0 instead, where its velocity has infinite noise.
    """
    parts = path.inverse(spread_sigmas(sigmas, point).clamp(END, 1.0 - END))
    return (noise + parts.d * point) / parts.c


def velocity_from_score(
    point: Float[Tensor, "B *rest"], score: Float[Tensor, "B *rest"], sigmas: Float[Tensor, "B *t"], path: Path = LINEAR
) -> Float[Tensor, "B *rest"]:
    """The velocity that a score implies at `point`; undetermined at sigma 1 but on the VP path."""
    level = spread_sigmas(sigmas, point).clamp(END, 1.0 - END)
    parts = path.inverse(level)
    return parts.d / parts.c * point - path.noise_scale(level) / parts.c * score


def spread_sigmas(sigmas: Float[Tensor, "B *t"], like: Float[Tensor, "B *rest"]) -> Tensor:
    """Sigmas (B,), or (B, t) for each latent frame of (B, C, t, ...), shaped to multiply a tensor like `like`.

    Raises:
        InvalidSpec: sigmas that are neither one a sample nor one a latent frame.
    """
    if sigmas.ndim == 1:
        return sigmas.view(-1, *([1] * (like.ndim - 1)))
    if sigmas.ndim == 2 and like.ndim >= 3 and sigmas.shape[1] == like.shape[2]:
        return sigmas.view(len(sigmas), 1, -1, *([1] * (like.ndim - 3)))
    raise InvalidSpec(f"sigmas of {tuple(like.shape)} must be (B,) or (B, t), got {tuple(sigmas.shape)}")
