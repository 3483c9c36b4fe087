"""transforms.json as nerfstudio and instant-ngp write it: poses, lens and depth of every picture of a folder.

Poses are camera-to-world with OpenGL cameras (x right, y up, z back) in a world whose z is up. Intrinsics stand in the
file for all frames or in a frame for itself. Sources: docs.nerf.studio (data conventions) and instant-ngp's
docs/nerf_dataset_tips.md. `aabb_scale`, `scale` and `offset` say how instant-ngp fits a scene into its grid, not where
anything is: they are read and not used.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float64
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from clips.errors import InvalidCameras, UnreadableClip
from clips.footage.json_file import parsed, read_json
from clips.footage.lens import Lens

TRANSFORMS_FILE = "transforms.json"
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".PNG", ".JPG", ".JPEG")
_PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL", "FULL_OPENCV", "PERSPECTIVE")
_FISHEYE = ("OPENCV_FISHEYE", "FISHEYE")
_RIGID = 1e-2
_SAME_SHAPE_PX = 1.5
_COEFFICIENTS = ("k1", "k2", "k3", "k4", "p1", "p2")

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
ViewAngle = Annotated[float, Field(gt=0.02, lt=3.1)]
Rows = list[list[Finite]]


class _Seeing(BaseModel):
    """Intrinsics, as they stand in the file or in a frame."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    camera_model: str | None = None
    is_fisheye: bool | None = None
    camera_angle_x: ViewAngle | None = None
    camera_angle_y: ViewAngle | None = None
    fl_x: Positive | None = None
    fl_y: Positive | None = None
    cx: Finite | None = None
    cy: Finite | None = None
    w: Positive | None = None
    h: Positive | None = None
    k1: Finite | None = None
    k2: Finite | None = None
    k3: Finite | None = None
    k4: Finite | None = None
    p1: Finite | None = None
    p2: Finite | None = None


class TransformsFrame(_Seeing):
    """One picture; paths are relative to the folder."""

    file_path: Annotated[str, Field(min_length=1)]
    transform_matrix: Rows
    depth_file_path: str | None = Field(None, validation_alias=AliasChoices("depth_file_path", "depth_path"))
    mask_path: str | None = None


class TransformsFile(_Seeing):
    """The whole file; `frames` in the file's own order."""

    frames: list[TransformsFrame]
    depth_unit_scale_factor: Positive = Field(
        1e-3, validation_alias=AliasChoices("depth_unit_scale_factor", "integer_depth_scale")
    )
    applied_transform: Rows | None = None
    applied_scale: Positive = 1.0
    aabb_scale: Positive | None = None
    ply_file_path: str | None = None

    @property
    def units_per_file_unit(self) -> float:
        """What a length in the file is in the units of the capture before `applied_transform` and `applied_scale`."""
        scale = self.applied_scale
        if self.applied_transform is not None:
            scale *= float(np.cbrt(np.linalg.det(np.array(self.applied_transform)[:3, :3])))
        return 1.0 / scale


def read_transforms_file(folder: Path) -> TransformsFile:
    """What transforms.json of `folder` says, its frames in the order of their file names (frame_2 before frame_10).

    Raises:
        UnreadableClip: missing, not JSON, or a field is wrong; names the frame and the field.
    """
    file = parsed(TransformsFile, read_json(folder / TRANSFORMS_FILE), TRANSFORMS_FILE)
    if not file.frames:
        raise UnreadableClip(f"{TRANSFORMS_FILE}: frames: no frames in it")
    _check_applied(file)
    ordered = sorted(file.frames, key=lambda frame: in_order(frame.file_path))
    for before, after in pairwise(ordered):
        if before.file_path == after.file_path:
            raise UnreadableClip(f"{TRANSFORMS_FILE}: {after.file_path}: is there twice; remove one of the frames")
    return file.model_copy(update={"frames": ordered})


def poses_of(file: TransformsFile) -> Float64[np.ndarray, "T 4 4"]:
    """Camera-to-world of every frame (OpenGL cameras, z up), lengths as before `applied_transform`.

    The world's axes stay the file's, in which z is up; only the scale of an applied transform is undone. Rotations
    that were rounded when they were written are made orthonormal again.

    Raises:
        UnreadableClip: a matrix is not a rigid 3x4 or 4x4 one; names the frame.
    """
    poses = np.stack([_pose(frame) for frame in file.frames])
    poses[:, :3, 3] *= file.units_per_file_unit
    return poses


def lens_of(file: TransformsFile, frame: TransformsFrame, size: tuple[int, int]) -> Lens:
    """The lens of one frame whose picture has `size` (width, height): the frame's own values before the file's.

    Where `w` and `h` say another size of the same shape (a folder of smaller pictures), the lens is resized.

    Raises:
        UnreadableClip: no focal length, a camera model that is not read, or a picture of another shape.
    """
    where = f"{TRANSFORMS_FILE}: {frame.file_path}"
    width, height = _said_size(file, frame, size, where)
    fl_x, fl_y = _focal_lengths(file, frame, (width, height), where)
    cx, cy = _said(file, frame, "cx"), _said(file, frame, "cy")
    bent = {name: _said(file, frame, name) or 0.0 for name in _COEFFICIENTS}
    try:
        lens = Lens(
            width=width, height=height, fl_x=fl_x, fl_y=fl_y,
            cx=width / 2 if cx is None else cx, cy=height / 2 if cy is None else cy,
            is_fisheye=_is_fisheye(file, frame, where), **bent,
        )  # fmt: skip
    except InvalidCameras as error:
        raise UnreadableClip(f"{where}: {error}") from error
    return lens.resized(*size)


def inside(folder: Path, name: str) -> Path:
    """The file that a path of transforms.json names; its ending is found where it was left out (Blender's way).

    Raises:
        UnreadableClip: it lies outside of the folder, or there is no such file.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UnreadableClip(f"{TRANSFORMS_FILE}: {name}: lies outside of the capture's folder; copy it in")
    if path.is_file():
        return path
    for ending in PICTURE_ENDINGS:
        if path.with_name(path.name + ending).is_file():
            return path.with_name(path.name + ending)
    raise UnreadableClip(f"{TRANSFORMS_FILE}: {name}: no such file in {folder}; copy the pictures beside the file")


def in_order(name: str) -> list[tuple[int, str]]:
    """A key by which frame_2 comes before frame_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _check_applied(file: TransformsFile) -> None:
    rows = file.applied_transform
    if rows is None:
        return
    if len(rows) not in (3, 4) or any(len(row) != 4 for row in rows):
        raise UnreadableClip(f"{TRANSFORMS_FILE}: applied_transform: expected 3x4 or 4x4 numbers, row by row")
    turn = np.array(rows)[:3, :3]
    scale = float(np.cbrt(np.linalg.det(turn)))
    if not scale > 1e-9 or np.abs(turn @ turn.T / scale**2 - np.eye(3)).max() > _RIGID:
        raise UnreadableClip(
            f"{TRANSFORMS_FILE}: applied_transform: got {rows}, expected a rotation with one scale and a shift"
        )


def _pose(frame: TransformsFrame) -> np.ndarray:
    rows = frame.transform_matrix
    where = f"{TRANSFORMS_FILE}: {frame.file_path}"
    if len(rows) not in (3, 4) or any(len(row) != 4 for row in rows):
        raise UnreadableClip(
            f"{where}: transform_matrix is no finite 4x4 matrix (3x4 is read too); write it row by row"
        )
    pose = np.eye(4)
    pose[: len(rows)] = rows
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise UnreadableClip(
            f"{where}: transform_matrix has the last row {pose[3].tolist()}, expected 0 0 0 1; is it transposed?"
        )
    off = float(np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max())
    if off > _RIGID or np.linalg.det(pose[:3, :3]) < 0:
        kind = "a mirror" if off <= _RIGID else f"no rotation (off by {off:.2g})"
        raise UnreadableClip(
            f"{where}: transform_matrix is {kind}; expected camera-to-world with rotation and translation only"
        )
    left, _, right = np.linalg.svd(pose[:3, :3])
    pose[:3, :3] = left @ right
    return pose


def _said(file: TransformsFile, frame: TransformsFrame, name: str) -> float | None:
    own: float | None = getattr(frame, name)
    shared: float | None = getattr(file, name)
    return own if own is not None else shared


def _said_size(file: TransformsFile, frame: TransformsFrame, size: tuple[int, int], where: str) -> tuple[int, int]:
    said = tuple(_said(file, frame, name) for name in ("w", "h"))
    if said[0] is None or said[1] is None:
        return size
    width, height = round(said[0]), round(said[1])
    if abs(height * size[0] / width - size[1]) > _SAME_SHAPE_PX:
        raise UnreadableClip(
            f"{where}: w and h: got {width}x{height}, the picture is {size[0]}x{size[1]}, of another shape; write the "
            f"picture's own size"
        )
    return width, height


def _focal_lengths(
    file: TransformsFile, frame: TransformsFrame, size: tuple[int, int], where: str
) -> tuple[float, float]:
    found = []
    for axis, span in zip("xy", size, strict=True):
        focal, angle = _said(file, frame, f"fl_{axis}"), _said(file, frame, f"camera_angle_{axis}")
        if focal is None and angle is not None:
            focal = 0.5 * span / math.tan(angle / 2)
        found.append(focal)
    x, y = found
    if x is None:
        raise UnreadableClip(
            f"{where}: fl_x (pixels) or camera_angle_x (radians) is needed above 0, in the frame or for all frames"
        )
    return x, (y or x)


def _is_fisheye(file: TransformsFile, frame: TransformsFrame, where: str) -> bool:
    told = frame.is_fisheye if frame.is_fisheye is not None else file.is_fisheye
    model = (frame.camera_model or file.camera_model or ("OPENCV_FISHEYE" if told else "OPENCV")).upper()
    if model in _FISHEYE:
        return True
    if model not in _PERSPECTIVE:
        raise UnreadableClip(
            f"{where}: camera_model: got {model}, expected OPENCV, PINHOLE or OPENCV_FISHEYE; other lenses are not read"
        )
    return bool(told)
