"""Split: which samples belong to things that move, by free-space violation.

A surface that stands still is never seen through. A sample that other frames see through, again and again,
therefore moved; the rest of its depth-connected region moves with it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import label

from clips.cameras import Cameras
from recon.agreement import count_views
from recon.fusion import bends
from recon.noise import DepthNoise
from recon.points import Points

STATIC, MOVING, DROPPED = 0, 1, 2
MAX_VOTERS = 33
_MIN_SHARE = 0.15
_REGION_SHARE = 0.2
_LARGE_REGION = 0.4
_LARGE_REGION_SHARE = 0.6
_REGION_EDGE = 0.03
_MIN_COMPONENT_PX = 4
_GROW_PX = 3
_EIGHT = np.array([[[0] * 3] * 3, [[1] * 3] * 3, [[0] * 3] * 3])


def split(
    points: Points, depth: np.ndarray, untrusted: np.ndarray, cameras: Cameras, noise: DepthNoise
) -> UInt8[np.ndarray, "T H W"]:
    """STATIC, MOVING or DROPPED for every pixel, (T, H, W) uint8.

    `points` are the samples of all pixels in order. Dropped are untrusted pixels, specks that only noise
    made look moving, and what as many frames see through as see.
    """
    voters = np.unique(np.linspace(0, len(depth) - 1, min(MAX_VOTERS, len(depth))).astype(int))
    views = count_views(points.positions, points.frames, depth, cameras, voters, noise.far_tolerance)
    through, seen = views[:, 0], views[:, 1]
    needed = min(2, max(1, len(voters) - 1))
    seeds = ((through >= needed) & (through >= _MIN_SHARE * (through + seen))).reshape(depth.shape)
    moving = _grow(seeds | _moving_regions(seeds, depth, noise), depth, noise)
    components, count = label(moving, structure=_EIGHT)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    specks = moving & (sizes[components] < _MIN_COMPONENT_PX)
    kinds = np.where(moving, MOVING, STATIC).astype(np.uint8)
    doubtful = ((through > 0) & (through >= seen)).reshape(depth.shape) & ~moving
    kinds[untrusted | specks | doubtful] = DROPPED
    return kinds


def _moving_regions(seeds: np.ndarray, depth: np.ndarray, noise: DepthNoise) -> np.ndarray:
    """Depth-connected regions of which a fifth was seen through; of very large ones, three fifths."""
    smooth = bends(depth) <= max(_REGION_EDGE, 5.0 * noise.sigma)
    regions, count = label(smooth, structure=_EIGHT)
    area = np.bincount(regions.ravel(), minlength=count + 1)
    seeded = np.bincount(regions.ravel(), seeds.ravel().astype(float), minlength=count + 1)
    large = area > _LARGE_REGION * depth[0].size
    moves = seeded >= np.where(large, _LARGE_REGION_SHARE, _REGION_SHARE) * area
    moves[0] = False
    return np.asarray(moves[regions])


def _grow(moving: np.ndarray, depth: np.ndarray, noise: DepthNoise) -> np.ndarray:
    """`moving` and the edge pixels beside it that are as near as it is."""
    edge = bends(depth) > _REGION_EDGE
    for _ in range(_GROW_PX):
        grown = moving.copy()
        for axis in (1, 2):
            for shift in (-1, 1):
                beside, their_depth = np.roll(moving, shift, axis), np.roll(depth, shift, axis)
                border = [slice(None)] * 3
                border[axis] = slice(0, 1) if shift == 1 else slice(-1, None)
                beside[tuple(border)] = False
                grown |= beside & edge & (np.abs(depth - their_depth) <= noise.edge * their_depth)
        moving = grown
    return moving
