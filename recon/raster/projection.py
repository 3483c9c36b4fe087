"""Perspective projection of 3D Gaussians to image-plane ellipses, as gsplat 1.5.3 defines it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from numba import njit

EPS2D_PX2 = 0.3
NEAR_PLANE_M = 0.01
FAR_PLANE_M = 1e10


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Gaussians as one camera sees them; those that it does not see have radii of 0.

    Attributes:
        means2d: centres in pixels, (N, 2).
        conics: inverse 2D covariance a, b, c of a*dx*dx + 2*b*dx*dy + c*dy*dy, (N, 3), 1/px^2.
        depths: distance along the camera's z axis, (N,), metres.
        radii: half size of the box around 3.33 standard deviations, (N, 2), pixels.
    """

    means2d: Float32[np.ndarray, "N 2"]
    conics: Float32[np.ndarray, "N 3"]
    depths: Float32[np.ndarray, " N"]
    radii: Int32[np.ndarray, "N 2"]


def project(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    width: int,
    height: int,
    planes: tuple[float, float, float] = (EPS2D_PX2, NEAR_PLANE_M, FAR_PLANE_M),
) -> Ellipses:
    """Ellipses of N Gaussians in one camera (EWA splatting, Zwicker et al. 2002, with gsplat's limits).

    Args:
        means, quats, scales: (N, 3) metres, (N, 4) w,x,y,z of any length but zero, (N, 3) metres.
        viewmat, K: world-to-camera (4, 4) and intrinsics (3, 3).
        width, height: picture size in pixels.
        planes: eps2d added to the 2D covariance (px^2), near and far plane (metres).
    """
    count = len(means)
    out = Ellipses(
        np.zeros((count, 2), np.float32),
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.zeros((count, 2), np.int32),
    )
    _project(
        np.ascontiguousarray(means, np.float32),
        np.ascontiguousarray(quats, np.float32),
        np.ascontiguousarray(scales, np.float32),
        np.ascontiguousarray(viewmat, np.float64),
        np.ascontiguousarray(K, np.float64),
        np.array([width, height, *planes], np.float64),
        out.means2d,
        out.conics,
        out.depths,
        out.radii,
    )
    return out


@njit(cache=True, nogil=True)
def _rotation(quat: np.ndarray, out: np.ndarray) -> None:
    w, x, y, z = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    norm = np.sqrt(w * w + x * x + y * y + z * z)
    if norm > 0.0:
        w, x, y, z = w / norm, x / norm, y / norm, z / norm
    out[0, 0] = 1 - 2 * (y * y + z * z)
    out[0, 1] = 2 * (x * y - w * z)
    out[0, 2] = 2 * (x * z + w * y)
    out[1, 0] = 2 * (x * y + w * z)
    out[1, 1] = 1 - 2 * (x * x + z * z)
    out[1, 2] = 2 * (y * z - w * x)
    out[2, 0] = 2 * (x * z - w * y)
    out[2, 1] = 2 * (y * z + w * x)
    out[2, 2] = 1 - 2 * (x * x + y * y)


@njit(cache=True, nogil=True)
def _covariance2d(
    camera: np.ndarray, axes: np.ndarray, K: np.ndarray, width: float, height: float
) -> tuple[float, float, float]:
    """Entries xx, xy, yy of J M (J M)^T, where the columns of `axes` (3, 3) are scaled axes in camera space."""
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    z = camera[2]
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    x = z * min(max(camera[0] / z, -cx / fx - margin_x), (width - cx) / fx + margin_x)
    y = z * min(max(camera[1] / z, -cy / fy - margin_y), (height - cy) / fy + margin_y)
    xx, xy, yy = 0.0, 0.0, 0.0
    for k in range(3):
        u = fx / z * axes[0, k] - fx * x / (z * z) * axes[2, k]
        v = fy / z * axes[1, k] - fy * y / (z * z) * axes[2, k]
        xx += u * u
        xy += u * v
        yy += v * v
    return xx, xy, yy


@njit(cache=True, nogil=True)
def _project(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    frame: np.ndarray,
    means2d: np.ndarray,
    conics: np.ndarray,
    depths: np.ndarray,
    radii: np.ndarray,
) -> None:
    width, height, eps2d, near, far = frame[0], frame[1], frame[2], frame[3], frame[4]
    camera, rotation, axes = np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    for n in range(means.shape[0]):
        for i in range(3):
            camera[i] = viewmat[i, 3]
            for j in range(3):
                camera[i] += viewmat[i, j] * means[n, j]
        depths[n] = camera[2]
        if not (camera[2] > near and camera[2] < far):
            continue
        means2d[n, 0] = (K[0, 0] * camera[0] + K[0, 1] * camera[1]) / camera[2] + K[0, 2]
        means2d[n, 1] = K[1, 1] * camera[1] / camera[2] + K[1, 2]
        _rotation(quats[n], rotation)
        for i in range(3):
            for k in range(3):
                total = 0.0
                for j in range(3):
                    total += viewmat[i, j] * rotation[j, k]
                axes[i, k] = total * scales[n, k]
        xx, xy, yy = _covariance2d(camera, axes, K, width, height)
        xx += eps2d
        yy += eps2d
        det = max(xx * yy - xy * xy, 1e-10)
        conics[n, 0], conics[n, 1], conics[n, 2] = yy / det, -xy / det, xx / det
        rx, ry = np.ceil(3.33 * np.sqrt(xx)), np.ceil(3.33 * np.sqrt(yy))
        u, v = means2d[n, 0], means2d[n, 1]
        if u + rx > 0 and u - rx < width and v + ry > 0 and v - ry < height:
            radii[n, 0] = min(rx, 2e9)
            radii[n, 1] = min(ry, 2e9)
