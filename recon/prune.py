"""Prune: splats that paint nothing in any frame are left out."""

from __future__ import annotations

import numpy as np

from recon.splats import Splats

MIN_WEIGHT = 0.02


def visible(splats: Splats, weights: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """True for the splats to keep, (N,).

    `weights` (N,) is how much of the clip each splat paints, in pixels. Splats that were continued to where no
    frame looked (`filled`) are kept: they are there for other cameras.
    """
    finite = np.isfinite(splats.means).all(axis=1) & np.isfinite(splats.covariances).all(axis=1)
    return np.asarray(finite & (filled | (weights >= MIN_WEIGHT)))
