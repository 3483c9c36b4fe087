"""Prune: splats that paint nothing, or next to nothing in the whole clip, are left out."""

from __future__ import annotations

import numpy as np

from recon.errors import InvalidScene
from recon.splats import Splats

MIN_WEIGHT = 0.02
LEAST_SHARE = 5e-4
"""Of all that is painted, what the splats that are left out may paint together: 1.4 to 2.3 % of the splats of three
held-out rooms, for at most 0.03 dB. Ten times as much costs half a decibel and more: merging saves splats, not this."""


def visible(splats: Splats, weights: np.ndarray, filled: np.ndarray, least_share: float = LEAST_SHARE) -> np.ndarray:
    """True for the splats to keep, (N,).

    Splats are ranked by contribution times lifespan: what they paint in a frame in which they are seen, times the
    frames in which they are, which is `weights` (N,), their sum over the clip in pixels. The lowest are left out as
    long as they paint no more than `least_share` of everything together, and all that paint under 0.02 pixels. Splats
    that were continued to where no frame looked (`filled`) are kept: they are there for other cameras.

    Raises:
        InvalidScene: `least_share` is not within [0, 1).
    """
    if not 0.0 <= least_share < 1.0:
        raise InvalidScene(f"prune: least_share must be within [0, 1), got {least_share}")
    finite = np.isfinite(splats.means).all(axis=1) & np.isfinite(splats.covariances).all(axis=1)
    ranked = np.where(filled, np.inf, weights.astype(np.float64))
    order = np.argsort(ranked, kind="stable")
    painted = np.cumsum(ranked[order])
    light = np.zeros(len(splats), bool)
    light[order] = painted <= least_share * float(weights.sum(dtype=np.float64))
    return np.asarray(finite & (filled | ((weights >= MIN_WEIGHT) & ~light)))
