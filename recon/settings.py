"""ReconSettings: how much work a reconstruction does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recon.errors import InvalidScene

_LIMITS: dict[str, tuple[float, float]] = {
    "cell_footprints": (0.25, 8.0),
    "spread_footprints": (0.2, 2.0),
    "window_frames": (1, 3),
    "color_rounds": (0, 100),
    "color_steps": (1, 1000),
    "fill_margin": (0.0, 1.0),
    "max_blends": (100_000, 1_000_000_000),
    "refine_rounds": (0, 1000),
    "refine_s": (0.0, 86_400.0),
    "refine_steps": (0, 1_000_000),
    "threads": (1, 256),
}
REFINE_S_PER_PIXEL = 55e-6
"""Of the clip: 38 seconds for 48 frames of 160x90 pixels, 6 for the embedded model's 17 of 96x64."""


@dataclass(frozen=True)
class ReconSettings:
    """The policy of one reconstruction.

    Attributes:
        cell_footprints: edge of a merge cell, in pixel footprints (one pixel's size at the surface).
        spread_footprints: standard deviation of a splat along the surface, in pixel footprints.
        window_frames: frames from one motion window's centre to the next, at most 3: a window sees one frame each way.
        color_rounds: rounds of the colour refit; each is one stage, at whose end a job can be preempted.
        color_steps: steps of one round.
        fill_margin: how far beyond the picture's border surfaces are continued, in picture widths.
        max_blends: the colour refit uses evenly spaced frames so that it holds at most this many blends.
        refine_rounds: rounds of the refinement by gradient; each is one stage. 0 for none.
        refine_s: seconds of all rounds together; None for as many as the clip has pixels to fit, see `budget_s`.
        refine_steps: steps of all rounds together; where it is not 0 it decides and not the seconds, so that one
            machine gives the same splats every time.
        threads: image bands that the refinement draws at the same time.

    Raises:
        InvalidScene: a field is out of range; the message names it.
    """

    cell_footprints: float = 0.9
    spread_footprints: float = 0.45
    window_frames: int = 1
    color_rounds: int = 3
    color_steps: int = 10
    fill_margin: float = 0.2
    max_blends: int = 20_000_000
    refine_rounds: int = 0
    refine_s: float | None = None
    refine_steps: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            got = getattr(self, field)
            if got is not None and not low <= got <= high:
                raise InvalidScene(f"reconstruction settings: {field} must be within [{low}, {high}], got {got}")

    @classmethod
    def draft(cls) -> ReconSettings:
        """Settings for a scene that is ready soon: coarser cells and one short colour round."""
        return cls(cell_footprints=1.3, spread_footprints=0.6, window_frames=2, color_rounds=1, color_steps=8)

    @classmethod
    def full(cls) -> ReconSettings:
        """Settings for the best scene that this pipeline makes: the same, then refined by gradient."""
        return cls(refine_rounds=12)

    def budget_s(self, pixels: int) -> float:
        """Seconds of refinement for a clip of so many pixels, all frames together."""
        return REFINE_S_PER_PIXEL * pixels if self.refine_s is None else self.refine_s

    def coarser(self, factor: float) -> ReconSettings:
        """The same with cells and splats `factor` times as large."""
        return replace(
            self,
            cell_footprints=min(8.0, self.cell_footprints * factor),
            spread_footprints=min(2.0, self.spread_footprints * factor),
        )
