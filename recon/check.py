"""Check: whether a clip's cameras and depth can belong together at all."""

from __future__ import annotations

import numpy as np

from clips.clip import Clip
from recon.agreement import log_ratios
from recon.errors import Unreconstructable

MAX_MEDIAN_LOG_RATIO = 0.35
_GAPS = (1, 4)
_MIN_SEEN = 0.05


def check_clip(clip: Clip) -> None:
    """Nothing; refuses clips whose cameras grossly contradict their depth.

    A frame contradicts the others when at least 5 % of it should be seen by a frame shortly before and the
    median depth there is off by more than a factor of exp(0.35) = 1.4. Noise, moving things and the small
    inconsistencies of generated clips stay far below that.

    Raises:
        Unreconstructable: names the frames and the worst factor.
    """
    factors: dict[int, float] = {}
    for gap in _GAPS:
        for frame in range(gap, len(clip)):
            ratios = log_ratios(clip.depth, clip.cameras, frame, frame - gap)
            seen = np.isfinite(ratios)
            if seen.mean() >= _MIN_SEEN:
                factors[frame] = max(factors.get(frame, 0.0), float(np.median(np.abs(ratios[seen]))))
    bad = [frame for frame, factor in factors.items() if factor > MAX_MEDIAN_LOG_RATIO]
    if bad:
        worst = float(np.exp(max(factors[frame] for frame in bad)))
        raise Unreconstructable(
            f"cameras contradict depth in frames {sorted(bad)[:8]} of {len(clip)}: the median depth differs by up to "
            f"a factor of {worst:.1f} from what nearby frames show (expected below 1.4); check that poses are "
            "world-to-camera with OpenCV axes and in the same unit as depth"
        )
