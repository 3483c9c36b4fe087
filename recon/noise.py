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
_FAR_FRAMES = 8


@dataclass(frozen=True)
class DepthNoise:
    """Relative noise of a clip's depth, as robust standard deviations of log depth.

    Attributes:
        sigma: between one frame and the next, or between pixels, whichever is larger.
        pixel_sigma: between neighbouring pixels only.
        drift_sigma: between frames that lie far apart, half the clip or 8 frames; generated depth drifts.
    """

    sigma: float
    pixel_sigma: float
    drift_sigma: float

    @property
    def is_exact(self) -> bool:
        """True for depth that needs no fusing: rendered rather than measured or generated."""
        return self.sigma < EXACT

    @property
    def tolerance(self) -> float:
        """Relative depth difference up to which samples of neighbouring frames may be the same surface."""
        return max(0.012, 3.0 * self.sigma)

    @property
    def far_tolerance(self) -> float:
        """The same for samples of any two frames."""
        return max(self.tolerance, 3.0 * self.drift_sigma)

    @property
    def edge(self) -> float:
        """Relative bend of inverse depth above which two neighbouring pixels show different surfaces."""
        return max(0.07, 5.0 * self.sigma)


def estimate_noise(clip: Clip) -> DepthNoise:
    """The depth noise of `clip`: from bends of inverse depth (planes have none) and from what other frames see.

    Medians make it blind to edges and to moving things as long as they fill less than half of the picture;
    beyond that it is capped at 0.08.
    """
    inverse = 1.0 / clip.depth.astype(np.float64)
    pixel_sigma = 0.0
    for axis in (1, 2):
        if inverse.shape[axis] >= 3:
            bend = np.abs(np.diff(inverse, n=2, axis=axis)) / np.take(inverse, range(1, inverse.shape[axis] - 1), axis)
            pixel_sigma = max(pixel_sigma, float(np.median(bend)) * _MAD_TO_SIGMA / float(np.sqrt(6.0)))
    pixel_sigma = min(pixel_sigma, _MAX_SIGMA)
    sigma = max(pixel_sigma, _between_frames(clip, 1))
    return DepthNoise(sigma, pixel_sigma, max(sigma, _between_frames(clip, min(_FAR_FRAMES, len(clip) // 2))))


def _between_frames(clip: Clip, gap: int) -> float:
    """Noise of one frame, from what frames `gap` apart say about each other; 0 where they never meet."""
    if gap < 1 or gap >= len(clip):
        return 0.0
    firsts = np.unique(np.linspace(0, len(clip) - 1 - gap, _PAIRS).astype(int)).tolist()
    ratios = [np.abs(log_ratios(clip.depth, clip.cameras, first, first + gap)) for first in firsts]
    seen = np.concatenate([values[np.isfinite(values)] for values in ratios])
    if not len(seen):
        return 0.0
    return min(float(np.median(seen)) * _MAD_TO_SIGMA / float(np.sqrt(2.0)), _MAX_SIGMA)
