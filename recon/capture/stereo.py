"""Stereo: dense depth of a capture whose cameras are known, kept where several pictures agree on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from PIL import Image

from clips.cameras import Cameras
from recon.agreement import log_ratios
from recon.capture.capture import Capture
from recon.capture.features import Tell
from recon.capture.settings import CaptureSettings
from recon.capture.sweep import smoothest, sweep_costs
from recon.errors import Unreconstructable

LONG_SIDE_PX = 320
AGREEING_VIEWS = 2
TOLERANCE = 0.03
_MIN_POINTS = 8
_NEAR, _FAR = 0.75, 1.4
_IDEAL_DEG = 6.0
_NARROW_DEG, _WIDE_DEG = 3.0, 12.0
_LEAST_ANGLE_DEG = 0.7


@dataclass(frozen=True, eq=False)
class Dense:
    """Depth of a capture at a smaller size.

    Attributes:
        depth: distance along the camera's z axis, metres, (T, h, w), float32; 0 where unknown.
        guess: the same without anybody's confirmation; 0 where there is not even that.
        frames: the pictures at this size, (T, h, w, 3), uint8.
        cameras: the cameras at this size.
    """

    depth: Float32[np.ndarray, "T h w"]
    guess: Float32[np.ndarray, "T h w"]
    frames: np.ndarray
    cameras: Cameras


def dense_depth(capture: Capture, settings: CaptureSettings, tell: Tell) -> Dense:
    """Depth that at least AGREEING_VIEWS other pictures confirm within TOLERANCE; where nobody moved by himself.

    Measured depth (capture.depth) is taken as it is. Else a plane sweep, at LONG_SIDE_PX pixels along the longer
    side, over the depths that the sparse points span.

    Raises:
        Unreconstructable: too few sparse points to know how far away things are.
    """
    small = _small(capture)
    moving = nearest(capture.moving, small.cameras) if capture.moving is not None else None
    if capture.depth is not None:
        depth = nearest(capture.depth, small.cameras)
        depth = _without(depth, moving)
        return Dense(depth, depth, small.frames, small.cameras)
    found, sources = [], [_sources(capture, frame, settings.stereo_sources) for frame in range(len(capture))]
    greys = np.stack([np.asarray(Image.fromarray(f).convert("L"), np.float32) for f in small.frames])
    for frame, near in enumerate(sources):
        tell("stereo", frame / len(capture))
        found.append(_sweep(capture, greys, small.cameras, frame, near, settings.stereo_planes))
    depth = np.stack(found)
    agreed = _agreed(depth, small.cameras, sources)
    return Dense(_without(agreed, moving), _without(depth, moving), small.frames, small.cameras)


def _small(capture: Capture) -> Dense:
    cameras = capture.cameras
    factor = min(1.0, LONG_SIDE_PX / max(cameras.width, cameras.height))
    size = (max(2, round(cameras.width * factor)), max(2, round(cameras.height * factor)))
    how = Image.Resampling.BICUBIC
    frames = np.stack([np.asarray(Image.fromarray(frame).resize(size, how)) for frame in capture.frames])
    unknown = np.zeros(frames.shape[:3], np.float32)
    return Dense(unknown, unknown, frames, cameras.resized(*size))


def nearest(planes: np.ndarray, cameras: Cameras) -> np.ndarray:
    """Planes (T, H, W) at the cameras' size, each pixel the nearest old one."""
    rows = ((np.arange(cameras.height) + 0.5) * planes.shape[1] / cameras.height).astype(int)
    columns = ((np.arange(cameras.width) + 0.5) * planes.shape[2] / cameras.width).astype(int)
    return np.asarray(planes[:, rows][:, :, columns])


def _without(depth: np.ndarray, moving: np.ndarray | None) -> np.ndarray:
    return np.asarray(depth if moving is None else np.where(moving, 0.0, depth), np.float32)


def _sources(capture: Capture, frame: int, count: int) -> list[int]:
    """The frames that show most of what `frame` shows from an angle that suits stereo (weights of Yao et al. 2018)."""
    own = capture.points.of_frame(frame)
    positions, points = capture.cameras.positions, capture.points.positions
    ray = points[own] - positions[frame]
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9)
    is_own = np.zeros(len(points), bool)
    is_own[own] = True
    scores = np.zeros(len(capture))
    for other in range(len(capture)):
        if other == frame:
            continue
        shared = capture.points.of_frame(other)
        shared = shared[is_own[shared]]
        away = points[shared] - positions[other]
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        degrees = np.degrees(np.arccos(np.clip((away * ray[np.searchsorted(own, shared)]).sum(axis=1), -1.0, 1.0)))
        width = np.where(degrees < _IDEAL_DEG, _NARROW_DEG, _WIDE_DEG)
        scores[other] = np.exp(-0.5 * ((degrees - _IDEAL_DEG) / width) ** 2)[degrees > _LEAST_ANGLE_DEG].sum()
    best = np.argsort(-scores, kind="stable")[:count]
    return [int(other) for other in best if scores[other] > 0]


def _sweep(
    capture: Capture, greys: np.ndarray, cameras: Cameras, frame: int, near: list[int], planes: int
) -> np.ndarray:
    """Depth (h, w) of one frame; 0 where no depth matches well, or where there is no neighbour."""
    z = _depths(capture, frame)
    if not near:
        return np.zeros(greys.shape[1:], np.float32)
    inverses = np.linspace(1.0 / (_FAR * np.quantile(z, 0.98)), 1.0 / (_NEAR * np.quantile(z, 0.02)), planes)
    pose = cameras.camera_to_world[frame]
    step = cameras.viewmats[near] @ pose
    turns = cameras.Ks[near] @ step[:, :3, :3]
    shifts = np.einsum("sij,sj->si", cameras.Ks[near], step[:, :3, 3])
    base = np.linalg.inv(cameras.Ks[frame])
    costs = sweep_costs(greys[frame], greys[near], base, (turns, shifts), inverses)
    index = smoothest(costs, greys[frame])
    inverse = inverses[0] + index * (inverses[1] - inverses[0])
    # The outermost planes stand for everything beyond them.
    inside = (index > 0) & (index < planes - 1)
    return np.asarray(np.where(inside, 1.0 / inverse, 0.0), np.float32)


def _depths(capture: Capture, frame: int) -> np.ndarray:
    """Depths of the sparse points that a frame saw; of all that lie before it where those are too few."""
    matrix = capture.cameras.viewmats[frame]
    for chosen in (capture.points.positions[capture.points.of_frame(frame)], capture.points.positions):
        z = chosen @ matrix[2, :3] + matrix[2, 3]
        z = z[z > 1e-3]
        if len(z) >= _MIN_POINTS:
            return np.asarray(z)
    raise Unreconstructable(
        f"{capture.names[frame]} sees {len(z)} sparse points, at least {_MIN_POINTS} are needed to know how far away "
        f"things are; check that the cameras of the capture belong to its pictures"
    )


def _agreed(depth: np.ndarray, cameras: Cameras, sources: list[list[int]]) -> np.ndarray:
    """`depth` averaged with the views that agree within TOLERANCE, 0 where fewer than AGREEING_VIEWS do."""
    # Unknown depth is nearly infinite: whatever it is compared with disagrees.
    planes = np.where(depth > 0, depth, 1e6).astype(np.float32)
    kept = np.zeros_like(depth)
    for frame, others in enumerate(sources):
        total, count = np.zeros(depth.shape[1:]), np.zeros(depth.shape[1:], int)
        for other in others:
            ratios = log_ratios(planes, cameras, frame, other)
            agrees = np.abs(np.nan_to_num(ratios, nan=np.inf)) < TOLERANCE
            total += np.where(agrees, np.nan_to_num(ratios), 0.0)
            count += agrees
        needed = min(AGREEING_VIEWS, max(1, len(others)))
        fused = depth[frame] * np.exp(total / (count + 1))
        kept[frame] = np.where((depth[frame] > 0) & (count >= needed), fused, 0.0)
    return kept
