"""Reading: what kind of footage a path is, and the Capture that it holds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from clips.errors import ClipError, UnreadableClip
from clips.footage.transforms_file import TRANSFORMS_FILE
from recon.capture.capture import Capture
from recon.capture.features import Tell
from recon.capture.pictures import VIDEO_ENDINGS, picture_files, read_folder, read_video
from recon.capture.posed_folder import read_posed_folder
from recon.capture.registration import register
from recon.capture.settings import CaptureSettings
from recon.capture.triangulation import with_points
from recon.errors import Unreconstructable

DEFAULT_FPS = 10.0


class Footage(StrEnum):
    """What a path can hold."""

    CLIP = "clip"
    VIDEO = "video"
    POSED = "posed pictures"
    PICTURES = "pictures"


def kind_of(path: Path) -> Footage:
    """What `path` holds, by what it is: a folder with a transforms.json, one with pictures, a video by its ending.

    Any other file is taken for a clip.

    Raises:
        UnreadableClip: a folder with neither.
    """
    if not path.is_dir():
        return Footage.VIDEO if path.suffix.lower() in VIDEO_ENDINGS else Footage.CLIP
    if (path / TRANSFORMS_FILE).exists():
        return Footage.POSED
    if picture_files(path):
        return Footage.PICTURES
    raise UnreadableClip(
        f"{path}: a folder with neither {TRANSFORMS_FILE} nor pictures; name a folder that has one of them, or a file"
    )


def read_capture(path: Path, settings: CaptureSettings, tell: Tell, fps: float | None = None) -> Capture:
    """The Capture of a video or a folder: cameras and points found, unless the folder says its cameras and depth.

    `fps` of a folder's pictures is DEFAULT_FPS where nobody says it; a still scene does not depend on it.

    Raises:
        ClipError: the file or folder cannot be read; names it.
        Unreconstructable: cameras or points cannot be found; names `path` and says why.
    """
    kind = kind_of(path)
    tell("reading", 0.0)
    if kind is Footage.CLIP:
        raise UnreadableClip(f"{path}: not a video ({', '.join(VIDEO_ENDINGS)}) and no folder of pictures")
    if kind is Footage.POSED:
        capture = read_posed_folder(path, settings, fps or DEFAULT_FPS)
        if capture.depth is not None:
            return capture
    try:
        if kind is Footage.POSED:
            return with_points(capture, settings, tell)
        if kind is Footage.VIDEO:
            return register(read_video(path, settings), settings, tell)
        return register(read_folder(path, settings, fps or DEFAULT_FPS), settings, tell)
    except (Unreconstructable, ClipError) as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from error
