"""Refit: the colours that reproduce the clip best, geometry being fixed.

For fixed geometry a picture is linear in the colours, so a simultaneous iterative reconstruction (SIRT, Gilbert
1972) solves for them without gradients: every step adds to each splat the mean of what its pixels still lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from clips.clip import Clip
from recon.instant import scene_at
from recon.raster.blend import collect_weights, front_to_back
from recon.raster.projection import project
from recon.scene import Scene4D

_FIRST_GUESS_BLENDS_PER_PIXEL = 16
_OVERRELAXATION = 1.7
_INERTIA = 3.0
_FREEDOM_OF_MOVING = np.float32(0.35)

Limits = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class View:
    """What one frame's picture is made of: entries (pixel, splat of the scene, weight), and the frame's colours."""

    pixels: np.ndarray
    splats: np.ndarray
    weights: np.ndarray
    target: np.ndarray


def views_of(scene: Scene4D, clip: Clip, max_blends: int) -> list[View]:
    """Views of evenly spaced frames of `clip`, together at most about `max_blends` entries; at least one."""
    middle = _view(scene, clip, len(clip) // 2)
    affordable = max(1, int(max_blends / max(len(middle.pixels), 1)))
    numbers = np.unique(np.linspace(0, len(clip) - 1, min(affordable, len(clip))).astype(int))
    return [middle if number == len(clip) // 2 else _view(scene, clip, int(number)) for number in numbers]


def every_view(scene: Scene4D, clip: Clip) -> Iterator[View]:
    """Views of all frames of `clip`, one at a time."""
    return (_view(scene, clip, number) for number in range(len(clip)))


def _view(scene: Scene4D, clip: Clip, frame: int) -> View:
    cameras, instant = clip.cameras, scene_at(scene, float(clip.times[frame]))
    ellipses = project(
        instant.means, instant.quats, instant.scales, cameras.viewmats[frame], cameras.Ks[frame],
        cameras.width, cameras.height, opacities=instant.opacities,
    )  # fmt: skip
    seen = front_to_back(ellipses)
    capacity = _FIRST_GUESS_BLENDS_PER_PIXEL * cameras.width * cameras.height
    while True:
        pixels, splats = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
        weights = np.empty(capacity, np.float32)
        left = np.ones((cameras.height, cameras.width), np.float32)
        count = collect_weights(seen.geometry, seen.order, left, pixels, splats, weights)
        if count <= capacity:
            break
        capacity = count
    target = clip.frames[frame].reshape(-1, 3).astype(np.float32) / np.float32(255.0)
    return View(pixels[:count].copy(), instant.indices[splats[:count]].astype(np.int32), weights[:count].copy(), target)


def refit_colors(colors: np.ndarray, views: list[View], steps: int, limits: Limits | None = None) -> np.ndarray:
    """Colours (N, 3) after `steps` steps from `colors`, within `limits` ([0, 1] when None).

    Inertia holds back splats that are hardly seen: they would otherwise be fitted to other splats' errors.
    """
    colors = np.ascontiguousarray(colors, np.float32).copy()
    low, high = (0.0, 1.0) if limits is None else limits
    gain = (_OVERRELAXATION / (splat_weights(views, len(colors)) + _INERTIA)).astype(np.float32)[:, None]
    change = np.zeros_like(colors)
    for _ in range(steps):
        change[:] = 0.0
        for view in views:
            _add_lacking(view.pixels, view.splats, view.weights, view.target, colors, change)
        colors += gain * change
        np.clip(colors, low, high, out=colors)
    return colors


def color_limits(measured: np.ndarray, is_static: np.ndarray) -> Limits:
    """Lowest and highest colours (N, 3) that a refit may give, around the `measured` ones of the splats' pixels.

    Static splats, which many frames see, are free within [0, 1]: sharpening takes overshoot. Moving ones are seen
    by a frame or three and stay within 0.35.
    """
    freedom = np.where(is_static, np.float32(1.0), _FREEDOM_OF_MOVING).astype(np.float32)[:, None]
    return np.maximum(measured - freedom, 0.0), np.minimum(measured + freedom, 1.0)


def splat_weights(views: Iterable[View], count: int) -> np.ndarray:
    """Sum of each splat's weights over all pixels of `views`, (N,) float32: how much of them it paints."""
    total = np.zeros(count, np.float64)
    for view in views:
        total += np.bincount(view.splats, view.weights, count)
    return total.astype(np.float32)


@njit(cache=True, nogil=True)
def _add_lacking(
    pixels: np.ndarray,
    splats: np.ndarray,
    weights: np.ndarray,
    target: np.ndarray,
    colors: np.ndarray,
    change: np.ndarray,
) -> None:
    lacking = target.copy()
    covered = np.zeros(target.shape[0], np.float32)
    for n in range(pixels.shape[0]):
        p, g, w = pixels[n], splats[n], weights[n]
        covered[p] += w
        for k in range(3):
            lacking[p, k] -= w * colors[g, k]
    for p in range(target.shape[0]):
        scale = np.float32(1.0) / max(covered[p], np.float32(0.05))
        for k in range(3):
            lacking[p, k] *= scale
    for n in range(pixels.shape[0]):
        p, g, w = pixels[n], splats[n], weights[n]
        for k in range(3):
            change[g, k] += w * lacking[p, k]
