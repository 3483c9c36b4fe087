"""Capture: pictures of one place with their cameras and sparse points, dense depth only where somebody measured it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from clips.cameras import Cameras
from clips.clip import Clip
from recon.errors import InvalidScene


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Surface points that several pictures share.

    Attributes:
        positions: gate frame, metres, (N, 3), float64.
        colors: sRGB-encoded, (N, 3), uint8.
        seen: which frame saw which point: rows (point, frame), (M, 2), int32.

    Raises:
        InvalidScene: shapes or types disagree, a position is not finite, or an index is out of range.
    """

    positions: Float64[np.ndarray, "N 3"]
    colors: UInt8[np.ndarray, "N 3"]
    seen: Int32[np.ndarray, "M 2"]

    def __post_init__(self) -> None:
        count = len(self.positions)
        if self.positions.shape != (count, 3) or not np.isfinite(self.positions).all():
            raise InvalidScene(f"points: positions must be finite and (N, 3), got shape {self.positions.shape}")
        if self.colors.shape != (count, 3) or self.colors.dtype != np.uint8:
            raise InvalidScene(
                f"points: colors must be uint8 ({count}, 3), got {self.colors.dtype} {self.colors.shape}"
            )
        if self.seen.ndim != 2 or self.seen.shape[1] != 2:
            raise InvalidScene(f"points: seen must be (M, 2), got {self.seen.shape}")
        if len(self.seen) and not (self.seen.min() >= 0 and self.seen[:, 0].max() < count):
            raise InvalidScene(f"points: seen names points beyond the {count} that are there")

    def __len__(self) -> int:
        return len(self.positions)

    def of_frame(self, frame: int) -> np.ndarray:
        """Indices of the points that `frame` saw."""
        return np.unique(self.seen[self.seen[:, 1] == frame, 0])


def no_points() -> SparsePoints:
    """An empty set of points."""
    return SparsePoints(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 2), np.int32))


@dataclass(frozen=True, eq=False)
class Capture:
    """Posed pictures of one place.

    Attributes:
        frames: sRGB-encoded, straightened, (T, H, W, 3), uint8.
        cameras: T pinhole cameras in the gate frame.
        times: seconds of each frame, increasing, (T,); frame numbers over the rate where nobody knows better.
        names: of each frame: a file's name, or "frame 12" of a video.
        points: sparse points; may be empty.
        depth: distance along the camera's z axis, (T, H, W), float32, 0 where unknown; None where nobody measured.
        moving: where something moved by itself, (T, H, W); None where nobody looked.
        is_metric: whether lengths are metres; else their scale is a guess.
        notes: what people should know: frames left out and why, where scale and up are from.

    Raises:
        InvalidScene: arrays disagree or hold values that mean nothing.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    cameras: Cameras
    times: Float64[np.ndarray, " T"]
    names: tuple[str, ...]
    points: SparsePoints
    depth: Float32[np.ndarray, "T H W"] | None = None
    moving: Bool[np.ndarray, "T H W"] | None = None
    is_metric: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_dense(self) -> bool:
        """Whether every pixel's depth is known."""
        return self.depth is not None and bool((self.depth > 0).all())

    def clip(self, depth: Float32[np.ndarray, "T H W"] | None = None) -> Clip:
        """The capture as a Clip, with `depth` or its own.

        Raises:
            InvalidClip: depth is missing somewhere.
        """
        planes = self.depth if depth is None else depth
        if planes is None:
            planes = np.zeros(self.frames.shape[:3], np.float32)
        return Clip(self.frames, planes, self.cameras, self.times, motion_mask=self.moving)

    def without(self, frames: np.ndarray) -> Capture:
        """The capture less some frames (indices), to hold them out; points that only they saw go too."""
        keep = np.setdiff1d(np.arange(len(self)), frames)
        number = np.full(len(self), -1)
        number[keep] = np.arange(len(keep))
        seen = self.points.seen[number[self.points.seen[:, 1]] >= 0]
        used, points = np.unique(seen[:, 0], return_inverse=True)
        pairs = np.column_stack([points, number[seen[:, 1]]]).astype(np.int32)
        cameras = self.cameras
        return replace(
            self,
            frames=self.frames[keep],
            cameras=Cameras(cameras.viewmats[keep], cameras.Ks[keep], cameras.width, cameras.height),
            times=self.times[keep],
            names=tuple(self.names[index] for index in keep),
            points=SparsePoints(self.points.positions[used], self.points.colors[used], pairs),
            depth=None if self.depth is None else self.depth[keep],
            moving=None if self.moving is None else self.moving[keep],
        )


def _check(capture: Capture) -> None:
    frames = capture.frames
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise InvalidScene(f"capture: frames must be uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    expected, cameras = frames.shape[:3], capture.cameras
    got = (len(cameras), cameras.height, cameras.width)
    if got != expected:
        raise InvalidScene(f"capture: cameras must be (T, H, W) = {expected}, got {got}")
    if capture.times.shape != expected[:1] or not (np.diff(capture.times) > 0).all():
        raise InvalidScene(f"capture: times must be {expected[0]} increasing seconds, got shape {capture.times.shape}")
    if len(capture.names) != expected[0]:
        raise InvalidScene(f"capture: names must be {expected[0]}, got {len(capture.names)}")
    if len(capture.points.seen) and capture.points.seen[:, 1].max() >= expected[0]:
        raise InvalidScene(f"capture: points are seen by frames beyond the {expected[0]} that are there")
    depth = capture.depth
    if depth is not None and (depth.shape != expected or depth.dtype != np.float32):
        raise InvalidScene(f"capture: depth must be float32 {expected}, got {depth.dtype} {depth.shape}")
    if depth is not None and not (np.isfinite(depth) & (depth >= 0)).all():
        raise InvalidScene("capture: depth must be finite and not negative; 0 stands for unknown")
    if capture.moving is not None and capture.moving.shape != expected:
        raise InvalidScene(f"capture: moving must be {expected}, got {capture.moving.shape}")
