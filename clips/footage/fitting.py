"""Bringing footage to the size, length and frame rate that a training takes, cameras and depth with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64
from PIL import Image

from clips.cameras import Cameras
from clips.errors import InvalidClip
from clips.footage.footage import Footage

RATE_SLACK = 0.25
EDGE_RATIO = 1.1


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

    Colour is averaged over each new pixel. Depth is that at its middle: interpolated within a surface (exactly so on
    planes), the nearest old pixel's at edges, so that none is invented between a thing and what lies behind it. Masks
    and flow are the nearest pixel's. The intrinsics follow exactly.
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
    # Middles of the new pixels, in the old picture.
    y, x = top + (np.arange(height) + 0.5) / scale, left + (np.arange(width) + 0.5) / scale

    def picked(planes: np.ndarray | None) -> np.ndarray | None:
        return None if planes is None else _nearest(planes, y, x)

    def sampled(depth: np.ndarray | None) -> np.ndarray | None:
        return None if depth is None else depth_at(depth, y, x)

    box = (left, top, left + width / scale, top + height / scale)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    frames = np.stack([np.asarray(Image.fromarray(f).resize((width, height), how, box)) for f in clip.frames])
    flow = picked(footage.flow)
    changed = replace(
        clip,
        frames=frames,
        depth=depth_at(clip.depth, y, x),
        cameras=Cameras(cameras.viewmats, Ks, width, height),
        motion_mask=picked(clip.motion_mask),
    )
    return replace(
        footage,
        clip=changed,
        object_mask=picked(footage.object_mask),
        room_depth=sampled(footage.room_depth),
        objects_depth=sampled(footage.objects_depth),
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


def depth_at(
    depth: Float32[np.ndarray, "T H W"], y: Float64[np.ndarray, " h"], x: Float64[np.ndarray, " w"]
) -> Float32[np.ndarray, "T h w"]:
    """Depth where each row `y` and column `x` meet (pixels, centres at half-integers), (T, h, w), float32.

    Bilinear in inverse depth, which is linear in the picture over a plane; the nearest pixel's where the four around
    it differ by more than EDGE_RATIO.
    """
    (low_y, part_y), (low_x, part_x) = _between(y, depth.shape[1]), _between(x, depth.shape[2])
    high_y, high_x = np.minimum(low_y + 1, depth.shape[1] - 1), np.minimum(low_x + 1, depth.shape[2] - 1)
    pairs = [(rows, columns) for rows in (low_y, high_y) for columns in (low_x, high_x)]
    corners = [1.0 / depth[:, rows][:, :, columns].astype(np.float64) for rows, columns in pairs]
    upper = corners[0] * (1 - part_x) + corners[1] * part_x
    lower = corners[2] * (1 - part_x) + corners[3] * part_x
    smooth = 1.0 / (upper * (1 - part_y[:, None]) + lower * part_y[:, None])
    edge = np.max(corners, axis=0) > EDGE_RATIO * np.min(corners, axis=0)
    return np.where(edge, _nearest(depth, y, x), smooth).astype(np.float32)


def _between(at: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixel whose centre is at or before each place, and the share of the way to the next one."""
    place = np.clip(at - 0.5, 0.0, limit - 1.0)
    low = np.minimum(np.floor(place).astype(np.int64), limit - 1)
    return low, place - low


def _nearest(planes: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    rows = np.clip(np.floor(y).astype(np.int64), 0, planes.shape[1] - 1)
    columns = np.clip(np.floor(x).astype(np.int64), 0, planes.shape[2] - 1)
    return np.ascontiguousarray(planes[:, rows][:, :, columns])
