"""Motion: the moving samples as splats with linear motion over short, overlapping windows.

Every window is centred on one frame. The components of the moving mask there get a velocity by matching
position and colour with the frames before and after; the neighbours' samples are carried to the centre's
time, merged with its own, and the splats move with that velocity inside the window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree

from clips.clip import Clip
from recon.merge import merge
from recon.points import Points, concatenate
from recon.settings import ReconSettings
from recon.splats import Splats, concatenate_splats

HALF_WINDOW = 0.6
_COLOR_METRES = 0.4
_ITERATIONS = 8
_TRIMMED_SHARE = 0.7
_SAMPLE = 400
_NEIGHBOURS = 6
_SAME_SIZE = 0.25
_MAX_MISFIT_FOOTPRINTS = 2.5
_MAX_SPEED_MPS = 6.0
_OWN_FOOTPRINTS = 1.5
_REACH_FOOTPRINTS = 4.0
_HELD_WIDTH = 50.0


@dataclass(frozen=True, eq=False)
class Component:
    """One connected piece of the moving mask in one frame; `cut` where the picture's border cuts it off."""

    points: Points
    centroid: np.ndarray
    color: np.ndarray
    cut: bool


@dataclass(frozen=True, eq=False)
class Shift:
    """How a component moved to another frame: metres, and whether the samples there confirm it."""

    offset: np.ndarray
    fits: bool


def moving_splats(points: Points, clip: Clip, settings: ReconSettings) -> list[Splats]:
    """Splats of the moving samples, one entry per motion window that has any."""
    frames = [_components(points[points.frames == i], clip) for i in range(len(clip))]
    centers = window_centers(len(clip), settings.window_frames)
    windows = []
    for number, center in enumerate(centers):
        merged = _window(frames, center, clip, settings)
        if merged is not None:
            windows.append(_timed(merged, centers, number, clip))
    return windows


def window_centers(frames: int, every: int) -> list[int]:
    """Frames at the middle of the windows: every `every`-th, and the last."""
    centers = list(range(0, frames, every))
    return centers if centers[-1] == frames - 1 else [*centers, frames - 1]


def _components(points: Points, clip: Clip) -> list[Component]:
    height, width = clip.depth.shape[1:]
    mask = np.zeros(height * width, bool)
    mask[points.pixels] = True
    labels, count = label(mask.reshape(height, width), structure=np.ones((3, 3)))
    owners = labels.ravel()[points.pixels]
    return [_component(points[owners == k + 1], height, width) for k in range(count)]


def _component(points: Points, height: int, width: int) -> Component:
    rows, columns = points.pixels // width, points.pixels % width
    cut = bool((rows == 0).any() or (rows == height - 1).any() or (columns == 0).any() or (columns == width - 1).any())
    return Component(points, points.positions.mean(axis=0, dtype=np.float64), points.colors.mean(axis=0), cut)


def _window(frames: list[list[Component]], center: int, clip: Clip, settings: ReconSettings) -> Splats | None:
    """Merged splats of one window at its centre's time, with velocities; None when nothing moves there."""
    merged = []
    for component in frames[center]:
        gathered, velocities = [component.points], []
        for other in (center - 1, center + 1):
            if not 0 <= other < len(clip) or not frames[other]:
                continue
            shift = match(component, frames[other])
            if not shift.fits:
                continue
            elapsed_s = float(clip.times[other] - clip.times[center])
            velocities.append(shift.offset / elapsed_s)
            gathered.append(_carried(component, frames[other], shift.offset))
        speed = _velocity(velocities)
        splats = merge(concatenate(gathered), settings)
        merged.append(replace(splats, velocities=np.broadcast_to(speed, splats.means.shape).astype(np.float32)))
    return concatenate_splats(merged) if merged else None


def match(component: Component, others: list[Component]) -> Shift:
    """Translation of `component` onto the component of another frame that is most alike in place, colour and size.

    Where both are seen whole, the middles tell it. Where one is cut off or partly hidden, it starts there and is
    refined by closest points in position and colour, on the best 70 % of the pairs.
    """
    target = min(others, key=lambda other: _unlikeness(component, other))
    source = component.points[_spread(len(component.points))]
    features, own = _features(source), source.positions.astype(np.float64)
    tree = cKDTree(_features(target.points))
    neighbours = min(_NEIGHBOURS, len(target.points))
    offset = target.centroid - component.centroid
    whole = not component.cut and not target.cut
    alike = abs(np.log(len(component.points) / len(target.points))) <= _SAME_SIZE
    for _ in range(0 if whole and alike else _ITERATIONS):
        moved = features.copy()
        moved[:, :3] += offset
        distance, index = tree.query(moved, k=neighbours)
        distance, index = distance.reshape(len(own), -1), index.reshape(len(own), -1)
        best = distance[:, 0] <= np.quantile(distance[:, 0], _TRIMMED_SHARE)
        near = target.points.positions[index[best]].astype(np.float64).mean(axis=1)
        offset = (near - own[best]).mean(axis=0)
    features[:, :3] += offset
    misfit = float(np.quantile(tree.query(features)[0], _TRIMMED_SHARE))
    limit = _MAX_MISFIT_FOOTPRINTS * float(np.median(component.points.footprints)) + 0.02
    return Shift(offset, misfit <= limit)


def _unlikeness(a: Component, b: Component) -> float:
    size = abs(np.log(len(a.points) / len(b.points)))
    return float(np.linalg.norm(a.centroid - b.centroid) + np.linalg.norm(a.color - b.color) + 0.2 * size)


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))


def _features(points: Points) -> np.ndarray:
    return np.concatenate([points.positions, _COLOR_METRES * points.colors], axis=1).astype(np.float64)


def _carried(component: Component, others: list[Component], offset: np.ndarray) -> Points:
    """Samples of the other frame beside the moved component, carried back to the component's own time.

    Only what the component's own samples leave open is taken: parts that were hidden or turned away.
    """
    there = concatenate([other.points for other in others])
    tree = cKDTree(component.points.positions.astype(np.float64) + offset)
    near, _ = tree.query(there.positions)
    open_to_it = (near > _OWN_FOOTPRINTS * there.footprints) & (near <= _REACH_FOOTPRINTS * there.footprints)
    return there[open_to_it].moved(-offset)


def _velocity(velocities: list[np.ndarray]) -> np.ndarray:
    if not velocities:
        return np.zeros(3)
    mean = np.mean(velocities, axis=0)
    speed = float(np.linalg.norm(mean))
    return np.asarray(mean * min(1.0, _MAX_SPEED_MPS / max(speed, 1e-9)))


def _timed(splats: Splats, centers: list[int], number: int, clip: Clip) -> Splats:
    """`splats` with centre time, width and hard window; the first and last window hold on beyond the clip."""
    center_s = float(clip.times[centers[number]])
    first, last = number == 0, number == len(centers) - 1
    before_s = np.inf if first else center_s - float(clip.times[centers[number - 1]])
    after_s = np.inf if last else float(clip.times[centers[number + 1]]) - center_s
    spacing_s = min(before_s, after_s)
    width_s = _HELD_WIDTH if not np.isfinite(spacing_s) else spacing_s * (_HELD_WIDTH if first or last else 1.0)
    ones = np.ones(len(splats), np.float32)
    return replace(
        splats,
        time_centers=np.float32(center_s) * ones,
        time_widths=np.float32(width_s) * ones,
        time_starts=np.float32(center_s - HALF_WINDOW * before_s) * ones,
        time_ends=np.float32(center_s + HALF_WINDOW * after_s) * ones,
    )
