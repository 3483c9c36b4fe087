"""Gradients of the projection: those of ellipses become those of Gaussians and of their motion.

Every chain rule is written out by hand for one Gaussian (float64 inside); tests hold it against finite differences of a
plain reference and against autograd through gsplat's torch projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numba import njit

from recon.raster.projection import Nine, Three, camera_point, fading, flattened, rotation, turned, unit_quat

Four = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class GaussianGradients:
    """Gradients of a loss by the values of N Gaussians, each of the shape of what it belongs to."""

    means: Float32[np.ndarray, "N 3"]
    quats: Float32[np.ndarray, "N 4"]
    scales: Float32[np.ndarray, "N 3"]
    opacities: Float32[np.ndarray, " N"]
    velocities: Float32[np.ndarray, "M 3"]
    time_centers: Float32[np.ndarray, " M"]
    time_widths: Float32[np.ndarray, " M"]

    @staticmethod
    def zeros(count: int, moving: int) -> GaussianGradients:
        """No gradients of `count` Gaussians; `moving` is `count` too, or 0 where nothing moves."""
        one, moved = np.zeros(count, np.float32), np.zeros(moving, np.float32)
        three, moved_three = np.zeros((count, 3), np.float32), np.zeros((moving, 3), np.float32)
        four = np.zeros((count, 4), np.float32)
        return GaussianGradients(three, four, three.copy(), one, moved_three, moved, moved.copy())

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in the order of the fields."""
        return (
            self.means, self.quats, self.scales, self.opacities, self.velocities, self.time_centers, self.time_widths,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def project_gradient(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    velocities: np.ndarray,
    centers: np.ndarray,
    widths: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    time_s: float,
    cam: np.ndarray,
    seen: np.ndarray,
    rows: np.ndarray,
    first: int,
    last: int,
    of_means: np.ndarray,
    of_quats: np.ndarray,
    of_scales: np.ndarray,
    of_opacities: np.ndarray,
    of_velocities: np.ndarray,
    of_centers: np.ndarray,
    of_widths: np.ndarray,
) -> None:
    """Add the gradients of Gaussians [first, last) to `of_*`; nothing for those with `seen` 0.

    Args:
        means ... cam: as the projection had them (`camera_numbers`).
        seen: opacities at this time, as the projection gave them, (N,).
        rows: gradients by u, v, a, b, c, opacity, then three colours and the depth, (N, 10).
    """
    moves = len(velocities) > 0
    for n in range(first, last):
        if seen[n] <= 0.0:
            continue
        mx, my, mz = float(means[n, 0]), float(means[n, 1]), float(means[n, 2])
        elapsed = 0.0
        if moves:
            elapsed = time_s - float(centers[n])
            mx += elapsed * velocities[n, 0]
            my += elapsed * velocities[n, 1]
            mz += elapsed * velocities[n, 2]
        wx, wy, wz = _place_gradient(cam, quats, scales, n, mx, my, mz, rows[n], of_quats, of_scales)
        of_means[n, 0] += wx
        of_means[n, 1] += wy
        of_means[n, 2] += wz
        if not moves:
            of_opacities[n] += rows[n, 5]
            continue
        spread = float(widths[n])
        factor = fading(time_s, float(centers[n]), spread, float(starts[n]), float(ends[n]))
        of_opacities[n] += rows[n, 5] * factor
        of_velocities[n, 0] += elapsed * wx
        of_velocities[n, 1] += elapsed * wy
        of_velocities[n, 2] += elapsed * wz
        pull = float(rows[n, 5]) * float(opacities[n]) * factor * elapsed / (spread * spread)
        of_centers[n] += pull - wx * velocities[n, 0] - wy * velocities[n, 1] - wz * velocities[n, 2]
        of_widths[n] += pull * elapsed / spread


@njit(cache=True, nogil=True, inline="always")
def _place_gradient(
    cam: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    n: int,
    mx: float,
    my: float,
    mz: float,
    row: np.ndarray,
    of_quats: np.ndarray,
    of_scales: np.ndarray,
) -> Three:
    """Gradient by the world position at this time; those by rotation and scales are added to theirs."""
    x, y, z = camera_point(cam, mx, my, mz)
    dx, dy, dz = _shape_gradient(cam, quats, scales, n, x, y, z, row, of_quats, of_scales)
    across, down = float(row[0]) / z, float(row[1]) / z
    dx += across * cam[12]
    dy += across * cam[13] + down * cam[14]
    dz += float(row[9]) - (across * (cam[12] * x + cam[13] * y) + down * cam[14] * y) / z
    return (
        cam[0] * dx + cam[4] * dy + cam[8] * dz,
        cam[1] * dx + cam[5] * dy + cam[9] * dz,
        cam[2] * dx + cam[6] * dy + cam[10] * dz,
    )


@njit(cache=True, nogil=True, inline="always")
def _shape_gradient(
    cam: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    n: int,
    x: float,
    y: float,
    z: float,
    row: np.ndarray,
    of_quats: np.ndarray,
    of_scales: np.ndarray,
) -> Three:
    """Add the gradients of rotation and scales; returns that of the camera-space centre through the ellipse's shape.

    Along each axis k of the Gaussian the picture's spread is across_k = s_k fx/z (a_x - ex a_z), and down_k likewise.
    """
    qw, qx, qy, qz, one = unit_quat(quats, n)
    r = rotation(qw, qx, qy, qz)
    inverse = 1.0 / z
    ex, ey = flattened(cam, x * inverse, y * inverse)
    gx, gy = cam[12] * inverse, cam[14] * inverse
    a0, a1, a2 = turned(cam, r[0], r[3], r[6]), turned(cam, r[1], r[4], r[7]), turned(cam, r[2], r[5], r[8])
    axes = (a0, a1, a2)
    wide = (gx * (a0[0] - ex * a0[2]), gx * (a1[0] - ex * a1[2]), gx * (a2[0] - ex * a2[2]))
    tall = (gy * (a0[1] - ey * a0[2]), gy * (a1[1] - ey * a1[2]), gy * (a2[1] - ey * a2[2]))
    s = (float(scales[n, 0]), float(scales[n, 1]), float(scales[n, 2]))
    of_xx, of_xy, of_yy = _covariance_gradient(cam[23], wide, tall, s, row)
    dx, dy, dz, stretch_x, stretch_y = 0.0, 0.0, 0.0, 0.0, 0.0
    m0, m1, m2, m3, m4, m5, m6, m7, m8 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(3):
        across, down = wide[k] * s[k], tall[k] * s[k]
        by_across, by_down = 2.0 * of_xx * across + of_xy * down, 2.0 * of_yy * down + of_xy * across
        of_scales[n, k] += by_across * wide[k] + by_down * tall[k]
        dz -= inverse * (by_across * across + by_down * down)
        stretch_x -= by_across * s[k] * gx * axes[k][2]
        stretch_y -= by_down * s[k] * gy * axes[k][2]
        of_ax, of_ay = by_across * s[k] * gx, by_down * s[k] * gy
        of_az = -ex * of_ax - ey * of_ay
        bx = cam[0] * of_ax + cam[4] * of_ay + cam[8] * of_az
        by = cam[1] * of_ax + cam[5] * of_ay + cam[9] * of_az
        bz = cam[2] * of_ax + cam[6] * of_ay + cam[10] * of_az
        if k == 0:
            m0, m3, m6 = bx, by, bz
        elif k == 1:
            m1, m4, m7 = bx, by, bz
        else:
            m2, m5, m8 = bx, by, bz
    if ex == x * inverse:
        dx += stretch_x * inverse
        dz -= stretch_x * ex * inverse
    if ey == y * inverse:
        dy += stretch_y * inverse
        dz -= stretch_y * ey * inverse
    gw, g1, g2, g3 = _quat_gradient(qw, qx, qy, qz, (m0, m1, m2, m3, m4, m5, m6, m7, m8))
    along = gw * qw + g1 * qx + g2 * qy + g3 * qz
    of_quats[n, 0] += (gw - along * qw) * one
    of_quats[n, 1] += (g1 - along * qx) * one
    of_quats[n, 2] += (g2 - along * qy) * one
    of_quats[n, 3] += (g3 - along * qz) * one
    return dx, dy, dz


@njit(cache=True, nogil=True, inline="always")
def _covariance_gradient(eps2d: float, wide: Three, tall: Three, s: Three, row: np.ndarray) -> Three:
    """Gradients by xx, xy and yy of the covariance, whose inverse is the conic Q: its gradient G becomes -Q G Q."""
    xx, xy, yy = eps2d, 0.0, eps2d
    for k in range(3):
        across, down = wide[k] * s[k], tall[k] * s[k]
        xx += across * across
        xy += across * down
        yy += down * down
    whole = 1.0 / max(xx * yy - xy * xy, 1e-10)
    a, b, c = yy * whole, -xy * whole, xx * whole
    of_a, of_b, of_c = float(row[2]), 0.5 * float(row[3]), float(row[4])
    p, q = of_a * a + of_b * b, of_a * b + of_b * c
    t, u = of_b * a + of_c * b, of_b * b + of_c * c
    return -(a * p + b * t), -2.0 * (a * q + b * u), -(b * q + c * u)


@njit(cache=True, nogil=True, inline="always")
def _quat_gradient(w: float, x: float, y: float, z: float, m: Nine) -> Four:
    """Gradient by a unit quaternion of a rotation whose entries, row by row, have the gradients `m`."""
    return (
        2.0 * (x * (m[7] - m[5]) + y * (m[2] - m[6]) + z * (m[3] - m[1])),
        2.0 * (w * (m[7] - m[5]) + y * (m[1] + m[3]) + z * (m[2] + m[6]) - 2.0 * x * (m[4] + m[8])),
        2.0 * (w * (m[2] - m[6]) + x * (m[1] + m[3]) + z * (m[5] + m[7]) - 2.0 * y * (m[0] + m[8])),
        2.0 * (w * (m[3] - m[1]) + x * (m[2] + m[6]) + y * (m[5] + m[7]) - 2.0 * z * (m[0] + m[4])),
    )
