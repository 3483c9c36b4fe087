"""A Clip: frames, metric depth, cameras and times of one short RGB-D video, and its file."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from clips.atomic_file import replacing
from clips.cameras import Cameras
from clips.errors import ClipError, InvalidCameras, InvalidClip, UnreadableClip

CLIP_VERSION = 1
MAX_CLIP_BYTES = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Clip:
    """One short RGB-D video with exact cameras.

    Attributes:
        frames: sRGB-encoded colour, shape (T, H, W, 3), uint8.
        depth: distance along the camera's z axis in metres, shape (T, H, W), float32, finite and positive.
        cameras: T cameras in the gate frame.
        times: scene seconds of each frame, shape (T,), float64, strictly increasing.
        caption: what the clip shows, in words.
        motion_mask: where something moves on its own, shape (T, H, W); None where nobody knows.

    Raises:
        InvalidClip: shapes disagree, nothing is in it, or a value means nothing; names the frames.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    depth: Float32[np.ndarray, "T H W"]
    cameras: Cameras
    times: Float64[np.ndarray, " T"]
    caption: str = ""
    motion_mask: Bool[np.ndarray, "T H W"] | None = None

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return int(self.frames.shape[0])

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's time to the end of the last frame."""
        step_s = float(np.diff(self.times).mean()) if len(self) > 1 else 0.0
        return float(self.times[-1] - self.times[0]) + step_s

    @property
    def fps(self) -> float:
        """Mean frames per second; 1.0 for a single frame."""
        return 1.0 / float(np.diff(self.times).mean()) if len(self) > 1 else 1.0


def save_clip(clip: Clip, path: Path) -> None:
    """Write `clip` as one `.npz` file; a crash leaves the old file or none.

    Raises:
        OSError: the folder is missing or cannot be written.
    """
    header = {"version": CLIP_VERSION, "caption": clip.caption, "width": clip.cameras.width}
    header["height"] = clip.cameras.height
    arrays: dict[str, Any] = {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "frames": clip.frames,
        "depth": clip.depth,
        "viewmats": clip.cameras.viewmats,
        "Ks": clip.cameras.Ks,
        "times": clip.times,
    }
    if clip.motion_mask is not None:
        arrays["motion_mask"] = clip.motion_mask
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_clip(path: Path) -> Clip:
    """Read a clip that `save_clip` wrote.

    Raises:
        UnreadableClip: no such file, not a clip, cut short, too large (MAX_CLIP_BYTES), or of another version.
        InvalidClip, InvalidCameras: the file is whole but what it holds is not a clip; names the file too.
    """
    try:
        _refuse_huge(path)
        with np.load(path, allow_pickle=False) as arrays:
            return _from_arrays(path, arrays)
    except (InvalidClip, InvalidCameras) as error:
        raise type(error)(f"{path}: {error}") from error
    except ClipError:
        raise
    except _DAMAGE as error:
        raise UnreadableClip(f"{path}: not a readable clip ({error}); expected a .npz by narthex") from error


# What zipfile, zlib, NumPy and json raise for damaged, foreign or hostile files.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    SyntaxError,
    zlib.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


def _refuse_huge(path: Path) -> None:
    """Refuse archives that unpack to more than MAX_CLIP_BYTES, before anything is unpacked."""
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
    if unpacked_bytes > MAX_CLIP_BYTES:
        raise UnreadableClip(f"{path}: unpacks to {unpacked_bytes} bytes, at most {MAX_CLIP_BYTES} are read")


def _from_arrays(path: Path, arrays: Mapping[str, Any]) -> Clip:
    header = json.loads(bytes(arrays["header"]).decode())
    if header.get("version") != CLIP_VERSION:
        raise UnreadableClip(f"{path}: clip version {header.get('version')}, expected {CLIP_VERSION}")
    cameras = Cameras(arrays["viewmats"], arrays["Ks"], int(header["width"]), int(header["height"]))
    mask = arrays["motion_mask"] if "motion_mask" in set(arrays) else None
    return Clip(arrays["frames"], arrays["depth"], cameras, arrays["times"], str(header["caption"]), mask)


def _check(clip: Clip) -> None:
    frames, depth = clip.frames, clip.depth
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise InvalidClip(f"frames must be uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    if frames.shape[0] == 0:
        raise InvalidClip("a clip needs at least one frame, got 0")
    if depth.shape != frames.shape[:3] or depth.dtype != np.float32:
        raise InvalidClip(f"depth must be float32 {frames.shape[:3]}, got {depth.dtype} {depth.shape}")
    expected = (frames.shape[0], frames.shape[1], frames.shape[2])
    got = (len(clip.cameras), clip.cameras.height, clip.cameras.width)
    if expected != got:
        raise InvalidClip(f"cameras must be (T, H, W) = {expected}, got {got}")
    bad = np.flatnonzero(~(np.isfinite(depth) & (depth > 0)).all(axis=(1, 2)))
    if len(bad):
        raise InvalidClip(f"depth must be finite and positive; frames {bad[:8].tolist()} are not")
    times = clip.times
    if times.shape != (frames.shape[0],) or times.dtype.kind != "f" or not np.isfinite(times).all():
        raise InvalidClip(f"times must be {frames.shape[0]} finite seconds, got {times.dtype} {times.shape}")
    if (np.diff(times) <= 0).any():
        raise InvalidClip("times must increase from frame to frame")
    mask = clip.motion_mask
    if mask is not None and (mask.shape != depth.shape or mask.dtype != np.bool_):
        raise InvalidClip(f"motion_mask must be bool {depth.shape}, got {mask.dtype} {mask.shape}")
