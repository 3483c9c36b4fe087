"""cameras.json: one matrix a frame, the intrinsics, and where the gate stands."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from clips.cameras import Cameras
from clips.errors import InvalidCameras
from clips.footage.json_file import parsed, read_json

CAMERAS_FILE = "cameras.json"
Row4 = Annotated[list[float], Field(min_length=4, max_length=4)]
Row3 = Annotated[list[float], Field(min_length=3, max_length=3)]
Matrix4 = Annotated[list[Row4], Field(min_length=4, max_length=4)]
Matrix3 = Annotated[list[Row3], Field(min_length=3, max_length=3)]
Degrees = Annotated[float, Field(gt=1.0, lt=175.0)]
_HOW_TO_SEE = ("K", "fov_x_deg", "fov_y_deg")


class CamerasFile(BaseModel):
    """cameras.json as written: row-major matrices for column vectors, so the translation is the last column.

    One of camera_to_world and world_to_camera; one of K (pixels), fov_x_deg and fov_y_deg, each for all frames or one
    a frame; seconds of each frame where they are not index / fps; the gate's pose, where the world is not the gate's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)

    camera_to_world: list[Matrix4] | None = None
    world_to_camera: list[Matrix4] | None = None
    K: Matrix3 | list[Matrix3] | None = None
    fov_x_deg: Degrees | list[Degrees] | None = None
    fov_y_deg: Degrees | list[Degrees] | None = None
    times_s: list[float] | None = None
    gate_to_world: Matrix4 | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> CamerasFile:
        if (self.camera_to_world is None) == (self.world_to_camera is None):
            raise ValueError("give camera_to_world or world_to_camera, one of them")
        given = [name for name in _HOW_TO_SEE if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give K, fov_x_deg or fov_y_deg, one of them; got {', '.join(given) or 'none'}")
        return self


@dataclass(frozen=True, eq=False)
class RawCameras:
    """Cameras as a file has them, in its own axes and units.

    Attributes:
        poses: camera-to-world, (T, 4, 4), float64.
        Ks: (T, 3, 3), pixels.
        times: seconds, (T,), None where they follow from the frame rate.
        gate: gate-to-world, (4, 4), None where the file says nothing of it.
        viewmats: the file's own world-to-camera matrices, None where it gave camera-to-world.
    """

    poses: np.ndarray
    Ks: np.ndarray
    times: np.ndarray | None
    gate: np.ndarray | None
    viewmats: np.ndarray | None = None


def read_cameras(folder: Path, frames: int, size: tuple[int, int], pixel_center: float = 0.5) -> RawCameras:
    """What cameras.json of a clip says, for `frames` frames of `size` (width, height).

    `pixel_center` is where K has the first pixel's centre; the Ks that are returned have it at 0.5.

    Raises:
        UnreadableClip: the file is missing, not JSON, or a field is wrong.
        InvalidCameras: counts disagree with the frames, a number is not finite, or a matrix cannot be inverted.
    """
    file = parsed(CamerasFile, read_json(folder / CAMERAS_FILE), CAMERAS_FILE)
    name = "camera_to_world" if file.camera_to_world is not None else "world_to_camera"
    matrices = _matrices(name, file.camera_to_world or file.world_to_camera or [], frames)
    poses = matrices if name == "camera_to_world" else np.linalg.inv(matrices)
    times = None
    if file.times_s is not None:
        times = np.array(file.times_s, dtype=np.float64)
        if times.shape != (frames,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise InvalidCameras(f"{CAMERAS_FILE}: times_s: expected {frames} finite seconds that increase")
    gate = None if file.gate_to_world is None else _matrices("gate_to_world", [file.gate_to_world], 1)[0]
    viewmats = None if name == "camera_to_world" else matrices
    return RawCameras(poses, _intrinsics(file, frames, size, pixel_center), times, gate, viewmats)


def write_cameras(folder: Path, cameras: Cameras, times: np.ndarray) -> None:
    """Write cameras.json of a clip in Narthex's own convention: exact viewmats, Ks and times.

    Raises:
        OSError: it cannot be written.
    """
    Ks = cameras.Ks
    same = bool((Ks == Ks[0]).all())
    value = {
        "world_to_camera": cameras.viewmats.tolist(),
        "K": Ks[0].tolist() if same else Ks.tolist(),
        "times_s": times.tolist(),
    }
    (folder / CAMERAS_FILE).write_text(json.dumps(value), encoding="utf-8")


def _matrices(name: str, rows: list[Matrix4], frames: int) -> np.ndarray:
    matrices = np.array(rows, dtype=np.float64).reshape(-1, 4, 4)
    if len(matrices) != frames:
        raise InvalidCameras(f"{CAMERAS_FILE}: {name}: {len(matrices)} matrices for {frames} frames; write one a frame")
    bad = np.flatnonzero(~np.isfinite(matrices).all(axis=(1, 2)))
    if len(bad):
        raise InvalidCameras(
            f"{CAMERAS_FILE}: {name}: frame {bad[0]} holds NaN or infinity; write the pose of that frame"
        )
    last = matrices[:, 3]
    bad = np.flatnonzero(np.abs(last - [0.0, 0.0, 0.0, 1.0]).max(axis=1) > 1e-6)
    if len(bad):
        transposed = np.abs(matrices[:, :3, 3]).max() < 1e-12
        hint = "the matrices are transposed: write them row by row" if transposed else "write rigid 4x4 transforms"
        raise InvalidCameras(
            f"{CAMERAS_FILE}: {name}: the last row of frame {bad[0]} is {last[bad[0]].tolist()}, "
            f"expected 0 0 0 1; {hint}"
        )
    flat = np.flatnonzero(np.abs(np.linalg.det(matrices[:, :3, :3])) < 1e-6)
    if len(flat):
        raise InvalidCameras(f"{CAMERAS_FILE}: {name}: frame {flat[0]} is no rotation (its determinant is 0)")
    return matrices


def _intrinsics(file: CamerasFile, frames: int, size: tuple[int, int], pixel_center: float) -> np.ndarray:
    if file.K is not None:
        Ks = np.array(file.K, dtype=np.float64).reshape(-1, 3, 3)
        Ks = _one_a_frame("K", Ks, frames)
        bad = np.flatnonzero(~_is_pinhole(Ks))
        if len(bad):
            raise InvalidCameras(
                f"{CAMERAS_FILE}: K: frame {bad[0]} holds {Ks[bad[0]].tolist()}, expected fx 0 cx / 0 fy cy / 0 0 1 "
                f"in pixels with fx and fy above 0 (no skew)"
            )
        Ks[:, :2, 2] += 0.5 - pixel_center
        return Ks
    width, height = size
    horizontal = file.fov_x_deg is not None
    name, span = ("fov_x_deg", width) if horizontal else ("fov_y_deg", height)
    degrees = np.atleast_1d(np.array(getattr(file, name), dtype=np.float64))
    focal = 0.5 * span / np.tan(np.radians(_one_a_frame(name, degrees, frames)) / 2)
    Ks = np.zeros((frames, 3, 3))
    Ks[:, 0, 0] = Ks[:, 1, 1] = focal
    Ks[:, 0, 2], Ks[:, 1, 2], Ks[:, 2, 2] = width / 2, height / 2, 1.0
    return Ks


def _one_a_frame(name: str, values: np.ndarray, frames: int) -> np.ndarray:
    if len(values) not in (1, frames):
        raise InvalidCameras(
            f"{CAMERAS_FILE}: {name}: {len(values)} given for {frames} frames; give one, or one a frame"
        )
    return np.repeat(values, frames, axis=0) if len(values) == 1 else values


def _is_pinhole(Ks: np.ndarray) -> np.ndarray:
    finite = np.isfinite(Ks).all(axis=(1, 2))
    focal = (Ks[:, 0, 0] > 0) & (Ks[:, 1, 1] > 0)
    rest = np.abs(np.stack([Ks[:, 0, 1], Ks[:, 1, 0], Ks[:, 2, 0], Ks[:, 2, 1], Ks[:, 2, 2] - 1.0])).max(axis=0)
    return np.asarray(finite & focal & (np.where(np.isfinite(rest), rest, math.inf) < 1e-6))
