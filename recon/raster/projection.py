"""Perspective projection of 3D Gaussians to image-plane ellipses, as gsplat 1.5.3 defines it, at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from numba import njit

from recon.scene import TEMPORAL_CUTOFF

EPS2D_PX2 = 0.3
NEAR_PLANE_M = 0.01
FAR_PLANE_M = 1e10
PLANES = (EPS2D_PX2, NEAR_PLANE_M, FAR_PLANE_M)
MARGIN = 0.15
"""Gaussians are flattened where they are seen at most so far (in picture sizes) beyond the picture's border."""

Three = tuple[float, float, float]
Nine = tuple[float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Motion:
    """How Gaussians move and fade (FreeTimeGS form), and the instant that is drawn.

    Attributes:
        velocities: (N, 3), metres per second.
        time_centers, time_widths: (N,), seconds; means are positions at the centre time, opacity falls off from it with
            the width as standard deviation; inf where it does not.
        time_starts, time_ends: half-open hard window, (N,), seconds.
        time_s: the instant.
    """

    velocities: Float32[np.ndarray, "N 3"]
    time_centers: Float32[np.ndarray, " N"]
    time_widths: Float32[np.ndarray, " N"]
    time_starts: Float32[np.ndarray, " N"]
    time_ends: Float32[np.ndarray, " N"]
    time_s: float

    @staticmethod
    def none() -> Motion:
        """Gaussians that neither move nor fade."""
        nothing = np.zeros(0, np.float32)
        return Motion(np.zeros((0, 3), np.float32), nothing, nothing, nothing, nothing, 0.0)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The five arrays, contiguous float32, as kernels take them."""
        return (
            np.ascontiguousarray(self.velocities, np.float32),
            np.ascontiguousarray(self.time_centers, np.float32),
            np.ascontiguousarray(self.time_widths, np.float32),
            np.ascontiguousarray(self.time_starts, np.float32),
            np.ascontiguousarray(self.time_ends, np.float32),
        )


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Gaussians as one camera sees them; those that it does not see have radii of 0.

    Attributes:
        means2d: centres in pixels, (N, 2).
        conics: inverse 2D covariance a, b, c of a*dx*dx + 2*b*dx*dy + c*dy*dy, (N, 3), 1/px^2.
        depths: distance along the camera's z axis, (N,), metres.
        radii: half size of the box around 3.33 standard deviations, (N, 2), pixels.
        opacities: at the instant that is drawn, (N,); 0 where the Gaussian is not to be seen then.
    """

    means2d: Float32[np.ndarray, "N 2"]
    conics: Float32[np.ndarray, "N 3"]
    depths: Float32[np.ndarray, " N"]
    radii: Int32[np.ndarray, "N 2"]
    opacities: Float32[np.ndarray, " N"]


def project(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    width: int,
    height: int,
    planes: tuple[float, float, float] = PLANES,
    opacities: np.ndarray | None = None,
    motion: Motion | None = None,
) -> Ellipses:
    """Ellipses of N Gaussians in one camera (EWA splatting, Zwicker et al. 2002, with gsplat's limits).

    Args:
        means, quats, scales: (N, 3) metres, (N, 4) w,x,y,z of any length but zero, (N, 3) metres.
        viewmat, K: world-to-camera (4, 4) and intrinsics (3, 3).
        width, height: picture size in pixels.
        planes: eps2d added to the 2D covariance (px^2), near and far plane (metres).
        opacities: (N,); ones when None.
        motion: moves the means and fades the opacities; None for Gaussians that rest.
    """
    count = len(means)
    out = Ellipses(
        np.zeros((count, 2), np.float32),
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.zeros((count, 2), np.int32),
        np.zeros(count, np.float32),
    )
    moved = motion or Motion.none()
    _project(
        np.ascontiguousarray(means, np.float32),
        np.ascontiguousarray(quats, np.float32),
        np.ascontiguousarray(scales, np.float32),
        np.ones(count, np.float32) if opacities is None else np.ascontiguousarray(opacities, np.float32),
        *moved.arrays(),
        moved.time_s,
        camera_numbers(viewmat, K, width, height, planes),
        out.means2d,
        out.conics,
        out.depths,
        out.radii,
        out.opacities,
    )
    return out


def camera_numbers(
    viewmat: np.ndarray, K: np.ndarray, width: int, height: int, planes: tuple[float, float, float]
) -> np.ndarray:
    """The camera as kernels take it, (26,) float64: the view's three rows, fx, skew, fy, cx, cy, the least and greatest
    x/z and y/z at which Gaussians are flattened, width, height, eps2d, near and far plane."""
    view, k = np.asarray(viewmat, np.float64), np.asarray(K, np.float64)
    fx, fy, cx, cy = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    reach_x, reach_y = MARGIN * width / fx, MARGIN * height / fy
    limits = (-cx / fx - reach_x, (width - cx) / fx + reach_x, -cy / fy - reach_y, (height - cy) / fy + reach_y)
    return np.array([*view[:3].ravel(), fx, k[0, 1], fy, cx, cy, *limits, width, height, *planes], np.float64)


@njit(cache=True, nogil=True, inline="always")
def rotation(w: float, x: float, y: float, z: float) -> Nine:
    """Rows of the rotation of a unit quaternion."""
    return (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )


@njit(cache=True, nogil=True, inline="always")
def fading(time_s: float, center: float, width: float, start: float, end: float) -> float:
    """Share of the opacity that is left at a time; 0 outside the window and where it is below the cutoff."""
    if not start <= time_s < end:
        return 0.0
    away = (time_s - center) / width
    factor = np.exp(-0.5 * away * away)
    return factor if factor >= TEMPORAL_CUTOFF else 0.0


@njit(cache=True, nogil=True, inline="always")
def unit_quat(quats: np.ndarray, n: int) -> tuple[float, float, float, float, float]:
    """w, x, y, z at length one, and what they were multiplied by."""
    w, x, y, z = float(quats[n, 0]), float(quats[n, 1]), float(quats[n, 2]), float(quats[n, 3])
    length = np.sqrt(w * w + x * x + y * y + z * z)
    one = 1.0 / length if length > 0.0 else 1.0
    return w * one, x * one, y * one, z * one, one


@njit(cache=True, nogil=True, inline="always")
def camera_point(cam: np.ndarray, x: float, y: float, z: float) -> Three:
    """A world position in camera space."""
    return (
        cam[0] * x + cam[1] * y + cam[2] * z + cam[3],
        cam[4] * x + cam[5] * y + cam[6] * z + cam[7],
        cam[8] * x + cam[9] * y + cam[10] * z + cam[11],
    )


@njit(cache=True, nogil=True, inline="always")
def turned(cam: np.ndarray, x: float, y: float, z: float) -> Three:
    """A world direction in camera space."""
    return (
        cam[0] * x + cam[1] * y + cam[2] * z,
        cam[4] * x + cam[5] * y + cam[6] * z,
        cam[8] * x + cam[9] * y + cam[10] * z,
    )


@njit(cache=True, nogil=True, inline="always")
def flattened(cam: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """x / z and y / z at which a Gaussian seen there is flattened: not far beyond the picture's border."""
    return min(max(x, cam[17]), cam[18]), min(max(y, cam[19]), cam[20])


@njit(cache=True, nogil=True)
def _project(
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
    means2d: np.ndarray,
    conics: np.ndarray,
    depths: np.ndarray,
    radii: np.ndarray,
    seen: np.ndarray,
) -> None:
    moves = len(velocities) > 0
    for n in range(means.shape[0]):
        mx, my, mz = float(means[n, 0]), float(means[n, 1]), float(means[n, 2])
        opacity = float(opacities[n])
        if moves:
            factor = fading(time_s, float(centers[n]), float(widths[n]), float(starts[n]), float(ends[n]))
            if factor == 0.0:
                continue
            elapsed = time_s - float(centers[n])
            mx += elapsed * velocities[n, 0]
            my += elapsed * velocities[n, 1]
            mz += elapsed * velocities[n, 2]
            opacity *= factor
        x, y, z = camera_point(cam, mx, my, mz)
        depths[n] = z
        if not (z > cam[24] and z < cam[25]):
            continue
        inverse = 1.0 / z
        u, v = (cam[12] * x + cam[13] * y) * inverse + cam[15], cam[14] * y * inverse + cam[16]
        means2d[n, 0], means2d[n, 1] = u, v
        xx, xy, yy = _spread(cam, quats, scales, n, x * inverse, y * inverse, inverse)
        one = 1.0 / max(xx * yy - xy * xy, 1e-10)
        conics[n, 0], conics[n, 1], conics[n, 2] = yy * one, -xy * one, xx * one
        radius_x, radius_y = np.ceil(3.33 * np.sqrt(xx)), np.ceil(3.33 * np.sqrt(yy))
        if u + radius_x > 0 and u - radius_x < cam[21] and v + radius_y > 0 and v - radius_y < cam[22]:
            radii[n, 0], radii[n, 1] = min(radius_x, 2e9), min(radius_y, 2e9)
            seen[n] = opacity


@njit(cache=True, nogil=True, inline="always")
def _spread(
    cam: np.ndarray, quats: np.ndarray, scales: np.ndarray, n: int, x: float, y: float, inverse: float
) -> Three:
    """Entries xx, xy, yy of the covariance in the picture, with eps2d."""
    qw, qx, qy, qz, _ = unit_quat(quats, n)
    r = rotation(qw, qx, qy, qz)
    ex, ey = flattened(cam, x, y)
    xx, xy, yy = cam[23], 0.0, cam[23]
    for k in range(3):
        ax, ay, az = turned(cam, r[k], r[3 + k], r[6 + k])
        across = cam[12] * inverse * (ax - ex * az) * scales[n, k]
        down = cam[14] * inverse * (ay - ey * az) * scales[n, k]
        xx += across * across
        xy += across * down
        yy += down * down
    return xx, xy, yy
