"""Captures as engines write them. Their formulas are written out here by hand, without clips.frame_axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from clips.footage.footage import Footage
from tests.clips.footage.footage_samples import raw_clip, write_dataset

Vector = Callable[[np.ndarray], list[float]]


def unity(v: np.ndarray) -> list[float]:
    return [v[0], -v[1], v[2]]


def unreal(v: np.ndarray) -> list[float]:
    return [v[2], v[0], -v[1]]


def opengl(v: np.ndarray) -> list[float]:
    return [v[0], -v[1], -v[2]]


def blender(v: np.ndarray) -> list[float]:
    return [v[0], v[2], -v[1]]


def colmap(v: np.ndarray) -> list[float]:
    return list(v)


# How each system's camera has its own x, y, z: of right, down, forward.
X_RIGHT_Y_UP_Z_FORWARD = lambda r, d, f: (r, -d, f)  # noqa: E731
X_FORWARD_Y_RIGHT_Z_UP = lambda r, d, f: (f, r, -d)  # noqa: E731
X_RIGHT_Y_UP_Z_BACK = lambda r, d, f: (r, -d, -f)  # noqa: E731
X_RIGHT_Y_DOWN_Z_FORWARD = lambda r, d, f: (r, d, f)  # noqa: E731
X_RIGHT_Y_FORWARD_Z_UP = lambda r, d, f: (r, f, -d)  # noqa: E731

SYSTEMS = {
    "unity": (unity, X_RIGHT_Y_UP_Z_FORWARD, X_RIGHT_Y_UP_Z_FORWARD, 1.0),
    "unity-camera-matrix": (unity, X_RIGHT_Y_UP_Z_BACK, X_RIGHT_Y_UP_Z_FORWARD, 1.0),
    "unreal": (unreal, X_FORWARD_Y_RIGHT_Z_UP, X_FORWARD_Y_RIGHT_Z_UP, 100.0),
    "opengl": (opengl, X_RIGHT_Y_UP_Z_BACK, X_RIGHT_Y_UP_Z_BACK, 1.0),
    "blender": (blender, X_RIGHT_Y_UP_Z_BACK, X_RIGHT_Y_FORWARD_Z_UP, 1.0),
    "nerfstudio": (blender, X_RIGHT_Y_UP_Z_BACK, X_RIGHT_Y_FORWARD_Z_UP, 1.0),
    "colmap": (colmap, X_RIGHT_Y_DOWN_Z_FORWARD, X_RIGHT_Y_DOWN_Z_FORWARD, 1.0),
    "narthex": (colmap, X_RIGHT_Y_DOWN_Z_FORWARD, X_RIGHT_Y_DOWN_Z_FORWARD, 1.0),
}


def placed() -> np.ndarray:
    """Where the gate stands in the studio's world: 7 m off, turned by 40 degrees about the vertical."""
    angle = np.radians(40.0)
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[:3, 3] = [7.0, -2.0, 4.0]
    return pose


def written(pose: np.ndarray, vector: Vector, order: Callable, units: float) -> list[list[float]]:
    columns = [vector(axis) for axis in order(pose[:3, 0], pose[:3, 1], pose[:3, 2])]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(columns).T
    matrix[:3, 3] = np.array(vector(pose[:3, 3])) * units
    return matrix.tolist()


def engine_clip(folder: Path, system: str, footage: Footage, with_gate: bool, name: str = "one", **dataset) -> Path:
    """A data set of `system` with one clip, or with one more."""
    vector, camera_order, world_order, units = SYSTEMS[system]
    poses = placed() @ footage.clip.cameras.camera_to_world
    cameras: dict = {"camera_to_world": [written(pose, vector, camera_order, units) for pose in poses]}
    cameras["K"] = footage.clip.cameras.Ks[0].tolist()
    if with_gate:
        cameras["gate_to_world"] = written(placed(), vector, world_order, units)
    write_dataset(folder, cameras={"system": system}, **dataset)
    raw_clip(folder / name, footage, cameras)
    return folder
