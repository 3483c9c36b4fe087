"""How far a clip's depth lies from the box of the room that it was told."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

SAME_SHARE = 0.01
"""A pixel shows the room's box where the true depth is the box's to within this share."""


def room_pixels(
    true_depth: Float32[np.ndarray, "T H W"], box_depth: Float32[np.ndarray, "T H W"]
) -> Bool[np.ndarray, "T H W"]:
    """Pixels in which the true clip shows walls, floor or ceiling and nothing before them."""
    same: np.ndarray = np.abs(true_depth - box_depth) <= SAME_SHARE * box_depth
    return same


def abs_rel(
    depth: Float32[np.ndarray, "T H W"], true: Float32[np.ndarray, "T H W"], where: Bool[np.ndarray, "T H W"]
) -> float:
    """Mean of |depth - true| / true over the pixels `where`; NaN where there are none."""
    if not where.any():
        return float("nan")
    return float((np.abs(depth[where] - true[where]) / true[where]).mean())
