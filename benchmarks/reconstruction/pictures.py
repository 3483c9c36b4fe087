"""How far two videos are apart: PSNR, SSIM, FLIP, unsteadiness, depth error; each over all pixels or inside a mask.

Videos are (T, H, W, 3) uint8, sRGB-encoded. Figures inside an empty mask are NaN.
"""

from __future__ import annotations

import math

import flip_evaluator
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from scipy.ndimage import correlate1d

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03
"""Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity"."""

FLIP_EVERY = 4
"""FLIP is of every fourth frame: it takes longer than all the rest."""

_LEAST_ERROR = 1e-9

Video = UInt8[np.ndarray, "T H W 3"]
Mask = Bool[np.ndarray, "T H W"]


def psnr_db(frames: Video, truth: Video, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, from the mean square over all chosen pixels of all frames."""
    error = np.square(frames.astype(np.float64) - truth)
    chosen = error if mask is None else error[mask]
    return float(10.0 * np.log10(255.0**2 / max(float(chosen.mean()), _LEAST_ERROR))) if chosen.size else math.nan


def masked_mean(values: Float[np.ndarray, "T H W"], mask: Mask | None = None) -> float:
    """Mean of `values`, inside `mask` where one is given; NaN where it is empty."""
    chosen = values if mask is None else values[mask]
    return float(chosen.mean()) if chosen.size else math.nan


def ssim_map(frames: Video, truth: Video) -> Float32[np.ndarray, "T h w"]:
    """Structural similarity of each pixel, mean of the three channels, (T, H - 10, W - 10): 5 px less on each side.

    Windows are 11x11 Gaussians (sigma 1.5) that lie wholly inside the picture; data range 255.

    Raises:
        ValueError: the picture is smaller than a window.
    """
    if min(frames.shape[1:3]) < SSIM_WINDOW_PX:
        raise ValueError(f"SSIM needs pictures of at least {SSIM_WINDOW_PX} px a side, got {frames.shape[1:3]}")
    steady, contrast = (SSIM_K1 * 255.0) ** 2, (SSIM_K2 * 255.0) ** 2
    maps = []
    for first, second in zip(frames, truth, strict=True):
        a, b = first.astype(np.float64), second.astype(np.float64)
        mean_a, mean_b = _windowed(a), _windowed(b)
        var_a, var_b = _windowed(a * a) - mean_a**2, _windowed(b * b) - mean_b**2
        both = _windowed(a * b) - mean_a * mean_b
        top = (2 * mean_a * mean_b + steady) * (2 * both + contrast)
        maps.append((top / ((mean_a**2 + mean_b**2 + steady) * (var_a + var_b + contrast))).mean(axis=-1))
    return np.stack(maps).astype(np.float32)


def ssim_mask(mask: Mask) -> Bool[np.ndarray, "T h w"]:
    """`mask` without the border that `ssim_map` has no value for."""
    edge = SSIM_WINDOW_PX // 2
    return np.asarray(mask[:, edge:-edge, edge:-edge])


def _windowed(picture: Float64[np.ndarray, "H W 3"]) -> Float64[np.ndarray, "h w 3"]:
    edge = SSIM_WINDOW_PX // 2
    weights = np.exp(-0.5 * np.square(np.arange(-edge, edge + 1) / SSIM_SIGMA_PX))
    weights /= weights.sum()
    for axis in (0, 1):
        picture = correlate1d(picture, weights, axis=axis, mode="reflect")
    return np.asarray(picture[edge:-edge, edge:-edge])


def flip_map(frames: Video, truth: Video) -> Float32[np.ndarray, "T H W"]:
    """FLIP error of each pixel in [0, 1] (flip-evaluator, LDR, its standard viewing distance)."""
    maps = []
    for frame, reference in zip(frames, truth, strict=True):
        pair = [np.ascontiguousarray(picture, np.float32) / np.float32(255.0) for picture in (reference, frame)]
        maps.append(flip_evaluator.evaluate(*pair, "LDR", applyMagma=False, computeMeanError=False)[0][..., 0])
    return np.stack(maps).astype(np.float32)


def unsteadiness(frames: Video, truth: Video) -> Float32[np.ndarray, "T-1 H W"]:
    """|dR - dG| of each pixel: how far the change from frame to frame is off, mean of channels, in levels of 255.

    A video that is off by the same amount in every frame is steady: its error is 0.
    """
    off = frames.astype(np.float32) - truth
    return np.asarray(np.abs(np.diff(off, axis=0)).mean(axis=-1), np.float32)


def depth_abs_rel(
    depth: Float32[np.ndarray, "T H W"], truth: Float32[np.ndarray, "T H W"], mask: Mask | None = None
) -> float:
    """Mean of |depth - truth| / truth."""
    return masked_mean(np.abs(depth.astype(np.float64) - truth) / truth, mask)
