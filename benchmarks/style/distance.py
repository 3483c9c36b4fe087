"""How far two sets of clips are apart in palette and texture, whatever they show.

A style is taken to be two distributions: of single colours, and of small patches less their mean colour (texture),
each at full and at half size. Two distributions are compared along fixed random directions by the first Wasserstein
distance (sliced, arXiv 1011.2600), each direction in units of the reference's own spread. 0 is the same style.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

FRAMES = (0, 8, 16)
PATCH_PX = 5
STRIDE_PX = 3
DIRECTIONS = 48
QUANTILES = 128
MOST_ROWS = 40_000
"""Colours or patches of a set that are compared, evenly picked: more change the third digit."""
SEED = 7


def style_distance(
    clips: Sequence[UInt8[np.ndarray, "T H W 3"]], reference: Sequence[UInt8[np.ndarray, "T H W 3"]]
) -> dict[str, float]:
    """`palette`, `texture` and their mean `style`: distance of `clips` from `reference`, no unit.

    Sets may differ in number; the frames FRAMES of every clip count (those that it has).

    Raises:
        ValueError: one of the sets is empty.
    """
    if not len(clips) or not len(reference):
        raise ValueError(f"style needs clips on both sides, got {len(clips)} and {len(reference)}")
    parts: dict[str, list[float]] = {"palette": [], "texture": []}
    for halvings in (0, 1):
        ours, theirs = _pictures(clips, halvings), _pictures(reference, halvings)
        parts["palette"].append(_sliced(ours.reshape(-1, 3), theirs.reshape(-1, 3)))
        parts["texture"].append(_sliced(_texture(ours), _texture(theirs)))
    figures = {name: float(np.mean(values)) for name, values in parts.items()}
    return {**figures, "style": float(np.mean(list(figures.values())))}


def _pictures(clips: Sequence[np.ndarray], halvings: int) -> Float[np.ndarray, "N H W 3"]:
    chosen = np.concatenate([clip[[k for k in FRAMES if k < len(clip)]] for clip in clips]).astype(np.float32) / 255.0
    for _ in range(halvings):
        even = chosen[:, : chosen.shape[1] // 2 * 2, : chosen.shape[2] // 2 * 2]
        count, height, width, _ = even.shape
        chosen = even.reshape(count, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))
    return chosen


def _texture(pictures: Float[np.ndarray, "N H W 3"]) -> Float[np.ndarray, "M P"]:
    """Patches less their mean colour, one row each."""
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (PATCH_PX, PATCH_PX), axis=(1, 2))
    windows = windows[:, ::STRIDE_PX, ::STRIDE_PX]
    rough = windows - windows.mean(axis=(-2, -1), keepdims=True)
    return np.asarray(rough.reshape(-1, 3 * PATCH_PX**2))


def _sliced(ours: Float[np.ndarray, "N D"], theirs: Float[np.ndarray, "M D"]) -> float:
    directions = np.random.default_rng(SEED).standard_normal((ours.shape[1], DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    left, right = _thinned(ours) @ directions, _thinned(theirs) @ directions
    apart = np.abs(np.quantile(left, shares, axis=0) - np.quantile(right, shares, axis=0)).mean(axis=0)
    return float((apart / np.maximum(right.std(axis=0), 1e-6)).mean())


def _thinned(rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "M D"]:
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)])
