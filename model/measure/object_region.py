"""The region of the free object in a clip, as masks: overlap with the told one, and whether it is one thing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

Masks = Bool[np.ndarray, "T H W"]

LARGEST_SHARE = 0.9
"""A frame shows one blob where its largest piece has at least this share of the object's pixels."""

FRAMES_SHARE = 0.9
"""A clip shows one blob where at least this share of its frames does."""

_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def intersection_over_union(ours: Masks, told: Masks) -> float:
    """Mean over the frames in which the told mask has a pixel; NaN where it has none in any frame.

    Raises:
        ValueError: the shapes differ.
    """
    if ours.shape != told.shape:
        raise ValueError(f"masks must have one shape, got {ours.shape} and {told.shape}")
    seen = told.any(axis=(1, 2))
    if not seen.any():
        return float("nan")
    both = (ours & told).sum(axis=(1, 2))[seen]
    either = (ours | told).sum(axis=(1, 2))[seen]
    return float((both / either).mean())


def largest_piece_share(mask: Bool[np.ndarray, "H W"]) -> float:
    """Share of a frame's object pixels that its largest piece has (pixels touch at corners too); 0 without any."""
    pieces, count = ndimage.label(mask, structure=_NEIGHBOURS)
    if count == 0:
        return 0.0
    return float(np.bincount(pieces.ravel())[1:].max() / mask.sum())


def is_single_blob(masks: Masks) -> bool:
    """True where the object is one thing in nearly every frame; a frame without any object is not."""
    whole = [largest_piece_share(mask) >= LARGEST_SHARE for mask in masks]
    return bool(np.mean(whole) >= FRAMES_SHARE)
