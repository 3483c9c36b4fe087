"""Camera paths through a gate: a small description becomes exact cameras in the gate frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from clips.cameras import Cameras, intrinsics, look_at
from clips.errors import InvalidCameras

DEFAULT_FOV_X_DEG = 75.0
SHAKE_M = 0.08
SHAKE_RAD = 0.09


class PathKind(StrEnum):
    """How the camera moves during a segment."""

    WALK_IN = "walk_in"
    PAN = "pan"
    ORBIT = "orbit"
    STILL = "still"
    SHAKE = "shake"


@dataclass(frozen=True)
class CameraPath:
    """A camera's way during one segment, as world files write it.

    Attributes:
        kind: walk_in moves along +z, pan turns on the spot, orbit circles a point ahead, still stays,
            shake walks in as walk_in does with the sway and tremble of a camera in the hand.
        start_z_m: z of the first camera; 0 is the threshold, negative is in front of the gate.
        distance_m: how far walk_in goes (metres).
        angle_deg: how far pan turns or orbit circles, from -angle/2 to +angle/2; its sign is the direction.
        eye_height_m: height of the eye above the floor.
        fov_x_deg: horizontal field of view.
        shake_seed: which way shake trembles; 0 <= shake_seed < 2**32.

    Raises:
        InvalidCameras: a number is not finite or outside what makes a picture; the message names the field.
    """

    kind: PathKind = PathKind.WALK_IN
    start_z_m: float = 0.3
    distance_m: float = 1.2
    angle_deg: float = 30.0
    eye_height_m: float = 1.5
    fov_x_deg: float = DEFAULT_FOV_X_DEG
    shake_seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in list(PathKind):
            raise InvalidCameras(f"camera path: kind must be one of {', '.join(PathKind)}, got {self.kind!r}")
        # A plain word is equal to its PathKind, yet not the same object.
        object.__setattr__(self, "kind", PathKind(self.kind))
        limits = {
            "start_z_m": (-5.0, 5.0),
            "distance_m": (-5.0, 5.0),
            "angle_deg": (-180.0, 180.0),
            "eye_height_m": (0.2, 3.0),
            "fov_x_deg": (20.0, 120.0),
            "shake_seed": (0, 2**32 - 1),
        }
        for field, (low, high) in limits.items():
            got = getattr(self, field)
            if not math.isfinite(got) or not low <= got <= high:
                raise InvalidCameras(f"camera path: {field} must be within [{low}, {high}], got {got}")

    def cameras(self, frames: int, width: int, height: int) -> Cameras:
        """`frames` exact cameras of this path, the first at its start and the last at its end."""
        if frames < 1:
            raise InvalidCameras(f"a camera path needs at least one frame, got {frames}")
        progress = np.linspace(0.0, 1.0, frames) if frames > 1 else np.zeros(1)
        viewmats = np.stack([self._viewmat(float(u)) for u in progress])
        K = intrinsics(width, height, self.fov_x_deg)
        return Cameras(viewmats, np.repeat(K[None], frames, axis=0), width, height)

    def _viewmat(self, progress: float) -> np.ndarray:
        eye = np.array([0.0, -self.eye_height_m, self.start_z_m])
        angle = math.radians(self.angle_deg) * (progress - 0.5)
        ahead = np.array([0.0, 0.15, 1.0])
        if self.kind is PathKind.WALK_IN:
            eye = eye + np.array([0.0, 0.0, self.distance_m * progress])
        elif self.kind is PathKind.PAN:
            ahead = np.array([math.sin(angle), 0.15, math.cos(angle)])
        elif self.kind is PathKind.ORBIT:
            pivot = eye + np.array([0.0, 0.45, 3.0])
            eye = pivot + np.array([3.0 * math.sin(angle), -0.45, -3.0 * math.cos(angle)])
            return look_at(eye, pivot)
        elif self.kind is PathKind.SHAKE:
            eye = eye + np.array([0.0, 0.0, self.distance_m * progress])
            tremble = _tremble(self.shake_seed, progress)
            eye, ahead = eye + SHAKE_M * tremble[:3], ahead + SHAKE_RAD * tremble[3:]
        return look_at(eye, eye + ahead)


def _tremble(seed: int, progress: float) -> np.ndarray:
    """Six smooth numbers in [-1, 1] of a path: three sines each, none the same as another's."""
    rng = np.random.default_rng(seed)
    turns, phases = rng.uniform(1.0, 4.5, (6, 3)), rng.uniform(0.0, 2 * math.pi, (6, 3))
    return np.asarray(np.sin(2 * math.pi * turns * progress + phases).mean(axis=1))
