"""Fusion: depth averaged along rays over neighbouring frames, and the pixels whose depth is not to be trusted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import maximum_filter, minimum_filter

from clips.clip import Clip
from recon.agreement import mean_log_ratio
from recon.noise import DepthNoise

REACH_FRAMES = 4
_PASSES = 2
_SHARPENING_PASSES = 3
_RAMP_PX = 5
_RAMP_BEND = 0.015
_RAMP_SIGMAS = 8.0
_BETWEEN = 0.15
_MIDDLE = 0.25
_SMEARED_SHARE = 0.25
_LEVEL = 0.3


def fuse_depth(clip: Clip, noise: DepthNoise) -> Float32[np.ndarray, "T H W"]:
    """Depth (T, H, W) in metres with sharp edges, averaged along each pixel's ray over the frames within 4 that agree.

    Frames agree within three standard deviations of the noise, so moving things are averaged with themselves
    only. Exact depth is not averaged.
    """
    depth = sharpen_edges(clip.depth, noise)
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


def sharpen_edges(depth: np.ndarray, noise: DepthNoise) -> Float32[np.ndarray, "T H W"]:
    """Depth (T, H, W) whose smeared edges are steps again; a clip whose edges are steps comes back as it is.

    Generated depth runs smoothly from one surface to the next over a few pixels, which hang in the air between
    them. There, between a bend of one sign and a bend of the other, each pixel takes the value of the side that
    it is closer to (the toggle mapping of Kramer and Bruckner 1975, in inverse depth).
    """
    inverse = 1.0 / depth.astype(np.float64)
    ramp = _ramps(inverse, max(_RAMP_BEND, _RAMP_SIGMAS * noise.pixel_sigma))
    low, high = minimum_filter(inverse, (1, 3, 3)), maximum_filter(inverse, (1, 3, 3))
    ramp &= high - low > noise.edge * inverse
    middle = np.abs((inverse - low) / np.maximum(high - low, 1e-12) - 0.5) < _MIDDLE
    if not ramp.any() or (middle & ramp).sum() < _SMEARED_SHARE * ramp.sum():
        return depth
    for _ in range(_SHARPENING_PASSES):
        low, high = minimum_filter(inverse, (1, 3, 3)), maximum_filter(inverse, (1, 3, 3))
        above, below = inverse - low, high - inverse
        between = ramp & (np.minimum(above, below) > _BETWEEN * (high - low))
        inverse = np.where(between, np.where(above < below, low, high), inverse)
    return np.asarray(1.0 / inverse, np.float32)


def _ramps(inverse: np.ndarray, limit: float) -> np.ndarray:
    """True within two pixels of bends of both signs along one axis, each relatively larger than `limit`."""
    ramp = np.zeros(inverse.shape, bool)
    for axis in (1, 2):
        if inverse.shape[axis] < 3:
            continue
        bend = np.zeros(inverse.shape)
        inner = [slice(None)] * 3
        inner[axis] = slice(1, -1)
        bend[tuple(inner)] = np.diff(inverse, n=2, axis=axis) / inverse[tuple(inner)]
        reach = [1, 1, 1]
        reach[axis] = _RAMP_PX
        ramp |= (maximum_filter(bend, reach) > limit) & (minimum_filter(bend, reach) < -limit)
    return ramp


def untrusted(depth: np.ndarray, noise: DepthNoise) -> Bool[np.ndarray, "T H W"]:
    """True at pixels to drop (T, H, W): those whose depth lies between two surfaces.

    There inverse depth jumps on both sides of a pixel in the same direction, and beyond one of them it is level.
    """
    inverse = 1.0 / depth.astype(np.float64)
    between = np.zeros(depth.shape, bool)
    for axis in (1, 2):
        if depth.shape[axis] < 3:
            continue
        size = np.moveaxis(inverse, axis, 0)
        steps = np.diff(size, axis=0)
        before, after = steps[:-1], steps[1:]
        level_before = np.abs(np.concatenate([np.zeros_like(steps[:1]), steps[:-2]])) < _LEVEL * np.abs(before)
        level_after = np.abs(np.concatenate([steps[2:], np.zeros_like(steps[:1])])) < _LEVEL * np.abs(after)
        both = (np.minimum(np.abs(before), np.abs(after)) > noise.edge * size[1:-1]) & (before * after > 0)
        np.moveaxis(between, axis, 0)[1:-1] |= both & (level_before | level_after)
    return between
