"""Cross-view agreement: where do other frames see the surface that one frame sees?"""

from __future__ import annotations

import numpy as np
from numba import njit

from clips.cameras import Cameras

NEAR_M = 0.02


@njit(cache=True, nogil=True)
def _to_pixel(point: np.ndarray, viewmat: np.ndarray, K: np.ndarray) -> tuple[float, float, float]:
    """Pixel position and depth of a world point; depth 0 when it lies behind the camera."""
    z = viewmat[2, 0] * point[0] + viewmat[2, 1] * point[1] + viewmat[2, 2] * point[2] + viewmat[2, 3]
    if z < NEAR_M:
        return 0.0, 0.0, 0.0
    x = viewmat[0, 0] * point[0] + viewmat[0, 1] * point[1] + viewmat[0, 2] * point[2] + viewmat[0, 3]
    y = viewmat[1, 0] * point[0] + viewmat[1, 1] * point[1] + viewmat[1, 2] * point[2] + viewmat[1, 3]
    return K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2], z


@njit(cache=True, nogil=True)
def _inverse_depth_at(inverse: np.ndarray, u: float, v: float) -> float:
    """Bilinear inverse depth at pixel position (u, v): exact on planes; -1 outside the picture."""
    height, width = inverse.shape
    x, y = u - 0.5, v - 0.5
    if not (x >= 0.0 and y >= 0.0 and x <= width - 1 and y <= height - 1):
        return -1.0
    i, j = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
    i1, j1 = min(i + 1, width - 1), min(j + 1, height - 1)
    a, b = x - i, y - j
    top = (1 - a) * inverse[j, i] + a * inverse[j, i1]
    bottom = (1 - a) * inverse[j1, i] + a * inverse[j1, i1]
    return float((1 - b) * top + b * bottom)


@njit(cache=True, nogil=True)
def _point(depth: float, u: float, v: float, pose: np.ndarray, K: np.ndarray, out: np.ndarray) -> None:
    x, y = (u - K[0, 2]) / K[0, 0] * depth, (v - K[1, 2]) / K[1, 1] * depth
    for i in range(3):
        out[i] = pose[i, 0] * x + pose[i, 1] * y + pose[i, 2] * depth + pose[i, 3]


@njit(cache=True, nogil=True)
def _log_ratios(
    depth: np.ndarray,
    pose: np.ndarray,
    K: np.ndarray,
    other_inverse: np.ndarray,
    other_viewmat: np.ndarray,
    other_K: np.ndarray,
    out: np.ndarray,
) -> None:
    """Per pixel: log of (depth seen by the other frame / depth expected there); NaN where it does not look."""
    point = np.empty(3)
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            out[v, u] = np.nan
            _point(depth[v, u], u + 0.5, v + 0.5, pose, K, point)
            x, y, z = _to_pixel(point, other_viewmat, other_K)
            if z > 0.0:
                inverse = _inverse_depth_at(other_inverse, x, y)
                if inverse > 0.0:
                    out[v, u] = -np.log(inverse * z)


def log_ratios(depth: np.ndarray, cameras: Cameras, frame: int, other: int) -> np.ndarray:
    """How much farther `other` sees the surface than `frame`'s depth says, as log ratios (H, W).

    0 is agreement, positive means that `other` looks through the point, negative that something is before it;
    NaN where the point is outside `other`'s picture.
    """
    out = np.empty(depth.shape[1:], np.float64)
    _log_ratios(
        depth[frame].astype(np.float64),
        cameras.camera_to_world[frame],
        cameras.Ks[frame],
        1.0 / depth[other].astype(np.float64),
        cameras.viewmats[other],
        cameras.Ks[other],
        out,
    )
    return out


@njit(cache=True, nogil=True)
def _count_views(
    positions: np.ndarray,
    own_frames: np.ndarray,
    nearest: np.ndarray,
    farthest: np.ndarray,
    viewmats: np.ndarray,
    Ks: np.ndarray,
    frames: np.ndarray,
    tolerance: float,
    out: np.ndarray,
) -> None:
    height, width = nearest.shape[1], nearest.shape[2]
    for n in range(positions.shape[0]):
        for s in frames:
            if s == own_frames[n]:
                continue
            u, v, z = _to_pixel(positions[n], viewmats[s], Ks[s])
            if z <= 0.0 or not (u >= 1.0 and v >= 1.0 and u < width - 1.0 and v < height - 1.0):
                continue
            i, j = int(u), int(v)
            if z < nearest[s, j, i] * (1.0 - tolerance):
                out[n, 0] += 1
            elif z > farthest[s, j, i] * (1.0 + tolerance):
                out[n, 2] += 1
            else:
                out[n, 1] += 1


def count_views(
    positions: np.ndarray,
    own_frames: np.ndarray,
    depth: np.ndarray,
    cameras: Cameras,
    frames: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """How often other frames see through, see, and see something before each point: (N, 3) counts.

    A frame sees through a point when the nearest depth in the 3x3 pixels around it is farther by `tolerance`
    (relative): space that is empty in that frame. The outermost pixels do not vote: what is beside them is not
    known. The point's own frame (`own_frames`, (N,)) is left out;
    `frames` lists those that vote.
    """
    from scipy.ndimage import maximum_filter, minimum_filter  # noqa: PLC0415 - slow to import, rarely needed

    out = np.zeros((len(positions), 3), np.int32)
    _count_views(
        np.ascontiguousarray(positions, np.float32),
        np.ascontiguousarray(own_frames, np.int32),
        minimum_filter(depth, size=(1, 3, 3), mode="nearest"),
        maximum_filter(depth, size=(1, 3, 3), mode="nearest"),
        cameras.viewmats,
        cameras.Ks,
        np.ascontiguousarray(frames, np.int64),
        tolerance,
        out,
    )
    return out


@njit(cache=True, nogil=True)
def _mean_log_ratio(
    depth: np.ndarray,
    inverse: np.ndarray,
    poses: np.ndarray,
    viewmats: np.ndarray,
    Ks: np.ndarray,
    frame: int,
    reach: int,
    tolerance: float,
    out: np.ndarray,
) -> None:
    """Per pixel: mean log ratio over the frames within `reach` that agree within `tolerance`, itself included."""
    point = np.empty(3)
    first, last = max(0, frame - reach), min(len(depth), frame + reach + 1)
    for v in range(depth.shape[1]):
        for u in range(depth.shape[2]):
            _point(depth[frame, v, u], u + 0.5, v + 0.5, poses[frame], Ks[frame], point)
            total, count = 0.0, 1
            for s in range(first, last):
                if s == frame:
                    continue
                x, y, z = _to_pixel(point, viewmats[s], Ks[s])
                if z <= 0.0:
                    continue
                seen = _inverse_depth_at(inverse[s], x, y)
                if seen <= 0.0:
                    continue
                ratio = -np.log(seen * z)
                if abs(ratio) <= tolerance:
                    total += ratio
                    count += 1
            out[v, u] = total / count


def mean_log_ratio(depth: np.ndarray, cameras: Cameras, frame: int, reach: int, tolerance: float) -> np.ndarray:
    """Mean log ratio (H, W) between what agreeing neighbours and `frame` itself say about its depth.

    Neighbours are the frames within `reach`; they agree where their log ratio is within `tolerance`. Multiply
    the depth with exp of it to fuse.
    """
    out = np.empty(depth.shape[1:], np.float64)
    wide = depth.astype(np.float64)
    _mean_log_ratio(
        wide, 1.0 / wide, cameras.camera_to_world, cameras.viewmats, cameras.Ks, frame, reach, tolerance, out
    )
    return out
