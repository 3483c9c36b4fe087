"""How much a clip looks like the real one of its scene, and the clip that knows no prompt: the mean of many."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32, UInt8

PictureError = Callable[[np.ndarray, np.ndarray], float]
"""Reference and test picture (H, W, 3) float32 in [0, 1] to an error; FLIP is one (`benchmarks/model.py` has it)."""

COMPARED_SHARES = (0.0, 0.19, 0.375, 0.5, 0.69, 0.875, 1.0)


def picture_error(error: PictureError, real: UInt8[np.ndarray, "T H W 3"], test: UInt8[np.ndarray, "T H W 3"]) -> float:
    """Mean error over seven frames, spread from the first to the last."""
    rows = [round(share * (len(real) - 1)) for share in COMPARED_SHARES]
    return float(np.mean([error(_unit(real[row]), _unit(test[row])) for row in rows]))


def mean_clip(
    clips: Iterable[tuple[UInt8[np.ndarray, "T H W 3"], np.ndarray]],
) -> tuple[UInt8[np.ndarray, "T H W 3"], Float32[np.ndarray, "T H W"]]:
    """Per-pixel mean of clips (frames, depth in metres): of all clips that know no prompt the least squared error.

    Raises:
        ValueError: no clip is given.
    """
    frames, depth, count = np.zeros(1), np.zeros(1), 0
    for one, its_depth in clips:
        frames, depth, count = frames + one.astype(np.float64), depth + its_depth.astype(np.float64), count + 1
    if not count:
        raise ValueError("a mean clip needs at least one clip, got none")
    return np.round(frames / count).astype(np.uint8), (depth / count).astype(np.float32)


def _unit(picture: np.ndarray) -> np.ndarray:
    unit: np.ndarray = picture.astype(np.float32) / 255.0
    return unit
