"""Clusters: the surfels that lie on no large plane, as things, cut until each piece is nearly convex."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree

from recon.surfels import Surfels

_DENT_SHARE = 0.9
_GRAZING = 0.05


def connected(surfels: Surfels, reach_m: float) -> list[np.ndarray]:
    """Numbers of the surfels of each connected thing, largest area first; neighbours are within `reach_m`."""
    if not len(surfels):
        return []
    pairs = cKDTree(surfels.positions).query_pairs(reach_m, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(surfels), len(surfels)))
    count, labels = connected_components(graph, directed=False)
    areas = np.bincount(labels, surfels.areas, count)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    return [members[k] for k in np.argsort(-areas, kind="stable")]


def dent_m(thing: Surfels) -> float:
    """How far the convex hull goes beyond nine tenths of a thing's surface at most, metres; 0 where it is flat.

    Measured along the normals: the inside of a corner lies on its hull, yet the hull fills the air before it.
    """
    try:
        hull = ConvexHull(thing.positions)
    except (QhullError, ValueError):
        return 0.0
    slack = np.maximum(-(thing.positions @ hull.equations[:, :3].T + hull.equations[:, 3]), 0.0)
    rates = thing.normals @ hull.equations[:, :3].T
    beyond = np.where(rates > _GRAZING, slack / np.maximum(rates, _GRAZING), np.inf).min(axis=1)
    return float(np.quantile(beyond, _DENT_SHARE))


def convex_pieces(thing: Surfels, most_dent_m: float, depth: int) -> list[np.ndarray]:
    """Numbers (each (K,)) of the pieces of `thing` (M surfels) that are dented by at most `most_dent_m`.

    A dented piece is halved across its longest extent, up to `depth` times.
    """
    if depth == 0 or len(thing) < 8 or dent_m(thing) <= most_dent_m:
        return [np.arange(len(thing))]
    apart = thing.positions - thing.positions.mean(axis=0)
    along = apart @ np.linalg.eigh(apart.T @ apart)[1][:, 2]
    first = along < (along.min() + along.max()) / 2.0
    pieces = []
    for half in (np.flatnonzero(first), np.flatnonzero(~first)):
        pieces += [half[piece] for piece in convex_pieces(thing[half], most_dent_m, depth - 1)]
    return pieces
