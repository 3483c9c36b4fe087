"""Surfels: the static splats of a scene as oriented points, thinned out evenly: what planes and solids are found in."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from clips.cameras import Cameras
from recon.merge import voxel_keys
from recon.raster import render_scene
from recon.scene import Scene4D, static_part

_LEAST_OPACITY = 0.4
_PATCH = 4.0
"""A splat stands for a patch of the surface two standard deviations wide each way: how `merge` lays them."""
_VIEWS = 5
_DEEPER, _DEEPER_M = 1.08, 0.1
_AGREEING = 0.5
_NEIGHBOURS = 24
_BETTER, _EXACT_M = 0.7, 0.002
_FLATTEST = 0.7
"""A splat whose thinnest axis is longer than this share of its middle one has no side to speak of."""


@dataclass(frozen=True, eq=False)
class Surfels:
    """Points on surfaces, at most one per cell and side.

    Attributes:
        positions: gate frame, metres, (M, 3).
        normals: unit length, towards where the cameras were, (M, 3).
        areas: of the surface that each stands for, square metres, (M,).
    """

    positions: Float[np.ndarray, "M 3"]
    normals: Float[np.ndarray, "M 3"]
    areas: Float[np.ndarray, " M"]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, keep: np.ndarray) -> Surfels:
        return Surfels(*(getattr(self, field.name)[keep] for field in fields(self)))


def surfels_of(scene: Scene4D, cameras: Cameras, cell_m: float) -> Surfels:
    """The static surfaces of `scene`, one surfel per cell of `cell_m` and side; `cameras` say which side was seen.

    Moving splats, translucent ones, those without a flat side and guesses behind what the cameras show are left out.
    """
    scales = np.sort(np.exp(scene.log_scales.astype(np.float64)), axis=1)
    solid = scene.is_static & (scene.logit_opacities > np.log(_LEAST_OPACITY / (1.0 - _LEAST_OPACITY)))
    kept = np.flatnonzero(solid & (scales[:, 0] <= _FLATTEST * scales[:, 1]))
    positions = scene.means[kept].astype(np.float64)
    normals = _towards(_thinnest_axes(scene, kept), positions, cameras.positions)
    areas = _PATCH * scales[kept, 1] * scales[kept, 2]
    axis = np.abs(normals).argmax(axis=1)
    side = 2 * axis + (normals[np.arange(len(normals)), axis] > 0)
    keys = np.stack([voxel_keys(positions, cell_m), side], axis=1)
    _, cells = np.unique(keys, axis=0, return_inverse=True)
    cells = np.asarray(cells).reshape(-1)
    count = int(cells.max()) + 1 if len(cells) else 0
    total = np.bincount(cells, areas, count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(cells, areas * values[:, k], count) / total for k in range(3)], axis=1)

    directions = mean(normals)
    length = np.linalg.norm(directions, axis=1)
    largest = np.full(count, cell_m**2)
    np.maximum.at(largest, cells, areas)
    merged = Surfels(mean(positions), directions / np.maximum(length, 1e-9)[:, None], np.minimum(total, largest))
    merged = merged[length > _AGREEING]
    return _smoothed(merged[~_behind_others(merged.positions, scene, cameras)])


def _behind_others(positions: np.ndarray, scene: Scene4D, cameras: Cameras) -> np.ndarray:
    """True for points that lie in cameras' pictures and always well behind what those show, (M,).

    Such surfaces were guessed: they fill holes for cameras off the path, and no engine shall collide with guesses.
    """
    if not len(positions):
        return np.zeros(0, bool)
    chosen = np.unique(np.linspace(0, len(cameras) - 1, min(len(cameras), _VIEWS)).astype(int))
    views = Cameras(cameras.viewmats[chosen], cameras.Ks[chosen], cameras.width, cameras.height)
    _, depth, _ = render_scene(static_part(scene), views, np.zeros(len(views)))
    seen, inside = np.zeros(len(positions), bool), np.zeros(len(positions), bool)
    for viewmat, K, shown in zip(views.viewmats, views.Ks, depth, strict=True):
        local = positions @ viewmat[:3, :3].T + viewmat[:3, 3]
        z = np.maximum(local[:, 2], 1e-6)
        u, v = (np.floor(K[k, k] * local[:, k] / z + K[k, 2]) for k in range(2))
        within = (local[:, 2] > 0) & (u >= 0) & (v >= 0) & (u < views.width) & (v < views.height)
        at = shown[v[within].astype(int), u[within].astype(int)]
        inside |= within
        seen[within] |= local[within, 2] <= at * _DEEPER + _DEEPER_M
    return inside & ~seen


def _smoothed(surfels: Surfels) -> Surfels:
    """Surfels whose normals are those of their neighbourhood's plane where that fits it better than their own do.

    Noisy depth makes splats that face anywhere, while the neighbourhood still lies flat; at a crease of exact depth the
    own normal fits half of the neighbours exactly.
    """
    if len(surfels) < _NEIGHBOURS:
        return surfels
    _, index = cKDTree(surfels.positions).query(surfels.positions, k=_NEIGHBOURS)
    apart = surfels.positions[index] - surfels.positions[:, None]
    spread = apart - apart.mean(axis=1, keepdims=True)
    local = np.linalg.eigh(np.einsum("nki,nkj->nij", spread, spread))[1][:, :, 0]
    local = local * np.where((local * surfels.normals).sum(axis=1) < 0.0, -1.0, 1.0)[:, None]
    own_misfit = np.median(np.abs(np.einsum("nki,ni->nk", apart, surfels.normals)), axis=1)
    local_misfit = np.median(np.abs(np.einsum("nki,ni->nk", spread, local)), axis=1)
    better = local_misfit < _BETTER * own_misfit - _EXACT_M
    return replace(surfels, normals=np.where(better[:, None], local, surfels.normals))


def _thinnest_axes(scene: Scene4D, kept: np.ndarray) -> np.ndarray:
    axes = Rotation.from_quat(scene.quats[kept][:, [1, 2, 3, 0]].astype(np.float64)).as_matrix()
    return np.asarray(axes[np.arange(len(kept)), :, scene.log_scales[kept].argmin(axis=1)])


def _towards(normals: np.ndarray, positions: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """`normals` turned to the side on which most of the cameras were; those that looked at it squarely count more."""
    votes = np.zeros(len(normals))
    for eye in eyes[np.unique(np.linspace(0, len(eyes) - 1, min(len(eyes), 9)).astype(int))]:
        away = eye - positions
        votes += (normals * away).sum(axis=1) / np.maximum(np.linalg.norm(away, axis=1), 1e-9)
    return np.asarray(normals * np.where(votes < 0.0, -1.0, 1.0)[:, None])
