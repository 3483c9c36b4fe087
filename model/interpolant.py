"""The linear path between data and noise, and the views of its velocity (SiT, arXiv 2401.08740, sections 2 and 3).

Sigma convention: x = (1 - sigma) * data + sigma * noise, so sigma 0 is data, 1 is noise, and the velocity is
dx/dsigma = noise - data. SiT's own time runs the other way; nothing outside this file needs to know.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def interpolate(
    data: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"], sigmas: Float[Tensor, " B"]
) -> Float[Tensor, "B *rest"]:
    """The point of the path at `sigmas`, the shape of `data`."""
    level = _broadcast(sigmas, data)
    return (1.0 - level) * data + level * noise


def velocity(data: Float[Tensor, "B *rest"], noise: Float[Tensor, "B *rest"]) -> Float[Tensor, "B *rest"]:
    """What the network learns to predict: dx/dsigma along the path."""
    return noise - data


def data_from_velocity(
    point: Float[Tensor, "B *rest"], velocity: Float[Tensor, "B *rest"], sigmas: Float[Tensor, " B"]
) -> Float[Tensor, "B *rest"]:
    """The data that a velocity at `point` implies: x - sigma * v."""
    return point - _broadcast(sigmas, point) * velocity


def noise_from_velocity(
    point: Float[Tensor, "B *rest"], velocity: Float[Tensor, "B *rest"], sigmas: Float[Tensor, " B"]
) -> Float[Tensor, "B *rest"]:
    """The noise that a velocity at `point` implies: x + (1 - sigma) * v."""
    return point + (1.0 - _broadcast(sigmas, point)) * velocity


def _broadcast(sigmas: Tensor, like: Tensor) -> Tensor:
    return sigmas.view(-1, *([1] * (like.ndim - 1)))
