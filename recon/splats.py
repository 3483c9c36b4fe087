"""Splats: Gaussians while they are being made, before they become a Scene4D."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32

from recon.export.color import sh0_of_display
from recon.scene import Scene4D

OPACITY_MAX = 0.985


@dataclass(frozen=True, eq=False)
class Splats:
    """Gaussians with activated values.

    Attributes:
        means, velocities: (N, 3), metres and metres per second.
        covariances: xx, xy, xz, yy, yz, zz, (N, 6), square metres.
        colors: sRGB-encoded, 0 to 1, (N, 3).
        opacities: (N,).
        time_centers, time_widths, time_starts, time_ends: as in Scene4D, (N,), seconds.
    """

    means: Float32[np.ndarray, "N 3"]
    velocities: Float32[np.ndarray, "N 3"]
    covariances: Float32[np.ndarray, "N 6"]
    colors: Float32[np.ndarray, "N 3"]
    opacities: Float32[np.ndarray, " N"]
    time_centers: Float32[np.ndarray, " N"]
    time_widths: Float32[np.ndarray, " N"]
    time_starts: Float32[np.ndarray, " N"]
    time_ends: Float32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, keep: np.ndarray) -> Splats:
        return Splats(*(getattr(self, field.name)[keep] for field in fields(self)))


def static_splats(means: np.ndarray, covariances: np.ndarray, colors: np.ndarray, opacity: float) -> Splats:
    """Splats that neither move nor fade."""
    count = len(means)
    zeros = np.zeros(count, np.float32)
    return Splats(
        np.asarray(means, np.float32).reshape(count, 3),
        np.zeros((count, 3), np.float32),
        np.asarray(covariances, np.float32).reshape(count, 6),
        np.asarray(colors, np.float32).reshape(count, 3),
        np.full(count, opacity, np.float32),
        zeros,
        np.full(count, np.inf, np.float32),
        np.full(count, -np.inf, np.float32),
        np.full(count, np.inf, np.float32),
    )


def concatenate_splats(parts: list[Splats]) -> Splats:
    """All splats of `parts`, in order; at least one part is needed."""
    return Splats(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Splats)))


def scene_of(splats: Splats, duration_s: float) -> Scene4D:
    """The Scene4D of `splats`: covariances become rotations and scales, colours degree-0 SH."""
    quats, scales = quats_and_scales(splats.covariances)
    opacities = np.clip(splats.opacities.astype(np.float64), 1e-4, 1.0 - 1e-4)
    return Scene4D(
        means=splats.means,
        quats=quats,
        log_scales=np.log(scales),
        logit_opacities=np.log(opacities / (1.0 - opacities)).astype(np.float32),
        sh0=sh0_of_display(splats.colors)[:, None],
        shN=np.zeros((len(splats), 0, 3), np.float32),
        velocities=splats.velocities,
        time_centers=splats.time_centers,
        time_widths=splats.time_widths,
        time_starts=splats.time_starts,
        time_ends=splats.time_ends,
        duration_s=float(duration_s),
    )


def quats_and_scales(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit quaternions w,x,y,z (N, 4) and standard deviations (N, 3), float32, of covariances (N, 6)."""
    full = covariances[:, [[0, 1, 2], [1, 3, 4], [2, 4, 5]]].astype(np.float64).reshape(-1, 3, 3)
    values, axes = np.linalg.eigh(full)
    axes[:, :, 2] *= np.sign(np.linalg.det(axes))[:, None]
    scales = np.sqrt(np.maximum(values, 1e-10))
    return _quats(axes).astype(np.float32), scales.astype(np.float32)


def covariances_of(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Covariances xx, xy, xz, yy, yz, zz (N, 6), float32, of unit quaternions w,x,y,z and standard deviations."""
    w, x, y, z = quats.astype(np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    axes = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2) * scales[:, None, :]
    i, j = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])
    return np.asarray((axes[:, i] * axes[:, j]).sum(-1).astype(np.float32))


def _quats(rotations: np.ndarray) -> np.ndarray:
    """Quaternions w,x,y,z of rotation matrices: the row of largest norm of the symmetric quaternion matrix."""
    m = rotations
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    outer = np.empty((len(m), 4, 4))
    outer[:, 0] = np.stack([1 + trace, m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], 1)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        outer[:, i + 1, 0] = m[:, k, j] - m[:, j, k]
        outer[:, i + 1, i + 1] = 1 + 2 * m[:, i, i] - trace
        outer[:, i + 1, j + 1] = m[:, i, j] + m[:, j, i]
        outer[:, i + 1, k + 1] = m[:, i, k] + m[:, k, i]
    norms = np.linalg.norm(outer, axis=2)
    best = norms.argmax(axis=1)
    rows = np.arange(len(m))
    return np.asarray(outer[rows, best] / norms[rows, best][:, None])
