"""Gradients of the blending: the pictures' gradients become gradients of ellipses, opacities and features.

The Gaussians are gone through front to back as in `recon.raster.blend`, with the same arithmetic, so every pixel takes
the same contributions. What lies behind a Gaussian is known from the finished picture less what came so far, so nothing
but that remainder and the transmittance is kept per pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recon.raster.blend import (
    ALPHA_MAX,
    ALPHA_MIN,
    TRANSMITTANCE_MIN,
    box_of,
    fits_box,
    gaussian,
    reach_of,
    row_of,
    rows_of,
)

GRADIENTS = 10
"""Columns of the gradients: centre u, v; conic a, b, c; opacity; four features."""


@njit(cache=True, nogil=True)
def blend_band_gradient(
    geometry: np.ndarray,
    features: np.ndarray,
    row_start: int,
    row_end: int,
    image_gradient: np.ndarray,
    behind: np.ndarray,
    transmittance: np.ndarray,
    gradients: np.ndarray,
) -> None:
    """Write to `gradients` (M, 10) what rows [row_start, row_end) contribute; those of others stay as they were.

    Args:
        geometry, features, row_start, row_end: as `blend_band` had them.
        image_gradient: of the loss by the picture, (H, W, 4).
        behind: picture times its gradient, less alpha's gradient times the transmittance that was left, (H, W); what it
            holds afterwards means nothing.
        transmittance: ones, (H, W); overwritten.
        gradients: of the loss by u, v, a, b, c, opacity and the four features, zero at first.
    """
    width = image_gradient.shape[1]
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
        of_u, of_v, of_a, of_b, of_c, of_power = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for y in range(top if boxed else max(top, row_start), min(bottom, row_end)):
            span, dy = (box_start, box_end, first_weight, across), y + 0.5 - mean_y
            first_weight *= down
            down *= of_down
            across *= of_across
            if y < row_start or left[y - row_start] == 0:
                continue
            if not boxed:
                span = row_of(a, b, c, opacity, limit, mean_x, dy, width)
            closed, flat, tilted, bent = _row_gradient(
                span, step_ratio, mean_x, features[g], image_gradient[y], behind[y], transmittance[y], gradients[g]
            )
            left[y - row_start] -= closed
            of_power += flat
            of_u += a * tilted + b * dy * flat
            of_v += b * tilted + c * dy * flat
            of_a -= 0.5 * bent
            of_b -= dy * tilted
            of_c -= 0.5 * dy * dy * flat
        gradients[g, 0], gradients[g, 1] = of_u, of_v
        gradients[g, 2], gradients[g, 3], gradients[g, 4] = of_a, of_b, of_c
        gradients[g, 5] = of_power / opacity


@njit(cache=True, nogil=True, inline="always")
def _row_gradient(
    span: tuple[int, int, float, float],
    step_ratio: float,
    mean_x: float,
    feature: np.ndarray,
    image_gradient: np.ndarray,
    behind: np.ndarray,
    transmittance: np.ndarray,
    gradient: np.ndarray,
) -> tuple[int, float, float, float]:
    """Add a row's gradients of the features; returns the pixels that it closed, and the moments 0, 1 and 2 along x of
    the gradients by the logarithm of alpha."""
    start, end, weight, ratio = span
    f0, f1, f2, f3 = feature[0], feature[1], feature[2], feature[3]
    of_f0, of_f1, of_f2, of_f3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    closed, flat, tilted, bent = 0, 0.0, 0.0, 0.0
    for x in range(start, end):
        alpha = np.float32(min(ALPHA_MAX, weight))
        capped = weight > ALPHA_MAX
        weight *= ratio
        ratio *= step_ratio
        T = transmittance[x]
        if T <= 0 or alpha < np.float32(ALPHA_MIN):
            continue
        T_next = T * (np.float32(1) - alpha)
        if T_next <= np.float32(TRANSMITTANCE_MIN):
            transmittance[x] = -T
            closed += 1
            continue
        transmittance[x] = T_next
        g0, g1, g2, g3 = image_gradient[x, 0], image_gradient[x, 1], image_gradient[x, 2], image_gradient[x, 3]
        w = T * alpha
        of_f0 += w * g0
        of_f1 += w * g1
        of_f2 += w * g2
        of_f3 += w * g3
        own = w * (f0 * g0 + f1 * g1 + f2 * g2 + f3 * g3)
        rest = behind[x] - own
        behind[x] = rest
        if not capped:
            push = own - rest * (w / T_next)
            dx = x + 0.5 - mean_x
            flat += push
            tilted += push * dx
            bent += push * dx * dx
    gradient[6] += of_f0
    gradient[7] += of_f1
    gradient[8] += of_f2
    gradient[9] += of_f3
    return closed, flat, tilted, bent
