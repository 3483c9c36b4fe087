"""Front-to-back alpha blending of ellipses, in splat order: one loop over the Gaussians, not over tiles.

Same rules as gsplat's CUDA kernel: alpha is capped at 0.999, contributions below 1/255 are skipped, and a
pixel is finished before the Gaussian that would bring its transmittance to 1e-4 or less.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ALPHA_MAX = 0.999
ALPHA_MIN = 1.0 / 255.0
TRANSMITTANCE_MIN = 1e-4


@njit(cache=True, nogil=True)
def _row_span(conic: np.ndarray, opacity: float, mean_y: float, row_start: int, row_end: int) -> tuple[int, int, float]:
    """First and one-past-last row where the Gaussian's alpha reaches 1/255, and its largest exponent there."""
    a, b, c = float(conic[0]), float(conic[1]), float(conic[2])
    limit = np.log(opacity / ALPHA_MIN)
    reach = np.sqrt(2.0 * limit * a / max(a * c - b * b, 1e-30))
    first = max(row_start, int(np.ceil(max(mean_y - 0.5 - reach, -1.0))))
    last = min(row_end, int(np.floor(min(mean_y - 0.5 + reach, 1.0e9))) + 1)
    return first, last, limit


@njit(cache=True, nogil=True)
def _row(
    conic: np.ndarray, opacity: float, limit: float, mean_x: float, dy: float, width: int
) -> tuple[int, int, float, float]:
    """Column range of one row, the weight opacity * exp(-q) at its first column, and the ratio to the next.

    Along a row the exponentials follow a recurrence: e(x+1) = e(x) r(x), r(x+1) = r(x) exp(-a), so a row costs
    two of them however long it is.
    """
    a, b, c = float(conic[0]), float(conic[1]), float(conic[2])
    tilt = b * dy
    discriminant = tilt * tilt - a * (c * dy * dy - 2.0 * limit)
    if discriminant <= 0.0:
        return 0, 0, 0.0, 0.0
    half = np.sqrt(discriminant) / a
    middle = mean_x - tilt / a - 0.5
    start = int(np.ceil(max(middle - half, 0.0)))
    end = int(np.floor(min(max(middle + half, -1.0), width - 1.0))) + 1
    dx = start + 0.5 - mean_x
    weight = opacity * np.exp(-(0.5 * (a * dx * dx + c * dy * dy) + tilt * dx))
    return start, end, weight, np.exp(-(a * dx + 0.5 * a + tilt))


@njit(cache=True, nogil=True)
def blend_band(
    order: np.ndarray,
    means2d: np.ndarray,
    conics: np.ndarray,
    opacities: np.ndarray,
    features: np.ndarray,
    row_start: int,
    row_end: int,
    image: np.ndarray,
    transmittance: np.ndarray,
) -> int:
    """Blend Gaussians into rows [row_start, row_end); returns the number of Gaussian-pixel blends.

    `order` lists the visible Gaussians front to back, `features` is (N, 4), `image` (H, W, 4) starts at zero
    and `transmittance` (H, W) at one. A finished pixel's transmittance is stored with its sign flipped; the
    caller takes the absolute value.
    """
    width = image.shape[1]
    blends = 0
    left = np.full(row_end - row_start, width, np.int64)
    for g in order:
        opacity = float(opacities[g])
        if opacity < ALPHA_MIN:
            continue
        conic = conics[g]
        mean_x, mean_y = float(means2d[g, 0]), float(means2d[g, 1])
        first, last, limit = _row_span(conic, opacity, mean_y, row_start, row_end)
        step_ratio = np.exp(-float(conic[0]))
        f0, f1, f2, f3 = features[g, 0], features[g, 1], features[g, 2], features[g, 3]
        for y in range(first, last):
            if left[y - row_start] == 0:
                continue
            start, end, weight, ratio = _row(conic, opacity, limit, mean_x, y + 0.5 - mean_y, width)
            for x in range(start, end):
                alpha = min(ALPHA_MAX, weight)
                weight *= ratio
                ratio *= step_ratio
                T = transmittance[y, x]
                if T <= 0.0 or alpha < ALPHA_MIN:
                    continue
                T_next = T * (1.0 - alpha)
                if T_next <= TRANSMITTANCE_MIN:
                    transmittance[y, x] = -T
                    left[y - row_start] -= 1
                    continue
                w = T * alpha
                image[y, x, 0] += w * f0
                image[y, x, 1] += w * f1
                image[y, x, 2] += w * f2
                image[y, x, 3] += w * f3
                transmittance[y, x] = T_next
                blends += 1
    return blends


@njit(cache=True, nogil=True)
def collect_weights(
    order: np.ndarray,
    means2d: np.ndarray,
    conics: np.ndarray,
    opacities: np.ndarray,
    transmittance: np.ndarray,
    pixels: np.ndarray,
    splats: np.ndarray,
    weights: np.ndarray,
) -> int:
    """List every blend of a picture as (pixel index, splat index, weight); returns how many there are.

    The picture is linear in the colours: pixel p is the sum of weight * colour over its entries. Entries past
    the capacity of the arrays are counted but not written, so the caller can grow them and call again.
    """
    height, width = transmittance.shape
    capacity = pixels.shape[0]
    count = 0
    for g in order:
        opacity = float(opacities[g])
        if opacity < ALPHA_MIN:
            continue
        conic = conics[g]
        mean_x, mean_y = float(means2d[g, 0]), float(means2d[g, 1])
        first, last, limit = _row_span(conic, opacity, mean_y, 0, height)
        step_ratio = np.exp(-float(conic[0]))
        for y in range(first, last):
            start, end, weight, ratio = _row(conic, opacity, limit, mean_x, y + 0.5 - mean_y, width)
            for x in range(start, end):
                alpha = min(ALPHA_MAX, weight)
                weight *= ratio
                ratio *= step_ratio
                T = transmittance[y, x]
                if T <= 0.0 or alpha < ALPHA_MIN:
                    continue
                T_next = T * (1.0 - alpha)
                if T_next <= TRANSMITTANCE_MIN:
                    transmittance[y, x] = -T
                    continue
                transmittance[y, x] = T_next
                if count < capacity:
                    pixels[count] = y * width + x
                    splats[count] = g
                    weights[count] = T * alpha
                count += 1
    return count
