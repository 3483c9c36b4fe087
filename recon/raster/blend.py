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
BOX_REACH_PX = 16.0
BOX_TILT = 0.8


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
    # Depths that are positive order as their bits do; with the index below them keys differ, so any sort is stable.
    keys = ellipses.depths[visible].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(visible), dtype=np.uint64)
    keys.sort()
    order = visible[(keys & np.uint64(0xFFFFFFFF)).astype(np.int64)]
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
def reach_of(a: float, b: float, c: float, opacity: float) -> tuple[float, float, float]:
    """Largest exponent at which a Gaussian's alpha reaches 1/255, and how far from its centre along x and y it does."""
    limit = np.log(opacity / ALPHA_MIN)
    per = 2.0 * limit / max(a * c - b * b, 1e-30)
    return limit, np.sqrt(per * c), np.sqrt(per * a)


@njit(cache=True, nogil=True, inline="always")
def rows_of(mean_y: float, reach_y: float) -> tuple[int, int]:
    """First and one-past-last row that a Gaussian reaches, within +-1e9."""
    return int(np.ceil(max(mean_y - 0.5 - reach_y, -1.0e9))), int(np.floor(min(mean_y - 0.5 + reach_y, 1.0e9))) + 1


@njit(cache=True, nogil=True, inline="always")
def fits_box(a: float, b: float, c: float, reach_x: float, reach_y: float) -> bool:
    """True where going over a Gaussian's whole box is cheaper than finding each row's ends: small, not much tilted."""
    return reach_x < BOX_REACH_PX and reach_y < BOX_REACH_PX and b * b < BOX_TILT * a * c


@njit(cache=True, nogil=True, inline="always")
def box_of(
    geometry: np.ndarray, g: int, reach_x: float, top: int, width: int
) -> tuple[int, int, float, float, float, float, float]:
    """Column range of a Gaussian's box; in the first column of row `top` its weight, the ratios to the next row and to
    the next column, and by what these change from row to row.

    Down the box the exponentials follow a recurrence, as along a row, so a whole box costs six of them. It begins at
    the Gaussian's own first row in every band, so that bands draw the same bits.
    """
    mean_x, mean_y, a, b, c, opacity = gaussian(geometry, g)
    start = int(np.ceil(max(mean_x - 0.5 - reach_x, 0.0)))
    end = int(np.floor(min(max(mean_x - 0.5 + reach_x, -1.0), width - 1.0))) + 1
    dx, dy = start + 0.5 - mean_x, top + 0.5 - mean_y
    weight = opacity * np.exp(-(0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy))
    down, ratio = np.exp(-(c * dy + 0.5 * c + b * dx)), np.exp(-(a * dx + 0.5 * a + b * dy))
    return start, end, weight, down, ratio, np.exp(-c), np.exp(-b)


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
        limit, reach_x, reach_y = reach_of(a, b, c, opacity)
        top, bottom = rows_of(mean_y, reach_y)
        if max(top, row_start) >= min(bottom, row_end):
            continue
        boxed, step_ratio = fits_box(a, b, c, reach_x, reach_y), np.exp(-a)
        box_start, box_end, first_weight, down, across, of_down, of_across = 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0
        if boxed:
            box_start, box_end, first_weight, down, across, of_down, of_across = box_of(
                geometry, g, reach_x, top, width
            )
        f0, f1, f2, f3 = features[g, 0], features[g, 1], features[g, 2], features[g, 3]
        for y in range(top if boxed else max(top, row_start), min(bottom, row_end)):
            start, end, weight, ratio = box_start, box_end, first_weight, across
            first_weight *= down
            down *= of_down
            across *= of_across
            if y < row_start or left[y - row_start] == 0:
                continue
            if not boxed:
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
        limit, reach_x, reach_y = reach_of(a, b, c, opacity)
        top, bottom = rows_of(mean_y, reach_y)
        boxed, step_ratio = fits_box(a, b, c, reach_x, reach_y), np.exp(-a)
        box_start, box_end, first_weight, down, across, of_down, of_across = 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0
        if boxed:
            box_start, box_end, first_weight, down, across, of_down, of_across = box_of(
                geometry, g, reach_x, top, width
            )
        for y in range(top if boxed else max(top, 0), min(bottom, height)):
            start, end, weight, ratio = box_start, box_end, first_weight, across
            first_weight *= down
            down *= of_down
            across *= of_across
            if y < 0:
                continue
            if not boxed:
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
