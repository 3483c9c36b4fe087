"""Noise: how far a clip's depth is from one consistent surface, estimated from the clip itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.clip import Clip
from recon.agreement import log_ratios

EXACT = 0.003
_MAX_SIGMA = 0.08
_MAD_TO_SIGMA = 1.4826
_PAIRS = 12


@dataclass(frozen=True)
class DepthNoise:
    """Relative noise of a clip's depth.

    Attributes:
        sigma: robust standard deviation of log depth, between frames or between pixels, whichever is larger.
        pixel_sigma: the same between neighbouring pixels only.
    """

    sigma: float
    pixel_sigma: float

    @property
    def is_exact(self) -> bool:
        """True for depth that needs no fusing: rendered rather than measured or generated."""
        return self.sigma < EXACT

    @property
    def tolerance(self) -> float:
        """Relative depth difference up to which two samples may be the same surface."""
        return max(0.012, 3.0 * self.sigma)

    @property
    def edge(self) -> float:
        """Relative bend of inverse depth above which two neighbouring pixels show different surfaces."""
        return max(0.07, 5.0 * self.sigma)


def estimate_noise(clip: Clip) -> DepthNoise:
    """The depth noise of `clip`: from bends of inverse depth (planes have none) and from neighbouring frames.

    Medians make it blind to edges and to moving things as long as they fill less than half of the picture;
    beyond that it is capped at 0.08.
    """
    inverse = 1.0 / clip.depth.astype(np.float64)
    pixel_sigma = 0.0
    for axis in (1, 2):
        if inverse.shape[axis] >= 3:
            bend = np.abs(np.diff(inverse, n=2, axis=axis)) / np.take(inverse, range(1, inverse.shape[axis] - 1), axis)
            pixel_sigma = max(pixel_sigma, float(np.median(bend)) * _MAD_TO_SIGMA / float(np.sqrt(6.0)))
    firsts = np.unique(np.linspace(0, max(len(clip) - 2, 0), _PAIRS).astype(int)).tolist() if len(clip) > 1 else []
    between = [np.abs(log_ratios(clip.depth, clip.cameras, i, i + 1)) for i in firsts]
    seen = np.concatenate([ratios[np.isfinite(ratios)] for ratios in between]) if between else np.zeros(0)
    frame_sigma = float(np.median(seen)) * _MAD_TO_SIGMA / float(np.sqrt(2.0)) if len(seen) else 0.0
    return DepthNoise(min(max(pixel_sigma, frame_sigma), _MAX_SIGMA), min(pixel_sigma, _MAX_SIGMA))
