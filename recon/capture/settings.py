"""CaptureSettings: how much of a capture is looked at, and how finely."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recon.errors import InvalidScene

_LIMITS: dict[str, tuple[float, float]] = {
    "long_side_px": (32, 4096),
    "max_frames": (3, 1000),
    "max_features": (64, 32768),
    "overlap_frames": (1, 50),
    "stereo_planes": (8, 512),
    "stereo_sources": (1, 8),
    "refine_steps": (0, 100_000),
    "seed": (0, 2**31 - 1),
    "threads": (1, 64),
}


@dataclass(frozen=True)
class CaptureSettings:
    """The policy of reading and registering one capture.

    Attributes:
        long_side_px: larger pictures are made smaller until their longer side has this many pixels.
        max_frames: of a longer video the sharpest of so many even parts are taken; a longer folder is refused.
        max_features: SIFT features of one picture at most.
        overlap_frames: a video's frames are matched with so many after them (and some farther away).
        stereo_planes: depths that dense stereo tries in each pixel.
        stereo_sources: neighbours that each frame's depth is measured against.
        refine_steps: of the gradient refinement, each of one picture; 0 leaves the seeds with refitted colours.
        scale_m: metres between the first and the last camera; None where nobody knows.
        seed: of every random choice of the registration.
        threads: for features and matches; mapping runs on one, so that its result is the same each time.

    Raises:
        InvalidScene: a field is out of range; the message names it.
    """

    long_side_px: int = 640
    max_frames: int = 120
    max_features: int = 2000
    overlap_frames: int = 8
    stereo_planes: int = 96
    stereo_sources: int = 4
    refine_steps: int = 400
    scale_m: float | None = None
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            got = getattr(self, field)
            if not low <= got <= high:
                raise InvalidScene(f"capture settings: {field} must be within [{low}, {high}], got {got}")
        if self.scale_m is not None and not (math.isfinite(self.scale_m) and 1e-3 <= self.scale_m <= 1e4):
            raise InvalidScene(f"capture settings: scale_m must be within [0.001, 10000] metres, got {self.scale_m}")
