"""Plane sweep: how well each depth of a pixel explains what neighbouring pictures show, and the smoothest good one.

Matching cost: normalised cross-correlation over small windows, the better half of the neighbours counting (occluded
ones lie, Kang, Szeliski and Chai 2001). Smoothing: semi-global matching along eight directions (Hirschmueller 2008).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from numba import njit

_RADIUS = 2
_FLAT_LEVELS2 = np.float32(60)
_STEP_PENALTY = np.float32(0.15)
_JUMP_PENALTY = np.float32(2.0)
_JUMP_LEVELS = np.float32(12.0)
_UNSEEN = np.float32(1.0)
_OUTSIDE = np.float32(-1.0)
_NEVER = np.float32(1e9)


def sweep_costs(
    grey: Float32[np.ndarray, "H W"],
    others: Float32[np.ndarray, "S H W"],
    base: Float64[np.ndarray, "3 3"],
    steps: tuple[Float64[np.ndarray, "S 3 3"], Float64[np.ndarray, "S 3"]],
    inverses: Float64[np.ndarray, " D"],
) -> Float32[np.ndarray, "H W D"]:
    """Cost (H, W, D) of each inverse depth (1/m) in each pixel: 0 is a perfect match, 1 none.

    Args:
        grey: the picture whose depth is asked for, grey levels of 0 and more.
        others: its neighbours.
        base: inverse intrinsics of `grey`.
        steps: (S, 3, 3) and (S, 3): a ray r of `grey` at inverse depth w is at A r + w b in neighbour s, in its
            homogeneous pixels.
        inverses: to try, (D,).
    """
    costs = np.empty((*grey.shape, len(inverses)), np.float32)
    turns = np.ascontiguousarray(steps[0] @ base)
    shifts = np.ascontiguousarray(steps[1], np.float64)
    others = np.ascontiguousarray(others, np.float32)
    _sweep(np.ascontiguousarray(grey, np.float32), others, turns, shifts, np.asarray(inverses, np.float64), costs)
    return costs


def smoothest(costs: Float32[np.ndarray, "H W D"], grey: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """The plane (fractional index) of each pixel that is cheap itself and near its neighbours', (H, W)."""
    total = np.zeros(costs.shape, np.float32)
    grey = np.ascontiguousarray(grey, np.float32)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        _aggregate(costs, grey, down, right, total)
    return _lowest(total)


@njit(cache=True, nogil=True)
def _sweep(
    grey: np.ndarray,
    others: np.ndarray,
    turns: np.ndarray,
    shifts: np.ndarray,
    inverses: np.ndarray,
    costs: np.ndarray,
) -> None:
    height, width = grey.shape
    mean, square = np.empty_like(grey), np.empty_like(grey)
    rows = np.empty_like(grey)
    _box(grey, rows, mean)
    _box(grey * grey, rows, square)
    variance = np.maximum(square - mean * mean, np.float32(0.0))
    warped, product, other_mean = np.empty_like(grey), np.empty_like(grey), np.empty_like(grey)
    each = np.empty((others.shape[0], height, width), np.float32)
    for plane in range(len(inverses)):
        for other in range(others.shape[0]):
            _warp(others[other], turns[other], shifts[other] * inverses[plane], warped)
            _correlate(grey, mean, variance, warped, (product, other_mean, square, rows), each[other])
        _best_half(each, costs, plane)


@njit(cache=True, nogil=True)
def _best_half(each: np.ndarray, costs: np.ndarray, plane: int) -> None:
    count, height, width = each.shape
    keep = (count + 1) // 2
    found = np.empty(count, np.float32)
    for v in range(height):
        for u in range(width):
            for k in range(count):
                value, at = each[k, v, u], k
                while at > 0 and found[at - 1] > value:
                    found[at] = found[at - 1]
                    at -= 1
                found[at] = value
            total = np.float32(0.0)
            for k in range(keep):
                total += found[k]
            costs[v, u, plane] = total / keep


@njit(cache=True, nogil=True, fastmath=True)
def _warp(other: np.ndarray, ray: np.ndarray, shift: np.ndarray, out: np.ndarray) -> None:
    """`other` as seen from the asked picture at one depth; -1 where it does not look (bilinear)."""
    height, width = out.shape
    last_x, last_y = other.shape[1] - 1.0, other.shape[0] - 1.0
    for v in range(height):
        x0 = ray[0, 1] * (v + 0.5) + ray[0, 2] + shift[0]
        y0 = ray[1, 1] * (v + 0.5) + ray[1, 2] + shift[1]
        z0 = ray[2, 1] * (v + 0.5) + ray[2, 2] + shift[2]
        for u in range(width):
            out[v, u] = _OUTSIDE
            z = ray[2, 0] * (u + 0.5) + z0
            if z <= 1e-9:
                continue
            px, py = (ray[0, 0] * (u + 0.5) + x0) / z - 0.5, (ray[1, 0] * (u + 0.5) + y0) / z - 0.5
            if px < 0.0 or py < 0.0 or px > last_x or py > last_y:
                continue
            i, j = min(int(px), other.shape[1] - 2), min(int(py), other.shape[0] - 2)
            a, b = np.float32(px - i), np.float32(py - j)
            top = other[j, i] + a * (other[j, i + 1] - other[j, i])
            bottom = other[j + 1, i] + a * (other[j + 1, i + 1] - other[j + 1, i])
            out[v, u] = top + b * (bottom - top)


@njit(cache=True, nogil=True, fastmath=True)
def _correlate(
    grey: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    warped: np.ndarray,
    space: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    """One minus the correlation of windows, 0 to 1; 1 where the neighbour does not look. `space` is overwritten."""
    product, other_mean, other_square, rows = space
    height, width = grey.shape
    for v in range(height):
        for u in range(width):
            # What lies outside counts as the picture's own mean: the seen part of the window decides.
            product[v, u] = warped[v, u] if warped[v, u] >= 0.0 else mean[v, u]
    _box(product, rows, other_mean)
    _box(product * product, rows, other_square)
    _box(product * grey, rows, out)
    for v in range(height):
        for u in range(width):
            spread = max(other_square[v, u] - other_mean[v, u] * other_mean[v, u], np.float32(0.0))
            shared = out[v, u] - other_mean[v, u] * mean[v, u]
            similar = shared / (np.sqrt(spread * variance[v, u]) + _FLAT_LEVELS2)
            out[v, u] = min(max(np.float32(1.0) - similar, np.float32(0.0)), np.float32(1.0))
            if warped[v, u] < 0.0:
                out[v, u] = _UNSEEN


@njit(cache=True, nogil=True, fastmath=True)
def _box(values: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Mean over windows of 2 * _RADIUS + 1 pixels a side, cut off at the borders. `rows` is overwritten."""
    height, width = values.shape
    for v in range(height):
        total = np.float32(0.0)
        for u in range(min(_RADIUS, width)):
            total += values[v, u]
        for u in range(width):
            if u + _RADIUS < width:
                total += values[v, u + _RADIUS]
            if u - _RADIUS > 0:
                total -= values[v, u - _RADIUS - 1]
            rows[v, u] = total / (min(width, u + _RADIUS + 1) - max(0, u - _RADIUS))
    for v in range(height):
        first, last = max(0, v - _RADIUS), min(height, v + _RADIUS + 1)
        share = np.float32(1.0 / (last - first))
        for u in range(width):
            out[v, u] = rows[first, u] * share
        for k in range(first + 1, last):
            for u in range(width):
                out[v, u] += rows[k, u] * share


@njit(cache=True, nogil=True)
def _aggregate(costs: np.ndarray, grey: np.ndarray, down: int, right: int, total: np.ndarray) -> None:
    """Adds the costs accumulated along one direction to `total`."""
    height, width, planes = costs.shape
    # One plane more on either side, never the best, so that no index needs a question.
    line = np.full((2, width, planes + 2), _NEVER, np.float32)
    lowest = np.zeros((2, width), np.float32)
    current = 0
    for row in range(height):
        v = row if down >= 0 else height - 1 - row
        before_row = v - down
        for column in range(width):
            u = column if right >= 0 else width - 1 - column
            before = u - right
            own = line[current, u]
            if 0 <= before < width and 0 <= before_row < height:
                source = current if down == 0 else 1 - current
                step = abs(grey[v, u] - grey[before_row, before])
                penalty = max(_STEP_PENALTY, _JUMP_PENALTY / (np.float32(1.0) + step / _JUMP_LEVELS))
                lowest[current, u] = _add_line(
                    costs[v, u], line[source, before], lowest[source, before], penalty, own, total[v, u]
                )
            else:
                least = _NEVER
                for d in range(planes):
                    own[d + 1] = costs[v, u, d]
                    least = min(least, costs[v, u, d])
                    total[v, u, d] += costs[v, u, d]
                lowest[current, u] = least
        if down != 0:
            current = 1 - current


@njit(cache=True, nogil=True, fastmath=True, inline="never")
def _add_line(
    costs: np.ndarray, before: np.ndarray, floor: np.float32, penalty: np.float32, own: np.ndarray, total: np.ndarray
) -> np.float32:
    """One pixel's step along a direction (equation 13 of Hirschmueller 2008); returns the least cost."""
    least, jump = _NEVER, floor + penalty
    for d in range(costs.shape[0]):
        near = min(before[d], before[d + 2]) + _STEP_PENALTY
        value = costs[d] + min(before[d + 1], jump, near) - floor
        own[d + 1] = value
        total[d] += value
        least = min(least, value)
    return least


@njit(cache=True, nogil=True)
def _lowest(total: np.ndarray) -> np.ndarray:
    """Index of the least plane of each pixel, moved to the bottom of the parabola through it and its neighbours."""
    height, width, planes = total.shape
    out = np.empty((height, width), np.float32)
    for v in range(height):
        for u in range(width):
            best = 0
            for d in range(1, planes):
                if total[v, u, d] < total[v, u, best]:
                    best = d
            out[v, u] = best
            if 0 < best < planes - 1:
                a, b, c = total[v, u, best - 1], total[v, u, best], total[v, u, best + 1]
                bend = a - 2 * b + c
                if bend > 1e-9:
                    out[v, u] = best + 0.5 * (a - c) / bend
    return out
