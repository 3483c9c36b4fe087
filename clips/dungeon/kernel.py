"""Numba: the pixels, depth and motion mask of a clip, frame by frame."""

from __future__ import annotations

import numpy as np
from numba import njit

from clips.dungeon.intersect import OPTIONS, nearest
from clips.dungeon.shade import shade_face, shade_solid

LUT_SIZE = 4096
LUT_MAX = 4.0
SUBPIXEL = 0.25


@njit(**OPTIONS)
def _shade(packed, t, code, o, d, footprint):  # type: ignore[no-untyped-def]
    p = (o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2])
    if code < 18:
        face = code % 6
        length = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        facing = max(abs(d[face // 2]) / length, 0.1)
        return shade_face(packed, code, p, t * footprint * length / np.sqrt(facing))
    return shade_solid(packed, code - 18, p, o, d)


@njit(**OPTIONS)
def _direction(pose, K, x, y):  # type: ignore[no-untyped-def]
    a, b = (x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]
    return (
        pose[0, 0] * a + pose[0, 1] * b + pose[0, 2],
        pose[1, 0] * a + pose[1, 1] * b + pose[1, 2],
        pose[2, 0] * a + pose[2, 1] * b + pose[2, 2],
    )


@njit(**OPTIONS)
def _pixel(packed, cell, o, pose, K, column, row):  # type: ignore[no-untyped-def]
    """(linear RGB, depth, object seen): 2x2 rays; where all meet one surface, it is shaded once in the middle."""
    x, y = column + 0.5, row + 0.5
    middle = _direction(pose, K, x, y)
    depth, code = nearest(packed.cells, packed.prims, cell, o, middle)
    footprint = 1.0 / K[0, 0]
    same = True
    moving = code == 18
    red, green, blue = 0.0, 0.0, 0.0
    for i in range(4):
        d = _direction(pose, K, x + (SUBPIXEL if i % 2 else -SUBPIXEL), y + (SUBPIXEL if i >= 2 else -SUBPIXEL))
        _, sub_code = nearest(packed.cells, packed.prims, cell, o, d)
        same = same and sub_code == code
    if same:
        red, green, blue = _shade(packed, depth, code, o, middle, footprint)
        return red, green, blue, depth, moving
    for i in range(4):
        d = _direction(pose, K, x + (SUBPIXEL if i % 2 else -SUBPIXEL), y + (SUBPIXEL if i >= 2 else -SUBPIXEL))
        t, sub_code = nearest(packed.cells, packed.prims, cell, o, d)
        moving = moving or sub_code == 18
        r, g, b = _shade(packed, t, sub_code, o, d, 0.5 * footprint)
        red, green, blue = red + 0.25 * r, green + 0.25 * g, blue + 0.25 * b
    return red, green, blue, depth, moving


@njit(**OPTIONS)
def render_frames(packed, centers, poses, Ks, start_cells, lut, frames, depth, seen):  # type: ignore[no-untyped-def]
    """Fill `frames` (T, H, W, 3) uint8, `depth` (T, H, W) float32 and `seen` (T, H, W) bool: the object in the pixel.

    `centers` (T, 3) places solid 0, which is moved in `packed.prims`; `poses` are camera-to-world (T, 4, 4).
    """
    scale = (LUT_SIZE - 1) / LUT_MAX
    for f in range(frames.shape[0]):
        packed.prims[0, 1:4] = centers[f]
        pose, K = poses[f], Ks[f]
        o = (pose[0, 3], pose[1, 3], pose[2, 3])
        for row in range(frames.shape[1]):
            for column in range(frames.shape[2]):
                red, green, blue, t, moving = _pixel(packed, start_cells[f], o, pose, K, column, row)
                frames[f, row, column, 0] = lut[int(min(max(red, 0.0), LUT_MAX) * scale + 0.5)]
                frames[f, row, column, 1] = lut[int(min(max(green, 0.0), LUT_MAX) * scale + 0.5)]
                frames[f, row, column, 2] = lut[int(min(max(blue, 0.0), LUT_MAX) * scale + 0.5)]
                depth[f, row, column] = t
                seen[f, row, column] = moving
