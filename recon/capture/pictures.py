"""The pictures of a capture without cameras: the sharpest frames of a video, or a folder of photographs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
from jaxtyping import Float64, UInt8
from PIL import ExifTags, Image, ImageOps

from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.frame_files import read_picture
from clips.footage.transforms_file import PICTURE_ENDINGS, in_order
from recon.capture.settings import CaptureSettings

VIDEO_ENDINGS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
MIN_FRAMES = 3
MAX_SCANNED_FRAMES = 200_000
_SHARPNESS_PX = 320
_FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)
_MAX_VIEW = 0.2, 20.0


@dataclass(frozen=True, eq=False)
class Pictures:
    """Frames of one size, in order, without cameras.

    Attributes:
        frames: sRGB-encoded, (T, H, W, 3), uint8.
        names: of each frame, for messages.
        times: seconds, (T,).
        sharpness: mean absolute Laplacian of each, grey levels, (T,); low where blurred or without texture.
        focal_px: from the photographs' EXIF data; None where they do not say.
        in_sequence: whether neighbours in order are neighbours in space, as in a video.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    names: tuple[str, ...]
    times: Float64[np.ndarray, " T"]
    sharpness: Float64[np.ndarray, " T"]
    focal_px: float | None = None
    in_sequence: bool = True

    def __len__(self) -> int:
        return len(self.frames)


def read_video(path: Path, settings: CaptureSettings) -> Pictures:
    """The sharpest frame of each of at most settings.max_frames even parts of a video; memory is theirs alone.

    The file is decoded twice: once to see which frames are sharp, once to keep those. A phone's turned pictures are
    turned upright.

    Raises:
        UnreadableClip: no such file, damaged, no video in it, or fewer than three frames.
    """
    scores, rate = _scan(path)
    if len(scores) < MIN_FRAMES:
        raise UnreadableClip(
            f"{path}: has {len(scores)} frames, at least {MIN_FRAMES} are needed; film the place while walking past it"
        )
    chosen = _sharpest(np.array(scores), settings.max_frames)
    kept = []
    wanted = set(chosen.tolist())
    for number, frame in enumerate(_decoded(path)):
        if number in wanted:
            kept.append(_smaller(Image.fromarray(_upright(frame)), settings.long_side_px))
        if number >= chosen[-1]:
            break
    frames = np.stack(kept)
    names = tuple(f"frame {number}" for number in chosen)
    return Pictures(frames, names, chosen / rate, np.array(scores)[chosen])


def read_folder(folder: Path, settings: CaptureSettings, fps: float) -> Pictures:
    """The photographs of a folder in the order of their names (2 before 10), upright by their EXIF data.

    Raises:
        UnreadableClip: fewer than three or more than settings.max_frames pictures, or one cannot be read.
        InvalidClip: pictures of different sizes; names two of them.
    """
    paths = picture_files(folder)
    if len(paths) < MIN_FRAMES:
        raise UnreadableClip(
            f"{folder}: has {len(paths)} pictures ({', '.join(PICTURE_ENDINGS[:4])}), at least {MIN_FRAMES} are needed"
        )
    if len(paths) > settings.max_frames:
        raise UnreadableClip(
            f"{folder}: has {len(paths)} pictures, at most {settings.max_frames} are taken; raise --max-frames or thin "
            f"them out"
        )
    frames: list[np.ndarray] = []
    sizes: dict[tuple[int, int], str] = {}
    focal: list[float | None] = []
    for path in paths:
        try:
            picture = read_picture(path)
        except ClipError as error:
            raise UnreadableClip(f"{folder}: {error}") from error
        focal.append(_focal_share(picture))
        upright = ImageOps.exif_transpose(picture)
        sizes.setdefault(upright.size, path.name)
        if len(sizes) > 1:
            (first, a), (second, b) = list(sizes.items())[:2]
            raise InvalidClip(
                f"{folder}: mixed sizes: {a} is {first[0]}x{first[1]}, {b} {second[0]}x{second[1]}; take all pictures "
                f"with one camera, none turned"
            )
        frames.append(_smaller(_flat(upright), settings.long_side_px))
    stacked = np.stack(frames)
    known = [share for share in focal if share is not None]
    focal_px = float(np.median(known)) * math.hypot(*stacked.shape[1:3]) if len(known) == len(focal) else None
    scores = np.array([sharpness(frame) for frame in stacked])
    names = tuple(path.name for path in paths)
    return Pictures(stacked, names, np.arange(len(paths)) / fps, scores, focal_px, in_sequence=False)


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names (2 before 10)."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS and not p.name.startswith(".")]
    return sorted(found, key=lambda path: in_order(path.name))


def smaller(picture: Image.Image, long_side_px: int) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as RGB with its longer side at most `long_side_px`; what is transparent becomes black."""
    return _smaller(_flat(picture), long_side_px)


def sharpness(frame: UInt8[np.ndarray, "H W 3"]) -> float:
    """Mean absolute Laplacian of a frame's grey levels at a longer side of at most 320 pixels."""
    grey = Image.fromarray(frame).convert("L")
    grey.thumbnail((_SHARPNESS_PX, _SHARPNESS_PX), Image.Resampling.BILINEAR)
    g = np.asarray(grey, dtype=np.float32)
    if min(g.shape) < 3:
        return 0.0
    laplacian = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
    return float(np.abs(laplacian).mean())


def _scan(path: Path) -> tuple[list[float], float]:
    """Sharpness of every frame, and frames per second."""
    if not path.is_file():
        raise UnreadableClip(f"{path}: no such file; name a video")
    scores = []
    for frame in _decoded(path):
        scores.append(sharpness(frame.to_ndarray(format="rgb24")))
        if len(scores) > MAX_SCANNED_FRAMES:
            raise UnreadableClip(f"{path}: has more than {MAX_SCANNED_FRAMES} frames; cut it")
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
    return scores, float(rate) if rate else 30.0


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableClip(f"{path}: no video stream in it")
            yield from container.decode(video=0)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(f"{path}: not a readable video ({error}); record or copy it anew") from error


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """A frame's pixels, turned as its display matrix says (quarter turns)."""
    quarter_turns = round(frame.rotation / 90.0) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))


def _sharpest(scores: np.ndarray, count: int) -> np.ndarray:
    """The frame of highest score in each of `count` even parts; all where there are not more."""
    if len(scores) <= count:
        return np.arange(len(scores))
    borders = np.linspace(0, len(scores), count + 1).round().astype(int)
    return np.array([a + int(scores[a:b].argmax()) for a, b in pairwise(borders)])


def _flat(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")
    return picture.convert("RGB")


def _smaller(picture: Image.Image, long_side_px: int) -> np.ndarray:
    factor = long_side_px / max(picture.size)
    if factor < 1.0:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _focal_share(picture: Image.Image) -> float | None:
    """Focal length in picture diagonals by EXIF's 35 mm equivalent; None where it is missing or absurd."""
    try:
        value = float(picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError, SyntaxError):
        return None
    share = value / _FILM_DIAGONAL_MM
    return share if _MAX_VIEW[0] < share < _MAX_VIEW[1] else None
