"""Fill: surfaces continued to where no frame looked, so that a camera off the path does not see holes.

Planes are linear in inverse depth, so a surface is continued by extrapolating inverse depth: beyond the
picture's border, and from beside a nearer thing to behind it. What a frame contradicts or saw itself is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.cameras import Cameras
from recon.agreement import count_views
from recon.noise import DepthNoise
from recon.points import Points, Surface, concatenate, gentle_slope, lift
from recon.settings import ReconSettings

MAX_SOURCES = 7
_BEHIND_PX_PER_WIDTH = 0.1
_BORDER_SLOPE_PX = 4
_NEAREST_M = 0.3
_FARTHEST = 1.3
_STRICTER = 0.7
_STRAIGHT = 0.004


@dataclass(frozen=True, eq=False)
class Seen:
    """What the clip says about the still part of the scene: colours, fused depth, and where it shows it."""

    frames: np.ndarray
    depth: np.ndarray
    static: np.ndarray
    cameras: Cameras


def fill_points(seen: Seen, noise: DepthNoise, settings: ReconSettings) -> Points | None:
    """Samples of continued surfaces that every frame leaves possible and none has seen; None when there are none."""
    count = len(seen.frames)
    sources = np.unique(np.linspace(0, count - 1, min(MAX_SOURCES, count)).astype(int))
    margin = int(settings.fill_margin * seen.cameras.width)
    parts = []
    for frame in sources:
        if margin:
            parts.append(_beyond_border(seen, int(frame), margin))
        parts += _behind(seen, int(frame), noise)
    parts = [part for part in parts if len(part)]
    if not parts:
        return None
    points = concatenate(parts)
    nobody = np.full(len(points), -1)
    views = count_views(
        points.positions, nobody, seen.depth, seen.cameras, np.arange(count), _STRICTER * noise.far_tolerance
    )
    points = points[(views[:, 0] == 0) & (views[:, 1] == 0)]
    return points if len(points) else None


def _beyond_border(seen: Seen, frame: int, margin: int) -> Points:
    """Samples of a frame `margin` pixels wide around the picture: mirrored colours on continued surfaces."""
    inverse = 1.0 / seen.depth[frame].astype(np.float64)
    for axis in (1, 0):
        inverse = _continued(inverse, axis, margin)
    nearest, farthest = 1.0 / _NEAREST_M, 1.0 / (_FARTHEST * float(seen.depth.max()))
    possible = (inverse > farthest) & (inverse < nearest)
    reach = [(margin, margin), (margin, margin)]
    possible &= np.pad(seen.static[frame], reach, mode="edge")
    possible[margin:-margin, margin:-margin] = False
    rows, columns = np.nonzero(possible)
    mirrored = np.pad(seen.frames[frame], [*reach, (0, 0)], mode="symmetric")
    surface = Surface(
        *(values[rows, columns] for values in (inverse, gentle_slope(inverse, 1), gentle_slope(inverse, 0)))
    )
    colors = mirrored[rows, columns].astype(np.float32) / np.float32(255.0)
    return lift(surface, colors, rows - margin, columns - margin, seen.cameras, frame)


def _continued(inverse: np.ndarray, axis: int, margin: int) -> np.ndarray:
    """`inverse` padded along `axis` by continuing the slope of the outermost pixels."""
    size = inverse.shape[axis]
    slope = gentle_slope(inverse, axis)
    reach = min(_BORDER_SLOPE_PX, size)
    away = np.expand_dims(np.arange(1, margin + 1), 1 - axis)
    first, last = np.take(inverse, [0], axis), np.take(inverse, [size - 1], axis)
    before = np.median(np.take(slope, range(reach), axis), axis=axis, keepdims=True)
    after = np.median(np.take(slope, range(size - reach, size), axis), axis=axis, keepdims=True)
    return np.concatenate([np.flip(first - before * away, axis), inverse, last + after * away], axis=axis)


def _behind(seen: Seen, frame: int, noise: DepthNoise) -> list[Points]:
    """Samples behind nearer things, continued from the farther side of every depth edge."""
    reach = max(2, int(_BEHIND_PX_PER_WIDTH * seen.cameras.width))
    inverse = 1.0 / seen.depth[frame].astype(np.float64)
    slopes = gentle_slope(inverse, 0), gentle_slope(inverse, 1)
    parts = []
    for axis in (0, 1):
        for direction in (-1, 1):
            parts += _continued_behind(seen, frame, inverse, slopes, (axis, direction, reach), noise)
    return parts


def _continued_behind(
    seen: Seen,
    frame: int,
    inverse: np.ndarray,
    slopes: tuple[np.ndarray, np.ndarray],
    way: tuple[int, int, int],
    noise: DepthNoise,
) -> list[Points]:
    axis, direction, reach = way
    near_side = np.roll(inverse, -direction, axis)
    edge = (inverse < near_side * (1.0 - noise.edge)) & seen.static[frame]
    inner = [slice(None), slice(None)]
    inner[axis] = slice(3, -3)
    allowed = np.zeros_like(edge)
    allowed[tuple(inner)] = True
    # Only surfaces that run straight up to the edge go on behind it; the limb of a ball does not.
    straight = np.abs(slopes[axis] - np.roll(slopes[axis], 2 * direction, axis)) <= _STRAIGHT * inverse
    rows, columns = np.nonzero(edge & allowed & np.roll(straight, direction, axis))
    step = np.array([direction if axis == 0 else 0, direction if axis == 1 else 0])
    # One pixel back from the edge: the outermost far pixel may already be mixed with the near side.
    base = rows - step[0], columns - step[1]
    parts = []
    for k in range(1, reach + 1):
        there = rows + k * step[0], columns + k * step[1]
        source = rows - k * step[0], columns - k * step[1]
        ok = _inside(there, inverse.shape) & _inside(source, inverse.shape)
        at, origin = (there[0][ok], there[1][ok]), (base[0][ok], base[1][ok])
        value = inverse[origin] + slopes[axis][origin] * direction * (k + 1)
        hidden = (value > 1e-3) & (value < inverse[at] * (1.0 - 0.5 * noise.edge))
        picked = origin[0][hidden], origin[1][hidden]
        surface = Surface(value[hidden], slopes[1][picked], slopes[0][picked])
        colors = seen.frames[frame][source[0][ok][hidden], source[1][ok][hidden]].astype(np.float32) / np.float32(255.0)
        parts.append(lift(surface, colors, at[0][hidden], at[1][hidden], seen.cameras, frame))
    return parts


def _inside(at: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray((at[0] >= 0) & (at[0] < shape[0]) & (at[1] >= 0) & (at[1] < shape[1]))
