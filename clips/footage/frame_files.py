"""The colour frames of a clip folder: a numbered picture sequence or one video, and the pictures of masks and depth."""

from __future__ import annotations

import re
import struct
import zlib
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from clips.errors import InvalidClip, UnreadableClip
from clips.video import MAX_VIDEO_BYTES, read_mp4

FRAMES_FOLDER = "frames"
VIDEO_FILE = "rgb.mp4"
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
_COLOR_MODES = ("RGB", "RGBA", "L", "P")
_LAST_NUMBER = re.compile(r"(\d+)$")

# What Pillow raises for damaged and foreign files.
_NO_PICTURE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)

Size = tuple[int, int]
"""Width and height in pixels."""


class FramesAs(StrEnum):
    """How colour frames are written; both are lossless."""

    PNG = "png"
    MP4 = "mp4"


def read_frames(folder: Path, size: Size | None) -> UInt8[np.ndarray, "T H W 3"]:
    """The colour frames of a clip's folder, from `frames/` or `rgb.mp4`; `size` is what they must have.

    Raises:
        UnreadableClip: neither or both are there, there is no frame, one cannot be read, or a number is missing.
        InvalidClip: frames differ in size from `size` or from each other.
    """
    pictures, video = folder / FRAMES_FOLDER, folder / VIDEO_FILE
    if pictures.is_dir() and video.exists():
        raise UnreadableClip(f"both {FRAMES_FOLDER}/ and {VIDEO_FILE} are there; remove one")
    if pictures.is_dir():
        paths = numbered(pictures, PICTURE_ENDINGS)
        _check_sizes(paths, size)
        return np.stack([_color(path) for path in paths])
    if not video.exists():
        raise UnreadableClip(f"no {FRAMES_FOLDER}/ folder and no {VIDEO_FILE}; write one of them")
    frames, _ = read_mp4(video)
    _check_size(VIDEO_FILE, (frames.shape[2], frames.shape[1]), size)
    return frames


def write_frames(frames: UInt8[np.ndarray, "T H W 3"], folder: Path, fps: float, frames_as: FramesAs) -> None:
    """Write frames without loss: `frames/000000.png`, ... or `rgb.mp4` (H.264 in RGB, lossless).

    Raises:
        OSError: a file cannot be written.
    """
    if frames_as is FramesAs.PNG:
        (folder / FRAMES_FOLDER).mkdir()
        for index, frame in enumerate(frames):
            save_picture(Image.fromarray(frame), folder / FRAMES_FOLDER / f"{index:06d}.png")
        return
    with av.open(str(folder / VIDEO_FILE), "w", format="mp4") as out:
        stream = out.add_stream("libx264rgb", rate=Fraction(fps).limit_denominator(1000), options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "rgb24"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def numbered(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files of a sequence in the order of the number that ends their names.

    Raises:
        UnreadableClip: none is there, a name has no number, or a number is missing or there twice; names it.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in endings:
            continue
        match = _LAST_NUMBER.search(path.stem)
        if match is None:
            raise UnreadableClip(f"{folder.name}/{path.name}: its name ends in no number; call it 000000{path.suffix}")
        number = int(match.group(1))
        if number in found:
            raise UnreadableClip(f"{folder.name}/{path.name}: is frame {number}, as is {found[number].name}")
        found[number] = path
    if not found:
        raise UnreadableClip(f"{folder.name}/: no frames in it; expected files that end in {', '.join(endings)}")
    first = min(found)
    for number in range(first, first + len(found)):
        if number not in found:
            raise UnreadableClip(f"{folder.name}/: frame {number} is missing between {first} and {max(found)}")
    return [found[number] for number in sorted(found)]


def read_picture(path: Path) -> Image.Image:
    """A picture that has been read wholly.

    Raises:
        UnreadableClip: it is missing, damaged or no picture.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy()
    except _NO_PICTURE as error:
        raise UnreadableClip(f"{name}: not a readable picture ({error}); write it anew") from error


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG.

    Raises:
        OSError: it cannot be written.
    """
    picture.save(path, format="PNG", compress_level=6)


def _check_sizes(paths: list[Path], expected: Size | None) -> None:
    """Nothing, where the pictures' headers agree; nothing large is decoded before that."""
    sizes: dict[Size, Path] = {}
    for path in paths:
        try:
            with Image.open(path) as picture:
                sizes.setdefault(picture.size, path)
        except _NO_PICTURE as error:
            name = f"{path.parent.name}/{path.name}"
            raise UnreadableClip(f"{name}: not a readable picture ({error}); write it anew") from error
    if len(sizes) > 1:
        (first, a), (second, b) = list(sizes.items())[:2]
        raise InvalidClip(
            f"{FRAMES_FOLDER}/: mixed sizes: {a.name} is {first[0]}x{first[1]}, {b.name} {second[0]}x{second[1]}; "
            f"capture all frames at one size"
        )
    (got,) = sizes
    _check_size(f"{FRAMES_FOLDER}/{paths[0].name}", got, expected)
    if got[0] * got[1] * 3 * len(paths) > MAX_VIDEO_BYTES:
        raise InvalidClip(
            f"{FRAMES_FOLDER}/: {len(paths)} frames of {got[0]}x{got[1]} are more than is read; cut the clip"
        )


def _color(path: Path) -> np.ndarray:
    picture = read_picture(path)
    if picture.mode not in _COLOR_MODES:
        raise UnreadableClip(f"{path.parent.name}/{path.name}: has mode {picture.mode}, expected 8-bit RGB")
    return np.asarray(picture.convert("RGB"))


def _check_size(name: str, got: Size, expected: Size | None) -> None:
    if expected is not None and got != expected:
        raise InvalidClip(
            f"{name}: is {got[0]}x{got[1]}, dataset.json says {expected[0]}x{expected[1]}; correct width and height "
            f"there, or fit the clips to one size with `narthex data import`"
        )
