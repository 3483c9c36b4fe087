"""A folder with a transforms.json becomes a Capture: pictures straightened, cameras in the gate frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clips.cameras import Cameras
from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.frame_files import read_picture
from clips.footage.lens import Lens, Straightening, straightening
from clips.footage.transforms_file import TransformsFile, inside, lens_of, poses_of, read_transforms_file
from clips.footage.transforms_json import read_depth
from clips.frame_axes import axes_named, poses_from
from recon.capture.capture import Capture, no_points
from recon.capture.pictures import MIN_FRAMES, smaller
from recon.capture.placement import placed
from recon.capture.settings import CaptureSettings

WORLD_AXES, CAMERA_AXES = "RFU", "RUB"
_DOWN = np.array([0.0, 1.0, 0.0])


def read_posed_folder(folder: Path, settings: CaptureSettings, fps: float) -> Capture:
    """The Capture of a folder with a transforms.json, without points; depth and masks where the file names them.

    Lengths are the file's own (metres, if a device measured them), unless settings.scale_m says otherwise. Frame k is
    at k / `fps` seconds. Where a mask is black, `moving` is true: the file says not to look there.

    Raises:
        ClipError: names the folder, the frame and the field that is wrong.
    """
    try:
        return _read(folder, settings, fps)
    except ClipError as error:
        raise type(error)(f"{folder}: {error}") from error


def _read(folder: Path, settings: CaptureSettings, fps: float) -> Capture:
    file = read_transforms_file(folder)
    count = len(file.frames)
    if not MIN_FRAMES <= count <= settings.max_frames:
        raise UnreadableClip(
            f"transforms.json: frames: {count} of them; at least {MIN_FRAMES} are needed and at most "
            f"{settings.max_frames} are taken (--max-frames)"
        )
    poses = poses_from(poses_of(file), axes_named(WORLD_AXES), axes_named(CAMERA_AXES))
    frames, straight = _pictures(folder, file, settings.long_side_px)
    height, width = frames.shape[1:3]
    scale, is_metric, note = _scale(poses, file, settings.scale_m)
    viewmats, _ = placed(poses, np.zeros((0, 3)), _DOWN, scale)
    metres = file.depth_unit_scale_factor * file.units_per_file_unit * scale
    depth, moving = _planes(folder, file, straight, (height, width), metres)
    return Capture(
        frames=frames,
        cameras=Cameras(viewmats, np.stack([by.K for by in straight]), width, height),
        times=np.arange(count) / fps,
        names=tuple(frame.file_path for frame in file.frames),
        points=no_points(),
        depth=depth,
        moving=moving,
        is_metric=is_metric,
        notes=(note,),
    )


def _pictures(folder: Path, file: TransformsFile, long_side_px: int) -> tuple[np.ndarray, list[Straightening]]:
    frames: list[np.ndarray] = []
    straight, known = [], dict[Lens, Straightening]()
    first = None
    for frame in file.frames:
        picture = read_picture(inside(folder, frame.file_path))
        first = first or (picture.size, frame.file_path)
        if picture.size != first[0]:
            raise InvalidClip(
                f"transforms.json: mixed sizes: {first[1]} is {first[0][0]}x{first[0][1]}, {frame.file_path} "
                f"{picture.width}x{picture.height}; capture all frames at one size"
            )
        pixels = smaller(picture, long_side_px)
        lens = lens_of(file, frame, picture.size).resized(pixels.shape[1], pixels.shape[0])
        if lens not in known:
            try:
                known[lens] = straightening(lens)
            except ClipError as error:
                raise type(error)(f"transforms.json: {frame.file_path}: {error}") from error
        straight.append(known[lens])
        frames.append(known[lens].picture(pixels))
    return np.stack(frames), straight


def _scale(poses: np.ndarray, file: TransformsFile, scale_m: float | None) -> tuple[float, bool, str]:
    """Metres per unit, whether that is known, and what to tell people."""
    span = float(np.linalg.norm(poses[-1, :3, 3] - poses[0, :3, 3]))
    if scale_m is not None:
        if span < 1e-9:
            raise UnreadableClip("transforms.json: first and last camera are at one place, so --scale-m means nothing")
        return scale_m / span, True, f"scale: first and last camera are {scale_m:g} m apart, as told"
    return 1.0, False, (
        f"scale: lengths of transforms.json are taken for metres (first to last camera: {span:.2f} m); if that is "
        f"wrong, give --scale-m"
    )  # fmt: skip


def _planes(
    folder: Path, file: TransformsFile, straight: list[Straightening], size: tuple[int, int], metres: float
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Depth (T, H, W) in metres, 0 where unknown, and where not to look; None where the file names none at all."""
    depth = np.zeros((len(straight), *size), np.float32)
    ignored = np.zeros((len(straight), *size), np.bool_)
    for index, (frame, by) in enumerate(zip(file.frames, straight, strict=True)):
        if frame.depth_file_path is not None:
            values = _nearest(read_depth(folder, frame.depth_file_path), size) * metres
            depth[index] = by.plane(np.where(np.isfinite(values) & (values > 0), values, 0.0))
        if frame.mask_path is not None:
            mask = np.asarray(read_picture(inside(folder, frame.mask_path)).convert("L"))
            ignored[index] = by.plane(_nearest(mask, size) == 0)
    has_depth = any(frame.depth_file_path is not None for frame in file.frames)
    has_masks = any(frame.mask_path is not None for frame in file.frames)
    return (depth if has_depth else None), (ignored if has_masks else None)


def _nearest(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A plane at another size, each pixel the nearest old one."""
    rows, columns = ((np.arange(new) + 0.5) * old / new for new, old in zip(size, plane.shape, strict=True))
    return np.asarray(plane[rows.astype(int)][:, columns.astype(int)])
