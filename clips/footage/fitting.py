"""Bringing footage to the size, length and frame rate that a training takes, cameras and depth with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from clips.cameras import Cameras
from clips.errors import InvalidClip
from clips.footage.footage import Footage

RATE_SLACK = 0.25


@dataclass(frozen=True)
class Fit:
    """What footage is brought to.

    Attributes:
        width, height: pixels; what does not have their shape is cropped in the middle.
        frames: of each clip; longer footage becomes several clips, one after another.
        fps: frames per second; each frame is the nearest of the footage's own.

    Raises:
        InvalidClip: a number is out of range.
    """

    width: int
    height: int
    frames: int
    fps: float

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 8192 and 1 <= self.height <= 8192 and 1 <= self.frames <= 10_000):
            raise InvalidClip(f"size and frames must be within 1 and 8192 px, 1 and 10000 frames, got {self}")
        if not 0.0 < self.fps <= 240.0:
            raise InvalidClip(f"fps must be above 0 and at most 240, got {self.fps}")


def fitted(footage: Footage, fit: Fit) -> tuple[list[Footage], int]:
    """The clips of `footage` at `fit`, and how many of its frames none of them covers (less than a clip at its end).

    Raises:
        InvalidClip: the footage is too short for one clip, or its frame rate too low.
    """
    rows = _rows(footage.clip.times, fit)
    count = len(rows) // fit.frames
    if count == 0:
        has_s, needs_s = footage.clip.duration_s, fit.frames / fit.fps
        raise InvalidClip(
            f"is {has_s:.2f} s long ({len(footage.clip)} frames), {needs_s:.2f} s are needed for {fit.frames} frames "
            f"at {fit.fps:g} fps; capture longer, or ask for fewer --frames or a higher --fps"
        )
    cut = [rows[k * fit.frames : (k + 1) * fit.frames] for k in range(count)]
    left = len(footage.clip) - 1 - int(cut[-1][-1])
    return [resized(_part(footage, part), fit.width, fit.height) for part in cut], left


def resized(footage: Footage, width: int, height: int) -> Footage:
    """`footage` cropped in the middle to the shape of width x height and brought to that size.

    Colour is averaged over each new pixel; depth, masks and flow are those of the nearest old pixel, so that no depth
    is invented between a thing and what lies behind it. The intrinsics follow exactly.
    """
    clip = footage.clip
    cameras = clip.cameras
    if (cameras.width, cameras.height) == (width, height):
        return footage
    scale = max(width / cameras.width, height / cameras.height)
    left, top = (cameras.width - width / scale) / 2, (cameras.height - height / scale) / 2
    Ks = cameras.Ks.copy()
    Ks[:, 0, 2] -= left
    Ks[:, 1, 2] -= top
    Ks[:, :2] *= scale
    rows = _nearest(top, scale, height, cameras.height)
    columns = _nearest(left, scale, width, cameras.width)

    def picked(planes: np.ndarray | None) -> np.ndarray | None:
        return None if planes is None else np.ascontiguousarray(planes[:, rows][:, :, columns])

    box = (left, top, left + width / scale, top + height / scale)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    frames = np.stack([np.asarray(Image.fromarray(f).resize((width, height), how, box)) for f in clip.frames])
    depth, flow = picked(clip.depth), picked(footage.flow)
    if depth is None:
        raise InvalidClip("depth is missing")
    changed = replace(
        clip,
        frames=frames,
        depth=depth,
        cameras=Cameras(cameras.viewmats, Ks, width, height),
        motion_mask=picked(clip.motion_mask),
    )
    return replace(
        footage,
        clip=changed,
        object_mask=picked(footage.object_mask),
        room_depth=picked(footage.room_depth),
        objects_depth=picked(footage.objects_depth),
        flow=None if flow is None else (flow * np.float32(scale)),
    )


def _rows(times: np.ndarray, fit: Fit) -> np.ndarray:
    """Which frame is nearest to each tick of fit.fps from the first time on."""
    span_s = float(times[-1] - times[0])
    # A tick may lie a little beyond the last frame: 2.0 s at 8 fps is 17 frames, whatever the last bit says.
    ticks = times[0] + np.arange(int(span_s * fit.fps + 0.5 * RATE_SLACK) + 1) / fit.fps
    after = np.clip(np.searchsorted(times, ticks), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(1, dtype=np.int64)
    rows = np.where(ticks - times[after - 1] <= times[after] - ticks, after - 1, after)
    far = np.abs(times[rows] - ticks) * fit.fps
    if (np.diff(rows) == 0).any() or far.max() > 0.5 + RATE_SLACK:
        has = (len(times) - 1) / span_s
        raise InvalidClip(f"has {has:.3g} frames a second, too few for --fps {fit.fps:g}; ask for less")
    return np.asarray(rows, dtype=np.int64)


def _part(footage: Footage, rows: np.ndarray) -> Footage:
    """The footage of these rows, its first frame at 0 s; itself where that is all of it."""
    if len(rows) == len(footage.clip):
        return footage
    part = footage.at(rows)
    return replace(part, clip=replace(part.clip, times=part.clip.times - part.clip.times[0]))


def _nearest(start: float, scale: float, count: int, limit: int) -> np.ndarray:
    at = np.floor(start + (np.arange(count) + 0.5) / scale).astype(np.int64)
    return np.asarray(np.clip(at, 0, limit - 1))
