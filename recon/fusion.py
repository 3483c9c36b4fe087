"""Fusion: depth averaged along rays over neighbouring frames, and the pixels whose depth is not to be trusted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import binary_dilation

from clips.clip import Clip
from recon.agreement import mean_log_ratio
from recon.noise import DepthNoise

REACH_FRAMES = 4
_PASSES = 2


def fuse_depth(clip: Clip, noise: DepthNoise) -> Float32[np.ndarray, "T H W"]:
    """Depth (T, H, W) in metres, averaged along each pixel's ray with the frames within 4 that agree with it.

    Frames agree within three standard deviations of the noise, so moving things are averaged with themselves
    only. Exact depth is returned as it is.
    """
    depth = clip.depth
    if noise.is_exact or len(clip) == 1:
        return depth
    for _ in range(_PASSES):
        shifts = [
            mean_log_ratio(depth, clip.cameras, frame, REACH_FRAMES, noise.tolerance) for frame in range(len(clip))
        ]
        depth = (depth * np.exp(np.stack(shifts))).astype(np.float32)
    return depth


def bends(depth: np.ndarray) -> Float32[np.ndarray, "T H W"]:
    """The larger relative second difference of inverse depth along rows and columns; 0 on every plane."""
    inverse = 1.0 / depth.astype(np.float64)
    out = np.zeros(depth.shape)
    for axis in (1, 2):
        if depth.shape[axis] >= 3:
            inner = [slice(None)] * 3
            inner[axis] = slice(1, -1)
            bend = np.abs(np.diff(inverse, n=2, axis=axis))
            out[tuple(inner)] = np.maximum(out[tuple(inner)], bend / inverse[tuple(inner)])
    return out.astype(np.float32)


def untrusted(depth: np.ndarray, noise: DepthNoise) -> Bool[np.ndarray, "T H W"]:
    """True at pixels to drop (T, H, W): those whose depth lies between two surfaces.

    A pixel is between surfaces when inverse depth jumps on both of its sides in the same direction. Measured
    or generated depth is smeared around its edges, so there every pixel beside an edge goes.
    """
    inverse = 1.0 / depth.astype(np.float64)
    between = np.zeros(depth.shape, bool)
    for axis in (1, 2):
        if depth.shape[axis] < 3:
            continue
        steps = np.diff(inverse, axis=axis)
        count = steps.shape[axis]
        before, after = np.take(steps, range(count - 1), axis), np.take(steps, range(1, count), axis)
        limit = noise.edge * np.take(inverse, range(1, count), axis)
        inner = [slice(None)] * 3
        inner[axis] = slice(1, -1)
        bend = np.abs(after - before) > 0.5 * limit
        between[tuple(inner)] |= (np.minimum(np.abs(before), np.abs(after)) > limit) & (before * after > 0) & bend
    if noise.is_exact:
        return between
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)[None]
    edges = bends(depth) > noise.edge
    return np.asarray(between | binary_dilation(edges, cross) & edges, bool)
