"""Merge: many samples of one surface become one splat per voxel, the voxel's size chosen by the pixel's footprint.

Samples are put on levels that double in size with the footprint. Fine levels are merged first; where they
already cover a coarser cell, the coarse samples (the same surface seen from farther away) are dropped.
"""

from __future__ import annotations

import numpy as np

from recon.points import Points
from recon.settings import ReconSettings
from recon.splats import OPACITY_MAX, Splats, concatenate_splats, static_splats

_THICKNESS = 0.15
_COVERED_BY = 2


def merge(points: Points, settings: ReconSettings) -> Splats:
    """Static splats for `points`: one per occupied voxel of the finest level that saw it.

    A splat has the mean position and colour of its samples, nearer samples counting more, and a covariance
    that spans one pixel's patch of the surface.
    """
    if len(points) == 0:
        return _empty()
    finest = float(np.quantile(points.footprints, 0.02))
    levels = np.maximum(np.rint(np.log2(points.footprints / finest)), 0).astype(int)
    covariances = _covariances(points, settings.spread_footprints)
    merged: list[Splats] = []
    for level in range(int(levels.max()) + 1):
        cell_m = settings.cell_footprints * finest * 2.0**level
        chosen = np.flatnonzero(levels == level)
        if len(chosen):
            chosen = chosen[~_covered(points.positions[chosen], merged, cell_m)]
        if len(chosen):
            merged.append(_merge_cells(points[chosen], covariances[chosen], cell_m))
    return concatenate_splats(merged)


def _empty() -> Splats:
    return static_splats(np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 3)), OPACITY_MAX)


def voxel_keys(positions: np.ndarray, cell_m: float) -> np.ndarray:
    """One int64 per position: equal for positions in one voxel of edge `cell_m`, within +-2^20 voxels."""
    cells = np.floor(positions / cell_m).astype(np.int64) + (1 << 20)
    cells = np.clip(cells, 0, (1 << 21) - 1)
    return np.asarray(cells[:, 0] << 42 | cells[:, 1] << 21 | cells[:, 2])


def _covered(positions: np.ndarray, finer: list[Splats], cell_m: float) -> np.ndarray:
    if not finer:
        return np.zeros(len(positions), bool)
    keys, counts = np.unique(voxel_keys(np.concatenate([s.means for s in finer]), cell_m), return_counts=True)
    return np.isin(voxel_keys(positions, cell_m), keys[counts >= _COVERED_BY])


def _covariances(points: Points, spread: float) -> np.ndarray:
    """Covariances (M, 6): `spread` pixels along the surface, a thin coat across it."""
    u, v = points.steps_u.astype(np.float64), points.steps_v.astype(np.float64)
    normals = np.cross(u, v)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= (_THICKNESS * points.footprints)[:, None]
    i, j = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])
    return np.asarray(spread**2 * (u[:, i] * u[:, j] + v[:, i] * v[:, j]) + normals[:, i] * normals[:, j])


def _merge_cells(points: Points, covariances: np.ndarray, cell_m: float) -> Splats:
    _, cells = np.unique(voxel_keys(points.positions, cell_m), return_inverse=True)
    count = int(cells.max()) + 1
    weights = 1.0 / points.footprints.astype(np.float64) ** 2
    total = np.bincount(cells, weights, count)

    def mean(values: np.ndarray) -> np.ndarray:
        columns = [np.bincount(cells, weights * values[:, k], count) / total for k in range(values.shape[1])]
        return np.stack(columns, axis=1)

    return static_splats(mean(points.positions), mean(covariances), mean(points.colors), OPACITY_MAX)
