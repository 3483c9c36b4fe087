"""Pinhole cameras of a clip, in the gate frame (x right, y down, z into the room, metres)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from clips.errors import InvalidCameras

Matrices4 = Float64[np.ndarray, "T 4 4"]
Matrices3 = Float64[np.ndarray, "T 3 3"]

MAX_ENTRY = 1e7
"""Metres or pixels: what is larger is a mistake, and rounds away in float32."""

MIN_FOCAL_PX = 1e-3


@dataclass(frozen=True, eq=False)
class Cameras:
    """One pinhole camera a frame.

    Attributes:
        viewmats: world-to-camera, OpenCV axes (x right, y down, z forward), shape (T, 4, 4), float64, metres.
        Ks: intrinsics in pixels, shape (T, 3, 3), float64. Pixel centres lie at half-integers.
        width, height: of every frame, in pixels.

    Raises:
        InvalidCameras: a matrix is not finite or beyond MAX_ENTRY, a rotation is not rigid, a focal length is not
            positive, a last row is not that of its kind of matrix, or the counts disagree; names the frames.
    """

    viewmats: Matrices4
    Ks: Matrices3
    width: int
    height: int

    def __post_init__(self) -> None:
        viewmats = np.ascontiguousarray(self.viewmats, dtype=np.float64)
        Ks = np.ascontiguousarray(self.Ks, dtype=np.float64)
        object.__setattr__(self, "viewmats", viewmats)
        object.__setattr__(self, "Ks", Ks)
        _check(viewmats, Ks, self.width, self.height)

    def __len__(self) -> int:
        return int(self.viewmats.shape[0])

    @property
    def camera_to_world(self) -> Matrices4:
        """Poses (T, 4, 4): the rigid inverses of `viewmats`."""
        rotation = self.viewmats[:, :3, :3].transpose(0, 2, 1)
        pose = np.zeros_like(self.viewmats)
        pose[:, :3, :3] = rotation
        pose[:, :3, 3] = -np.einsum("tij,tj->ti", rotation, self.viewmats[:, :3, 3])
        pose[:, 3, 3] = 1.0
        return pose

    @property
    def positions(self) -> Float64[np.ndarray, "T 3"]:
        """Camera centres (T, 3) in the gate frame, metres."""
        return self.camera_to_world[:, :3, 3]

    def __getitem__(self, frames: slice) -> Cameras:
        return Cameras(self.viewmats[frames], self.Ks[frames], self.width, self.height)

    def resized(self, width: int, height: int) -> Cameras:
        """The same poses and field of view for another picture size."""
        Ks = self.Ks.copy()
        Ks[:, 0] *= width / self.width
        Ks[:, 1] *= height / self.height
        return Cameras(self.viewmats, Ks, width, height)

    def digest(self) -> str:
        """SHA-256 (hex) over size and matrices rounded to 1e-6, so that it is the same on every machine."""
        hasher = hashlib.sha256(f"{self.width}x{self.height}x{len(self)}".encode())
        for matrix in (self.viewmats, self.Ks):
            hasher.update(np.round(matrix * 1e6).astype("<i8").tobytes())
        return hasher.hexdigest()


def intrinsics(width: int, height: int, fov_x_deg: float) -> Float64[np.ndarray, "3 3"]:
    """Pinhole matrix (3, 3) in pixels with square pixels and the centre in the middle of the picture."""
    focal_px = 0.5 * width / np.tan(np.radians(fov_x_deg) / 2)
    return np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], dtype=np.float64)


def look_at(position: np.ndarray, target: np.ndarray) -> Float64[np.ndarray, "4 4"]:
    """World-to-camera matrix (4, 4) of a camera at `position` that looks at `target`, its down along +y.

    Raises:
        InvalidCameras: the points coincide, or the view is straight up or down.
    """
    position = np.asarray(position, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - position
    length = float(np.linalg.norm(forward))
    right = np.cross([0.0, 1.0, 0.0], forward)
    if not length > 1e-9 or not float(np.linalg.norm(right)) > 1e-9 * length:
        raise InvalidCameras(f"look_at needs a target off the camera's vertical, got {position} -> {target}")
    forward = forward / length
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ position
    return viewmat


def _check(viewmats: np.ndarray, Ks: np.ndarray, width: int, height: int) -> None:
    if viewmats.ndim != 3 or viewmats.shape[1:] != (4, 4) or len(viewmats) == 0:
        raise InvalidCameras(f"viewmats must be (T, 4, 4) with T >= 1, got shape {viewmats.shape}")
    if Ks.shape != (len(viewmats), 3, 3):
        raise InvalidCameras(f"Ks must be ({len(viewmats)}, 3, 3) to match viewmats, got shape {Ks.shape}")
    if width < 1 or height < 1:
        raise InvalidCameras(f"picture size must be positive, got {width}x{height}")
    for name, matrices in (("viewmats", viewmats), ("Ks", Ks)):
        bad = np.flatnonzero(~np.isfinite(matrices).all(axis=(1, 2)))
        if len(bad):
            raise InvalidCameras(f"{name} must be finite; frames {bad[:8].tolist()} are not")
        bad = np.flatnonzero((np.abs(matrices) > MAX_ENTRY).any(axis=(1, 2)))
        if len(bad):
            raise InvalidCameras(f"{name} must be within +-{MAX_ENTRY:g}; frames {bad[:8].tolist()} are not")
    rotations = viewmats[:, :3, :3]
    off = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    flipped = np.linalg.det(rotations) < 0
    bad = np.flatnonzero((off > 1e-3) | flipped)
    if len(bad):
        raise InvalidCameras(f"viewmats must be rigid (rotation and translation); frames {bad[:8].tolist()} are not")
    for name, matrices in (("viewmats", viewmats), ("Ks", Ks)):
        last = np.eye(matrices.shape[1])[-1]
        bad = np.flatnonzero((np.abs(matrices[:, -1] - last) > 1e-6).any(axis=1))
        if len(bad):
            expected = last.astype(int).tolist()
            raise InvalidCameras(f"{name} must have the last row {expected}; frames {bad[:8].tolist()} have not")
    bad = np.flatnonzero((Ks[:, [0, 1], [0, 1]] < MIN_FOCAL_PX).any(axis=1))
    if len(bad):
        focal_px = Ks[bad[0], [0, 1], [0, 1]].tolist()
        raise InvalidCameras(f"focal lengths must be positive, in pixels; frames {bad[:8].tolist()} have {focal_px}")
