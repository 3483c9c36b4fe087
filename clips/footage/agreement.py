"""Whether a clip's cameras and depth agree: the check for mistaken axes, units, view angles and kinds of depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.clip import Clip
from clips.footage.conversion import turned_deg
from clips.footage.fitting import EDGE_RATIO

DOUBTFUL_ERROR = 0.015
DOUBTFUL_SHARE = 0.3
_CHANGED = 0.01
_LEAST_SHARE = 0.02
_STILL_M, _STILL_DEG = 0.02, 1.0


@dataclass(frozen=True)
class Agreement:
    """How well the depth of a frame, moved by the cameras, meets the depth of a later frame.

    Walls along which a camera moves look the same however far it moves, so only pixels count whose depth changes or
    should have changed, by 1 % at least.

    Attributes:
        error: median relative difference of depth over those pixels, without what moves by itself.
        frozen: the same had the camera stood still; where `error` is not well below it, the cameras do not explain how
            the depth changes.
    """

    error: float
    frozen: float

    @property
    def is_doubtful(self) -> bool:
        """Whether something is probably wrong with the cameras or the depth."""
        return self.error > DOUBTFUL_ERROR and self.error > DOUBTFUL_SHARE * self.frozen


def depth_agreement(clip: Clip) -> Agreement | None:
    """How well cameras and depth agree from the first frame to the middle and on to the last.

    None where that says nothing: a single frame, a camera that hardly moves, or hardly a pixel whose depth changes.
    """
    if not _moves(clip):
        return None
    middle, last = len(clip) // 2, len(clip) - 1
    pairs = [(first, second) for first, second in ((0, middle), (middle, last)) if first < second]
    both = [_differences(clip, first, second) for first, second in pairs]
    error, frozen = (np.concatenate(parts) for parts in zip(*both, strict=True))
    counted = np.maximum(error, frozen) > _CHANGED
    if counted.sum() < max(1.0, _LEAST_SHARE * clip.depth[0].size):
        return None
    return Agreement(float(np.median(error[counted])), float(np.median(frozen[counted])))


def _moves(clip: Clip) -> bool:
    away_m = np.linalg.norm(clip.cameras.positions - clip.cameras.positions[0], axis=1).max()
    return bool(away_m > _STILL_M or turned_deg(clip.cameras).sum() > _STILL_DEG)


def _differences(clip: Clip, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Relative differences of depth, moved by the cameras and as if they stood still, of pixels seen both times."""
    cameras, depth = clip.cameras, clip.depth
    v, u = np.meshgrid(np.arange(cameras.height) + 0.5, np.arange(cameras.width) + 0.5, indexing="ij")
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    points = (pixels @ np.linalg.inv(cameras.Ks[first]).T) * depth[first][..., None].astype(np.float64)
    step = cameras.viewmats[second] @ cameras.camera_to_world[first]
    moved = points @ step[:3, :3].T + step[:3, 3]
    ahead = moved[..., 2] > 1e-3
    seen = moved @ cameras.Ks[second].T / np.where(ahead, moved[..., 2], 1.0)[..., None]
    inside = ahead & (seen[..., 0] >= 0) & (seen[..., 0] < cameras.width)
    inside &= (seen[..., 1] >= 0) & (seen[..., 1] < cameras.height)
    if clip.motion_mask is not None:
        inside &= ~clip.motion_mask[first]
    there, on_surface = _at(depth[second], seen[inside][:, :2])
    same, before = depth[second][inside][on_surface], depth[first][inside][on_surface]
    there, expected = there[on_surface], moved[inside][on_surface][:, 2]
    return np.abs(expected - there) / there, np.abs(before - same) / same


def _at(depth: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth of a frame at places (N, 2) between its pixels' centres, and whether a surface is there and not an edge.

    Bilinear in inverse depth, which is exact on planes: the nearest pixel's depth would be some per cent off.
    """
    place = np.clip(places - 0.5, 0.0, np.array(depth.shape[::-1]) - 1.001)
    low = np.floor(place).astype(np.int64)
    part = place - low
    columns, rows = low[:, 0], low[:, 1]
    corners = [1.0 / depth[rows + down, columns + right].astype(np.float64) for down in (0, 1) for right in (0, 1)]
    upper = corners[0] * (1 - part[:, 0]) + corners[1] * part[:, 0]
    lower = corners[2] * (1 - part[:, 0]) + corners[3] * part[:, 0]
    smooth = 1.0 / (upper * (1 - part[:, 1]) + lower * part[:, 1])
    return smooth, np.max(corners, axis=0) <= EDGE_RATIO * np.min(corners, axis=0)
