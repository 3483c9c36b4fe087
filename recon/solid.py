"""Solid: surfels given a thickness, as one watertight mesh.

Signed distance to the weighted local plane of the nearest surfels (Hoppe et al. 1992): solid lies behind a surface, up
to a thickness, and ends beside it where the surfels do. What nobody has seen stays free.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from recon.isosurface import isosurface
from recon.mesh import Mesh
from recon.surfels import Surfels

MAX_NODES = 12_000_000
THICKNESS_CELLS = 2.5
_BESIDE_CELLS = 1.0
_SMOOTH_CELLS = 0.8
_NEIGHBOURS = 8
_REACH_CELLS = 4


def solid_mesh(surfels: Surfels, cell_m: float) -> Mesh:
    """A watertight mesh of the surfaces of `surfels`, 2.5 cells thick; empty where there are none.

    Cells are `cell_m`, or larger where the grid would have more than 12 million nodes.
    """
    if not len(surfels):
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    low, high = surfels.positions.min(axis=0), surfels.positions.max(axis=0)
    while np.prod((high - low) / cell_m + 2 * _REACH_CELLS + 3) > MAX_NODES:
        cell_m *= 1.25
    origin = low - (_REACH_CELLS + 1) * cell_m
    shape = tuple(np.ceil((high - origin) / cell_m).astype(int) + _REACH_CELLS + 2)
    nodes = np.argwhere(_near(surfels, origin, cell_m, shape))
    values = np.full(shape, cell_m, np.float64)
    values[tuple(nodes.T)] = _signed_distance(origin + nodes * cell_m, surfels, cell_m)
    return isosurface(values, origin, cell_m)


def _near(surfels: Surfels, origin: np.ndarray, cell_m: float, shape: tuple[int, ...]) -> np.ndarray:
    """True at the nodes within reach of a surfel."""
    near = np.zeros(shape, bool)
    near[tuple(np.rint((surfels.positions - origin) / cell_m).astype(int).T)] = True
    for axis in range(3):
        reach = np.ones([2 * _REACH_CELLS - 1 if k == axis else 1 for k in range(3)], bool)
        near = binary_dilation(near, reach)
    return near


def _signed_distance(points: np.ndarray, surfels: Surfels, cell_m: float) -> np.ndarray:
    """Negative in the solid, (M,), metres; exact near surfaces only."""
    distance, index = cKDTree(surfels.positions).query(points, k=min(_NEIGHBOURS, len(surfels)))
    distance, index = distance.reshape(len(points), -1), index.reshape(len(points), -1)
    beyond = (distance**2 - distance[:, :1] ** 2) / (2.0 * (_SMOOTH_CELLS * cell_m) ** 2)
    weights = np.exp(-beyond) * surfels.areas[index]
    weights /= weights.sum(axis=1, keepdims=True)
    middle = (weights[..., None] * surfels.positions[index]).sum(axis=1)
    normal = (weights[..., None] * surfels.normals[index]).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    apart = points - middle
    before = (apart * normal).sum(axis=1)
    beside = np.linalg.norm(apart - before[:, None] * normal, axis=1)
    thickness = THICKNESS_CELLS * cell_m
    return np.asarray(np.maximum(np.maximum(before, -thickness - before), beside - _BESIDE_CELLS * cell_m))
