"""Front-to-back alpha blending of ellipses, in splat order: one loop over the Gaussians, not over tiles.

Same rules as gsplat's CUDA kernel: alpha is capped at 0.999, contributions below 1/255 are skipped, and a
pixel is finished before the Gaussian that would bring its transmittance to 1e-4 or less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numba import njit

from recon.raster.projection import Ellipses

ALPHA_MAX = 0.999
ALPHA_MIN = 1.0 / 255.0
TRANSMITTANCE_MIN = 1e-4


@dataclass(frozen=True, eq=False)
class Sorted:
    """What a camera sees, nearest first, as the kernels read it.

    Attributes:
        order: which Gaussians these are, (M,).
        geometry: centre u, v, conic a, b, c and opacity of each, (M, 6), at least 1/255 opaque.
    """

    order: Int64[np.ndarray, " M"]
    geometry: Float32[np.ndarray, "M 6"]


def front_to_back(ellipses: Ellipses) -> Sorted:
    """The Gaussians that the camera sees, nearest first; equal depths keep their order."""
    visible = np.flatnonzero((ellipses.radii[:, 0] > 0) & (ellipses.opacities >= np.float32(ALPHA_MIN)))
    order = visible[np.argsort(ellipses.depths[visible], kind="stable")]
    geometry = np.empty((len(order), 6), np.float32)
    _gather(order, ellipses.means2d, ellipses.conics, ellipses.opacities, geometry)
    return Sorted(order, geometry)


@njit(cache=True, nogil=True)
def _gather(
    order: np.ndarray, means2d: np.ndarray, conics: np.ndarray, opacities: np.ndarray, geometry: np.ndarray
) -> None:
    for i in range(len(order)):
        g = order[i]
        geometry[i, 0], geometry[i, 1] = means2d[g, 0], means2d[g, 1]
        geometry[i, 2], geometry[i, 3], geometry[i, 4] = conics[g, 0], conics[g, 1], conics[g, 2]
        geometry[i, 5] = opacities[g]


@njit(cache=True, nogil=True, inline="always")
def gaussian(geometry: np.ndarray, g: int) -> tuple[float, float, float, float, float, float]:
    """Centre, conic and opacity of one row."""
    return (
        float(geometry[g, 0]),
        float(geometry[g, 1]),
        float(geometry[g, 2]),
        float(geometry[g, 3]),
        float(geometry[g, 4]),
        float(geometry[g, 5]),
    )


@njit(cache=True, nogil=True, inline="always")
def row_span(
    a: float, b: float, c: float, opacity: float, mean_y: float, row_start: int, row_end: int
) -> tuple[int, int, float]:
    """First and one-past-last row where the Gaussian's alpha reaches 1/255, and its largest exponent there."""
    limit = np.log(opacity / ALPHA_MIN)
    reach = np.sqrt(2.0 * limit * a / max(a * c - b * b, 1e-30))
    first = max(row_start, int(np.ceil(max(mean_y - 0.5 - reach, -1.0))))
    last = min(row_end, int(np.floor(min(mean_y - 0.5 + reach, 1.0e9))) + 1)
    return first, last, limit


@njit(cache=True, nogil=True, inline="always")
def row_of(
    a: float, b: float, c: float, opacity: float, limit: float, mean_x: float, dy: float, width: int
) -> tuple[int, int, float, float]:
    """Column range of one row, the weight opacity * exp(-q) at its first column, and the ratio to the next.

    Along a row the exponentials follow a recurrence: e(x+1) = e(x) r(x), r(x+1) = r(x) exp(-a), so a row costs
    two of them however long it is.
    """
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
    geometry: np.ndarray,
    features: np.ndarray,
    row_start: int,
    row_end: int,
    image: np.ndarray,
    transmittance: np.ndarray,
) -> int:
    """Blend Gaussians into rows [row_start, row_end); returns the number of Gaussian-pixel blends.

    `geometry` (M, 6) is from `front_to_back`, `features` is (M, 4), `image` (H, W, 4) starts at zero and
    `transmittance` (H, W) at one. A finished pixel's transmittance is stored with its sign flipped; the caller takes
    the absolute value.
    """
    width = image.shape[1]
    blends = 0
    left = np.full(row_end - row_start, width, np.int64)
    for g in range(len(geometry)):
        mean_x, mean_y, a, b, c, opacity = gaussian(geometry, g)
        first, last, limit = row_span(a, b, c, opacity, mean_y, row_start, row_end)
        if first >= last:
            continue
        step_ratio = np.exp(-a)
        f0, f1, f2, f3 = features[g, 0], features[g, 1], features[g, 2], features[g, 3]
        for y in range(first, last):
            if left[y - row_start] == 0:
                continue
            start, end, weight, ratio = row_of(a, b, c, opacity, limit, mean_x, y + 0.5 - mean_y, width)
            for x in range(start, end):
                alpha = np.float32(min(ALPHA_MAX, weight))
                weight *= ratio
                ratio *= step_ratio
                T = transmittance[y, x]
                if T <= 0 or alpha < np.float32(ALPHA_MIN):
                    continue
                T_next = T * (np.float32(1) - alpha)
                if T_next <= np.float32(TRANSMITTANCE_MIN):
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
    geometry: np.ndarray,
    order: np.ndarray,
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
    for g in range(len(geometry)):
        mean_x, mean_y, a, b, c, opacity = gaussian(geometry, g)
        first, last, limit = row_span(a, b, c, opacity, mean_y, 0, height)
        step_ratio = np.exp(-a)
        for y in range(first, last):
            start, end, weight, ratio = row_of(a, b, c, opacity, limit, mean_x, y + 0.5 - mean_y, width)
            for x in range(start, end):
                alpha = np.float32(min(ALPHA_MAX, weight))
                weight *= ratio
                ratio *= step_ratio
                T = transmittance[y, x]
                if T <= 0 or alpha < np.float32(ALPHA_MIN):
                    continue
                T_next = T * (np.float32(1) - alpha)
                if T_next <= np.float32(TRANSMITTANCE_MIN):
                    transmittance[y, x] = -T
                    continue
                transmittance[y, x] = T_next
                if count < capacity:
                    pixels[count] = y * width + x
                    splats[count] = order[g]
                    weights[count] = T * alpha
                count += 1
    return count
