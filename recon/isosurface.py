"""Isosurface: the closed surface around the negative part of a sampled function, by marching tetrahedra.

Every cube of the grid is cut into six tetrahedra in the same way (Freudenthal 1942), so neighbours meet edge to edge
and, unlike with marching cubes, there is no ambiguous case (Doi and Koide 1991): the surface is always watertight.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from jaxtyping import Float

from recon.errors import InvalidScene
from recon.mesh import Mesh

_OFF_CORNER = 0.08
"""Surface points keep this share of an edge from its ends, so that no triangle is flat."""
_CORNERS = np.array([[(k >> axis) & 1 for axis in range(3)] for k in range(8)])
_TETRAHEDRA = np.array([[0, 1 << a, (1 << a) | (1 << b), 7] for a, b, _ in permutations(range(3))])


def isosurface(values: Float[np.ndarray, "X Y Z"], origin: np.ndarray, cell_m: float) -> Mesh:
    """The watertight surface where `values` pass 0, normals away from the negative side; empty where there is none.

    Args:
        values: at the nodes of a grid with its first node at `origin` (3,) and edges of `cell_m` metres.

    Raises:
        InvalidScene: a node on the grid's border is negative: the surface would not be closed.
    """
    inside = values < 0.0
    border = inside.copy()
    border[1:-1, 1:-1, 1:-1] = False
    if border.any():
        raise InvalidScene(f"isosurface: {int(border.sum())} nodes on the border are negative; pad the grid")
    nodes = _active_tetrahedra(inside)
    if not len(nodes):
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    edges, towards = _triangles(nodes, inside.ravel())
    keys, corners = np.unique(edges[..., 0] * values.size + edges[..., 1], return_inverse=True)
    ends, flat = np.stack(np.divmod(keys, values.size), axis=1), values.ravel()
    share = flat[ends[:, 0]] / (flat[ends[:, 0]] - flat[ends[:, 1]])
    share = np.clip(share, _OFF_CORNER, 1.0 - _OFF_CORNER)[:, None]
    start, end = (np.stack(np.unravel_index(ends[:, k], values.shape), axis=1) for k in range(2))
    vertices = np.asarray(origin) + cell_m * (start * (1.0 - share) + end * share)
    faces = np.asarray(corners).reshape(-1, 3)
    flipped = _normals(vertices, faces, towards, values.shape) < 0.0
    faces[flipped] = faces[flipped][:, ::-1]
    return Mesh(vertices, faces)


def _active_tetrahedra(inside: np.ndarray) -> np.ndarray:
    """Flat node numbers (M, 4) of the tetrahedra that the surface passes through."""
    shape = np.array(inside.shape)
    count = np.zeros(tuple(shape - 1), np.int8)
    for corner in _CORNERS:
        count += inside[tuple(slice(c, n - 1 + c) for c, n in zip(corner, shape, strict=True))]
    cubes = np.argwhere((count > 0) & (count < 8))
    corners = cubes[:, None, :] + _CORNERS[None]
    numbers = np.ravel_multi_index((corners[..., 0], corners[..., 1], corners[..., 2]), inside.shape)
    nodes = numbers[:, _TETRAHEDRA].reshape(-1, 4)
    kinds = inside.ravel()[nodes].sum(axis=1)
    return np.asarray(nodes[(kinds > 0) & (kinds < 4)])


def _triangles(nodes: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles as crossed edges (F, 3, 2), node numbers ascending, and an (inside, outside) pair of nodes for each."""
    order = np.argsort(~inside[nodes], axis=1, kind="stable")
    nodes = np.take_along_axis(nodes, order, axis=1)
    kinds = inside[nodes].sum(axis=1)
    # Corner pairs of the crossed edges; inside corners come first.
    tables = {
        1: [[(0, 1), (0, 2), (0, 3)]],
        2: [[(0, 2), (0, 3), (1, 3)], [(0, 2), (1, 3), (1, 2)]],
        3: [[(0, 3), (1, 3), (2, 3)]],
    }
    edges, towards = [], []
    for kind, triangles in tables.items():
        chosen = nodes[kinds == kind]
        for triangle in triangles:
            edges.append(chosen[:, np.array(triangle)])
            towards.append(chosen[:, [0, 3]])
    return np.sort(np.concatenate(edges), axis=2), np.concatenate(towards)


def _normals(vertices: np.ndarray, faces: np.ndarray, towards: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positive where a triangle's normal points from its inside node to its outside node, (F,)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    inner, outer = (np.stack(np.unravel_index(towards[:, k], shape), axis=1) for k in range(2))
    return np.asarray((np.cross(b - a, c - a) * (outer - inner)).sum(axis=1))
