"""Depth of meshes as cameras see them: what rays from a clip's cameras hit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numba import njit

from clips.cameras import Cameras
from recon.mesh import Mesh

_NEAR_M = 0.02


def mesh_depth(mesh: Mesh, cameras: Cameras) -> Float32[np.ndarray, "T H W"]:
    """Depth along each camera's z axis at the middle of every pixel, (T, H, W), metres; 0 where nothing is hit.

    Triangles count from both sides. What is nearer than 2 cm is not seen.
    """
    depth = np.zeros((len(cameras), cameras.height, cameras.width), np.float32)
    for i, viewmat in enumerate(cameras.viewmats):
        corners = mesh.corners @ viewmat[:3, :3].T + viewmat[:3, 3]
        inverse = np.zeros(depth.shape[1:], np.float64)
        _draw(_before_camera(corners), cameras.Ks[i], inverse)
        depth[i] = np.where(inverse > 0.0, 1.0 / np.maximum(inverse, 1e-12), 0.0)
    return depth


def _before_camera(corners: np.ndarray) -> np.ndarray:
    """The parts of triangles (F, 3, 3) in camera space that lie beyond the near plane, as triangles."""
    before = (corners[:, :, 2] > _NEAR_M).sum(axis=1)
    # The corners before the plane come first, in their cyclic order.
    order = np.argsort(-(corners[:, :, 2] > _NEAR_M).astype(int), axis=1, kind="stable")
    sorted_corners = np.take_along_axis(corners, order[:, :, None], axis=1)
    one, two = sorted_corners[before == 1], sorted_corners[before == 2]
    near_one = np.stack([one[:, 0], _cut(one[:, 0], one[:, 1]), _cut(one[:, 0], one[:, 2])], axis=1)
    cut_first, cut_second = _cut(two[:, 0], two[:, 2]), _cut(two[:, 1], two[:, 2])
    near_two = np.stack([two[:, 0], two[:, 1], cut_second], axis=1)
    near_three = np.stack([two[:, 0], cut_second, cut_first], axis=1)
    return np.concatenate([corners[before == 3], near_one, near_two, near_three])


def _cut(before: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Where the edges from `before` to `behind` (M, 3) cross the near plane."""
    share = (before[:, 2] - _NEAR_M) / (before[:, 2] - behind[:, 2])
    point = before + share[:, None] * (behind - before)
    point[:, 2] = _NEAR_M
    return np.asarray(point)


@njit(cache=True, nogil=True)
def _draw(corners: np.ndarray, K: np.ndarray, inverse: np.ndarray) -> None:
    """Largest inverse depth of any triangle at every pixel's middle; inverse depth is linear in the picture."""
    height, width = inverse.shape
    u, v, w = np.empty(3), np.empty(3), np.empty(3)
    for n in range(corners.shape[0]):
        for k in range(3):
            w[k] = 1.0 / corners[n, k, 2]
            u[k] = K[0, 0] * corners[n, k, 0] * w[k] + K[0, 2]
            v[k] = K[1, 1] * corners[n, k, 1] * w[k] + K[1, 2]
        area = (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])
        if abs(area) < 1e-12:
            continue
        first_row, last_row = max(0, int(np.floor(v.min() - 0.5))), min(height - 1, int(np.ceil(v.max() - 0.5)))
        first, last = max(0, int(np.floor(u.min() - 0.5))), min(width - 1, int(np.ceil(u.max() - 0.5)))
        for row in range(first_row, last_row + 1):
            y = row + 0.5
            for column in range(first, last + 1):
                x = column + 0.5
                a = ((u[1] - x) * (v[2] - y) - (u[2] - x) * (v[1] - y)) / area
                b = ((u[2] - x) * (v[0] - y) - (u[0] - x) * (v[2] - y)) / area
                c = 1.0 - a - b
                if a < -1e-9 or b < -1e-9 or c < -1e-9:
                    continue
                value = a * w[0] + b * w[1] + c * w[2]
                inverse[row, column] = max(inverse[row, column], value)
