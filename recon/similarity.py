"""Structural similarity of pictures (Wang et al. 2004), for losses: differentiable, 11 x 11 Gaussian window."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

WINDOW, DEVIATION = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def ssim(ours: Float[Tensor, "H W D"], theirs: Float[Tensor, "H W D"]) -> Float[Tensor, ""]:
    """Mean structural similarity of two pictures with values of 0 to 1; 1 where they are equal.

    The window is cut off at the border as if the picture went on in zeros, as 3DGS's loss has it.
    """
    x, y = ours.movedim(-1, 0), theirs.movedim(-1, 0)
    blurred = _blur(torch.cat([x, y, x * x, y * y, x * y]))
    mean_x, mean_y, square_x, square_y, product = blurred.chunk(5)
    variance_x, variance_y = square_x - mean_x * mean_x, square_y - mean_y * mean_y
    covariance = product - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return (likeness / ((mean_x.square() + mean_y.square() + C1) * (variance_x + variance_y + C2))).mean()


def _blur(planes: Float[Tensor, "P H W"]) -> Float[Tensor, "P H W"]:
    window, half = _window().to(planes), WINDOW // 2
    rows = functional.conv2d(planes[:, None], window.view(1, 1, -1, 1), padding=(half, 0))
    return functional.conv2d(rows, window.view(1, 1, 1, -1), padding=(0, half))[:, 0]


@lru_cache(maxsize=1)
def _window() -> Float[Tensor, " 11"]:
    away = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    weights = torch.exp(-0.5 * (away / DEVIATION).square())
    return weights / weights.sum()
