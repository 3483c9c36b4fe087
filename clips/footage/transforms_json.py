"""Captures with a transforms.json as footage to train on: every frame with depth, cameras in the gate frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clips.clip import Clip
from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.camera_file import RawCameras
from clips.footage.clip_folder import SkippedClip, read_captions
from clips.footage.conversion import check_path, our_cameras, our_depth
from clips.footage.dataset_file import CameraConvention, DepthConvention, Limits
from clips.footage.footage import Footage, check_depth
from clips.footage.frame_files import read_picture
from clips.footage.lens import straightening
from clips.footage.transforms_file import (
    TRANSFORMS_FILE,
    TransformsFrame,
    inside,
    lens_of,
    poses_of,
    read_transforms_file,
)


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

    Pictures and depth of a lens that bends are straightened. Depth is needed for every frame; a caption is read as in
    a clip folder. `mask_path` is not read: it marks what a reconstruction should ignore, not an object.
    """
    try:
        return _read(folder, rule)
    except ClipError as error:
        return SkippedClip(folder.name, f"clip {folder.name}: {error}")


def _read(folder: Path, rule: TransformsRule) -> Footage:
    file = read_transforms_file(folder)
    pictures = _same_size([_color(folder, entry) for entry in file.frames])
    count, height, width = len(pictures), *pictures[0].shape[:2]
    lenses = [lens_of(file, entry, (width, height)) for entry in file.frames]
    by_lens = {lens: straightening(lens) for lens in set(lenses)}
    straight = [by_lens[lens] for lens in lenses]
    frames = np.stack([by.picture(picture) for by, picture in zip(straight, pictures, strict=True)])
    cameras = our_cameras(
        RawCameras(poses_of(file), np.stack([by.K for by in straight]), None, None), rule.cameras, (width, height)
    )
    times = np.arange(count) / rule.fps
    check_path(cameras, times, rule.limits)
    units_per_m = 1.0 / (file.depth_unit_scale_factor * file.units_per_file_unit)
    units = DepthConvention.model_validate({"kind": rule.depth_kind, "units_per_m": units_per_m})
    values = np.stack(_same_size([_depth(folder, entry) for entry in file.frames]))
    if values.shape != frames.shape[:3]:
        raise InvalidClip(f"{TRANSFORMS_FILE}: depth is {values.shape[1:]}, the frames are {(height, width)}")
    depth = our_depth(np.stack([by.plane(plane) for by, plane in zip(straight, values, strict=True)]), units, cameras)
    check_depth("depth", depth, frames.shape[:3])
    captions = read_captions(folder)
    caption = next((texts[0] for texts in captions.values()), "")
    return Footage(Clip(frames, depth, cameras, times, caption), captions, source={"capture": folder.name})


def _color(folder: Path, entry: TransformsFrame) -> np.ndarray:
    return np.asarray(read_picture(inside(folder, entry.file_path)).convert("RGB"))


def _depth(folder: Path, entry: TransformsFrame) -> np.ndarray:
    if entry.depth_file_path is None:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {entry.file_path}: depth_file_path is missing; write depth too")
    return read_depth(folder, entry.depth_file_path)


def read_depth(folder: Path, name: str) -> np.ndarray:
    """Numbers (H, W), float64, of a depth file that transforms.json names: .npy, or a 16-bit picture.

    Raises:
        UnreadableClip: missing, damaged, not one plane, or a picture of 8 bits.
    """
    path = inside(folder, name)
    if path.suffix == ".npy":
        try:
            values = np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
        except (OSError, ValueError, EOFError) as error:
            raise UnreadableClip(f"{name}: not a readable array ({error})") from error
    else:
        picture = read_picture(path)
        if not picture.mode.startswith("I"):
            raise UnreadableClip(f"{name}: has mode {picture.mode}, expected 16-bit grey")
        values = np.asarray(picture, dtype=np.float64)
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    if values.ndim != 2:
        raise UnreadableClip(f"{name}: has shape {values.shape}, expected height and width")
    return values


def _same_size(planes: list[np.ndarray]) -> list[np.ndarray]:
    shapes = sorted({plane.shape for plane in planes})
    if len(shapes) > 1:
        raise InvalidClip(f"{TRANSFORMS_FILE}: mixed sizes {shapes}; capture all frames at one size")
    return planes
