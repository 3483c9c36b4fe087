"""Planes among surfels: the floor, and the large flat things that are the shell of a room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from recon.surfels import Surfels

UP = np.array([0.0, -1.0, 0.0])
_BIN_M = 0.02
_STEEPEST = 0.94
_NEARLY_LEVEL = 0.999945
_FLOOR_SHARE = 0.4
_FLOOR_LEAST_M2 = 0.3
_FIT_ROUNDS = 4
_ALIKE = 0.9
_TRIALS = 160


@dataclass(frozen=True, eq=False)
class Plane:
    """Points x with normal . x = offset_m; `normal` (3,) has unit length and points to the open side."""

    normal: Float[np.ndarray, "3"]
    offset_m: float

    def heights(self, points: np.ndarray) -> Float[np.ndarray, " M"]:
        """How far points (M, 3) are before the plane, metres."""
        return np.asarray(points @ self.normal - self.offset_m)

    def dropped(self, points: np.ndarray) -> Float[np.ndarray, "M 3"]:
        """Points (M, 3) moved straight up or down, along gate y, onto the plane; it must not be vertical."""
        moved = np.array(points, np.float64)
        moved[:, 1] -= self.heights(points) / self.normal[1]
        return moved


def find_floor(surfels: Surfels) -> Plane | None:
    """The floor: the lowest large level surface that faces up, tilted as its surfels are; None where there is none.

    Heights are binned along up; of the bins that hold at least two fifths as much surface as the fullest one the
    lowest counts, and a plane is fitted to its surfels; one that is nearly level is made so.
    """
    level = surfels[surfels.normals @ UP > _STEEPEST]
    if level.areas.sum() < _FLOOR_LEAST_M2:
        return None
    heights = level.positions @ UP
    first = float(heights.min())
    bins = np.floor((heights - first) / _BIN_M).astype(int)
    filled = np.convolve(np.bincount(bins, level.areas), np.ones(3), mode="same")
    lowest = int(np.flatnonzero(filled >= _FLOOR_SHARE * filled.max())[0])
    while lowest + 1 < len(filled) and filled[lowest + 1] > filled[lowest]:
        lowest += 1
    plane = Plane(UP, first + (lowest + 0.5) * _BIN_M)
    for _ in range(_FIT_ROUNDS):
        near = np.abs(plane.heights(level.positions)) < 2.5 * _BIN_M
        if near.sum() < 3:
            break
        plane = fitted(level[near], plane)
    return _level(plane, level)


def _level(plane: Plane, surfels: Surfels) -> Plane:
    """`plane`, made level at the median height of its surfels where it tilts by under 0.6 degrees: floors are built so.

    Splats that were refined lie a centimetre off their surface here and there, which a fit takes for a tilt.
    """
    if plane.normal @ UP < _NEARLY_LEVEL:
        return plane
    near = surfels[np.abs(plane.heights(surfels.positions)) < 2.5 * _BIN_M]
    heights = near.positions @ UP
    order = np.argsort(heights)
    filled = np.cumsum(near.areas[order])
    return Plane(UP, float(heights[order][np.searchsorted(filled, filled[-1] / 2.0)]))


def find_planes(surfels: Surfels, thickness_m: float, least_m2: float, most: int = 12) -> list[Bool[np.ndarray, " M"]]:
    """Which surfels (M,) lie on each large plane, the largest first; every surfel is on one plane at most.

    Each surfel is a whole hypothesis, since it has a normal; every plane is the best of 160 (RANSAC, Fischler and
    Bolles 1981), drawn by area with a fixed seed.

    Args:
        thickness_m: how far a surfel may be from its plane.
        least_m2: the smallest area that counts as a plane.
    """
    rng = np.random.default_rng(0)
    free = np.ones(len(surfels), bool)
    found: list[np.ndarray] = []
    while len(found) < most and float(surfels.areas[free].sum()) >= least_m2:
        rest = np.flatnonzero(free)
        chances = surfels.areas[rest] / surfels.areas[rest].sum()
        best, best_m2 = np.zeros(0, np.int64), 0.0
        for seed in rng.choice(rest, _TRIALS, p=chances):
            on_it = _on_plane(surfels, rest, seed, thickness_m)
            area = float(surfels.areas[on_it].sum())
            if area > best_m2:
                best, best_m2 = on_it, area
        if best_m2 < least_m2:
            break
        mask = np.zeros(len(surfels), bool)
        mask[best] = True
        found.append(mask)
        free &= ~mask
    return found


def _on_plane(surfels: Surfels, rest: np.ndarray, seed: int, thickness_m: float) -> np.ndarray:
    normal = surfels.normals[seed]
    near = np.abs((surfels.positions[rest] - surfels.positions[seed]) @ normal) < thickness_m
    return np.asarray(rest[near & (surfels.normals[rest] @ normal > _ALIKE)])


def fitted(surfels: Surfels, before: Plane) -> Plane:
    """The least-squares plane of surfels, weighted by area, facing as `before` does; that one if it tilts far."""
    weights = surfels.areas / surfels.areas.sum()
    middle = weights @ surfels.positions
    apart = surfels.positions - middle
    normal = np.linalg.eigh((apart * weights[:, None]).T @ apart)[1][:, 0]
    normal = normal if normal @ before.normal > 0 else -normal
    if normal @ before.normal < _STEEPEST:
        return before
    return Plane(normal, float(normal @ middle))
