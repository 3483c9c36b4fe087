"""Captures with a nerfstudio transforms.json (its data conventions: OpenGL cameras, z up, depth in thousandths)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from clips.clip import Clip
from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.camera_file import RawCameras
from clips.footage.clip_folder import SkippedClip, read_captions
from clips.footage.conversion import check_path, our_cameras, our_depth
from clips.footage.dataset_file import CameraConvention, DepthConvention, Limits
from clips.footage.footage import Footage, check_depth
from clips.footage.frame_files import read_picture
from clips.footage.json_file import parsed, read_json

TRANSFORMS_FILE = "transforms.json"
DEPTH_UNITS_PER_M = 1000.0
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    file_path: str
    transform_matrix: list[list[float]]
    depth_file_path: str | None = None
    mask_path: str | None = None
    fl_x: float | None = None
    fl_y: float | None = None
    cx: float | None = None
    cy: float | None = None


class _Transforms(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    frames: list[_Frame]
    camera_model: str = "OPENCV"
    camera_angle_x: float | None = None
    fl_x: float | None = None
    fl_y: float | None = None
    cx: float | None = None
    cy: float | None = None
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    depth_unit_scale_factor: float = 1.0 / DEPTH_UNITS_PER_M


@dataclass(frozen=True)
class TransformsRule:
    """What transforms.json does not say: frame rate, kind of depth, and what a movement may be."""

    fps: float
    cameras: CameraConvention
    depth_kind: str = "planar"
    limits: Limits = field(default_factory=Limits)


def transforms_folders(folder: Path) -> list[Path]:
    """The folders with a transforms.json: `folder` itself, or its sub-folders that have one, sorted."""
    if (folder / TRANSFORMS_FILE).exists():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{TRANSFORMS_FILE}"))


def read_transforms(folder: Path, rule: TransformsRule) -> Footage | SkippedClip:
    """The clip of one transforms.json, its frames in the order of their file names; SkippedClip says what is wrong.

    Depth is needed for every frame; a caption is read as in a clip folder. `mask_path` is not read: it marks what a
    reconstruction should ignore, not an object.
    """
    try:
        return _read(folder, rule)
    except ClipError as error:
        return SkippedClip(folder.name, f"clip {folder.name}: {error}")


def _read(folder: Path, rule: TransformsRule) -> Footage:
    file = parsed(_Transforms, read_json(folder / TRANSFORMS_FILE), TRANSFORMS_FILE)
    if not file.frames:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: frames: no frames in it")
    bent = [name for name in _DISTORTION if getattr(file, name) != 0.0]
    if bent or "FISHEYE" in file.camera_model or "EQUI" in file.camera_model:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {bent or file.camera_model}: the lens is distorted; undistort first")
    entries = sorted(file.frames, key=lambda frame: _in_order(frame.file_path))
    frames = np.stack(_same_size([np.asarray(_inside(folder, entry.file_path, "RGB")) for entry in entries]))
    count, height, width = frames.shape[:3]
    poses = np.array([_matrix(entry) for entry in entries])
    Ks = np.stack([_intrinsics(file, entry, width, height) for entry in entries])
    cameras = our_cameras(RawCameras(poses, Ks, None, None), rule.cameras, (width, height))
    times = np.arange(count) / rule.fps
    check_path(cameras, times, rule.limits)
    units = DepthConvention.model_validate({"kind": rule.depth_kind, "units_per_m": 1.0 / file.depth_unit_scale_factor})
    values = np.stack(_same_size([_depth(folder, entry) for entry in entries]))
    if values.shape != frames.shape[:3]:
        raise InvalidClip(f"{TRANSFORMS_FILE}: depth is {values.shape[1:]}, the frames are {(height, width)}")
    depth = our_depth(values, units, cameras)
    check_depth("depth", depth, frames.shape[:3])
    captions = read_captions(folder)
    caption = next((texts[0] for texts in captions.values()), "")
    return Footage(Clip(frames, depth, cameras, times, caption), captions, source={"capture": folder.name})


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key by which frame_2 comes before frame_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _matrix(entry: _Frame) -> np.ndarray:
    matrix = np.array(entry.transform_matrix, dtype=np.float64) if _is_square(entry.transform_matrix) else np.empty(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {entry.file_path}: transform_matrix is no finite 4x4 matrix")
    return matrix


def _is_square(rows: list[list[float]]) -> bool:
    return len(rows) == 4 and all(len(row) == 4 for row in rows)


def _intrinsics(file: _Transforms, entry: _Frame, width: int, height: int) -> np.ndarray:
    def said(name: str) -> float | None:
        own: float | None = getattr(entry, name)
        shared: float | None = getattr(file, name)
        return own if own is not None else shared

    focal_x = said("fl_x")
    if focal_x is None and file.camera_angle_x is not None and 0.02 < file.camera_angle_x < 3.1:
        focal_x = 0.5 * width / math.tan(file.camera_angle_x / 2)
    if focal_x is None or not focal_x > 0:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: fl_x (pixels) or camera_angle_x (radians) is needed above 0")
    focal_y = said("fl_y") or focal_x
    center_x, center_y = said("cx"), said("cy")
    x = width / 2 if center_x is None else center_x
    y = height / 2 if center_y is None else center_y
    return np.array([[focal_x, 0.0, x], [0.0, focal_y, y], [0.0, 0.0, 1.0]])


def _depth(folder: Path, entry: _Frame) -> np.ndarray:
    if entry.depth_file_path is None:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {entry.file_path}: depth_file_path is missing; write depth too")
    path = _path(folder, entry.depth_file_path)
    if path.suffix == ".npy":
        try:
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
        except (OSError, ValueError, EOFError) as error:
            raise UnreadableClip(f"{entry.depth_file_path}: not a readable array ({error})") from error
    return np.asarray(_inside(folder, entry.depth_file_path, "I;16"), dtype=np.float64)


def _inside(folder: Path, name: str, mode: str) -> np.ndarray:
    picture = read_picture(_path(folder, name))
    if mode == "RGB":
        return np.asarray(picture.convert("RGB"))
    if not picture.mode.startswith("I"):
        raise UnreadableClip(f"{name}: has mode {picture.mode}, expected 16-bit grey")
    return np.asarray(picture)


def _path(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {name}: lies outside of the capture's folder; copy it in")
    return path


def _same_size(planes: list[np.ndarray]) -> list[np.ndarray]:
    shapes = sorted({plane.shape for plane in planes})
    if len(shapes) > 1:
        raise InvalidClip(f"{TRANSFORMS_FILE}: mixed sizes {shapes}; capture all frames at one size")
    return planes
