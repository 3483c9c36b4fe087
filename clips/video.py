"""MP4 of uint8 frames: what people watch. Colours are sRGB-encoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.error
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from clips.atomic_file import replacing
from clips.errors import InvalidClip, UnreadableClip

Frames = UInt8[np.ndarray, "T H W 3"]
Resample = Literal["nearest", "bicubic"]

ENCODER = {"crf": "16", "preset": "medium", "x264-params": "mbtree=0:threads=1"}
"""x264's macroblock tree is not the same from run to run on noisy pictures, and more threads give other bytes."""

MAX_SCALE = 32
MAX_VIDEO_BYTES = 2 * 2**30


def write_mp4(frames: Frames, path: Path, fps: float, scale: int = 1, resample: Resample = "bicubic") -> None:
    """Write frames as H.264 (yuv420p, moov atom first, so that browsers start at once); replaces `path` when whole.

    The same frames give the same bytes.

    Args:
        frames: (T, H, W, 3) uint8. Odd sizes get their last row or column twice, since yuv420p needs even ones.
        path: of the file; its folder must exist.
        fps: frames per second, above 0 and at most 240.
        scale: whole factor by which small videos are enlarged, 1 to 32.
        resample: how they are enlarged.

    Raises:
        InvalidClip: frames, fps or scale mean nothing.
        OSError: the file cannot be written.
    """
    _check(frames, fps, scale)
    rate = Fraction(fps).limit_denominator(1000)
    height, width = (-(-size * scale // 2) * 2 for size in frames.shape[1:3])
    with (
        replacing(path) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as out,
    ):
        stream = out.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = _even(enlarge(frame, scale, resample))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


def read_mp4(path: Path) -> tuple[Frames, float]:
    """(frames (T, H, W, 3) uint8, frames per second) of the first video stream of a file.

    Raises:
        UnreadableClip: no such file, no video in it, damaged, or more than MAX_VIDEO_BYTES once decoded.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableClip(f"{path}: no video stream in it")
            rate = container.streams.video[0].average_rate
            frames: list[np.ndarray] = []
            for frame in container.decode(video=0):
                if (len(frames) + 1) * frame.width * frame.height * 3 > MAX_VIDEO_BYTES:
                    raise UnreadableClip(f"{path}: decodes to more than {MAX_VIDEO_BYTES} bytes")
                frames.append(frame.to_ndarray(format="rgb24"))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(f"{path}: not a readable video ({error})") from error
    if not frames or rate is None:
        raise UnreadableClip(f"{path}: no frames in it")
    return np.stack(frames), float(rate)


def enlarge(frame: UInt8[np.ndarray, "H W 3"], scale: int, resample: Resample) -> UInt8[np.ndarray, "sH sW 3"]:
    """One frame enlarged by a whole factor."""
    if scale == 1:
        return frame
    how = Image.Resampling.NEAREST if resample == "nearest" else Image.Resampling.BICUBIC
    height, width = frame.shape[:2]
    return np.asarray(Image.fromarray(frame).resize((width * scale, height * scale), how))


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)


def _check(frames: np.ndarray, fps: float, scale: int) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InvalidClip(f"frames must be uint8 (T, H, W, 3) and not empty, got {frames.dtype} {frames.shape}")
    if not 0.0 < fps <= 240.0:
        raise InvalidClip(f"fps must be above 0 and at most 240, got {fps}")
    if not 1 <= scale <= MAX_SCALE:
        raise InvalidClip(f"scale must be within [1, {MAX_SCALE}], got {scale}")
