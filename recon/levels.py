"""Levels of detail: the splats of a scene merged again in larger cells, so that a scene is smaller and smooth.

A splat of a coarser level has the first two moments of the splats that it stands for and covers as much of the surface
as they did. Only splats of one layer are merged: static with static, moving with those of the same window that move
alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from clips.clip import Clip
from recon.errors import InvalidScene
from recon.export.color import display_of_sh0, sh0_of_display
from recon.refit import color_limits, refit_colors, views_of
from recon.scene import Scene4D
from recon.splats import OPACITY_MAX, quats_and_scales

FACTORS = (2.0, 4.0)
MAX_FACTOR = 64.0
_CELL_SIGMAS = 2.0
"""Edge of a cell of factor 1 in standard deviations of the splats in it: how `merge` lays them."""
_TIME_WIDTHS = 0.25
_COVER = 2.0
"""How many times the area of its splats a coarser splat covers; at 1.3 a tenth of a picture is under 0.9 opacity."""
_COLOR_STEPS = 12
_MAX_BLENDS = 20_000_000
_XX, _YY = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])


@dataclass(frozen=True, eq=False)
class Level:
    """One level of detail: 0 is the finest, whose cells are `factor` 1."""

    level: int
    factor: float
    scene: Scene4D


def levels_of(scene: Scene4D, clip: Clip | None = None, factors: tuple[float, ...] = FACTORS) -> tuple[Level, ...]:
    """`scene` and its coarser levels, the coarsest first and `scene` itself last.

    Args:
        clip: what the scene was made from; where given, colours of coarser levels are fitted to it.
        factors: how many times as large the cells of levels 1, 2 ... are, ascending.

    Raises:
        InvalidScene: the factors do not ascend from above 1 to at most 64.
    """
    if list(factors) != sorted(set(factors)):
        raise InvalidScene(f"levels of detail: factors must ascend, got {factors}")
    made = [Level(0, 1.0, scene)]
    for number, factor in enumerate(factors, start=1):
        made.append(Level(number, factor, coarser(scene, factor, clip)))
    return tuple(reversed(made))


def coarser(scene: Scene4D, factor: float, clip: Clip | None = None) -> Scene4D:
    """`scene` merged in cells `factor` times as large; its colours fitted to `clip` where that is given.

    Cells are measured in the splats' own sizes, so that near, small splats make small cells.

    Raises:
        InvalidScene: `factor` is not within (1, 64].
    """
    if not 1.0 < factor <= MAX_FACTOR:
        raise InvalidScene(f"levels of detail: a factor must be within (1, {MAX_FACTOR:g}], got {factor}")
    if len(scene) == 0:
        return scene
    merged = _merged(scene, _groups(scene, factor), factor)
    return merged if clip is None else _refitted(merged, clip)


def _refitted(scene: Scene4D, clip: Clip) -> Scene4D:
    """`scene` with the degree-0 colours that show `clip` best."""
    colors = np.clip(display_of_sh0(scene.sh0[:, 0]), 0.0, 1.0)
    views = views_of(scene, clip, _MAX_BLENDS)
    colors = refit_colors(colors, views, _COLOR_STEPS, color_limits(colors, scene.is_static))
    return replace(scene, sh0=sh0_of_display(colors)[:, None])


def _groups(scene: Scene4D, factor: float) -> np.ndarray:
    """Which splat of the coarser level each splat goes into, (N,), numbered from 0."""
    scales = np.sort(np.exp(scene.log_scales.astype(np.float64)), axis=1)
    sizes = np.sqrt(scales[:, 1] * scales[:, 2])
    finest = max(float(np.quantile(sizes, 0.02)), 1e-6)
    octave = np.maximum(np.rint(np.log2(sizes / finest)), 0.0)
    cell_m = (factor * _CELL_SIGMAS * finest) * 2.0**octave
    timing = _timing(scene, cell_m)
    held_s = np.where(scene.is_static, 0.0, timing[:, 0] * _TIME_WIDTHS * _width(scene) - scene.time_centers)
    cells = np.floor((scene.means + scene.velocities * held_s[:, None]) / cell_m[:, None])
    keys = np.concatenate([octave[:, None], cells, _facing(scene)[:, None], timing], axis=1)
    return np.asarray(np.unique(keys.astype(np.int64), axis=0, return_inverse=True)[1]).reshape(-1)


def _width(scene: Scene4D) -> np.ndarray:
    """Temporal widths rounded to powers of two, (N,), seconds; 1 for static splats."""
    return np.asarray(np.where(scene.is_static, 1.0, 2.0 ** np.rint(np.log2(_finite(scene.time_widths)))))


def _timing(scene: Scene4D, cell_m: np.ndarray) -> np.ndarray:
    """What splats must have in common to be merged besides a cell, (N, 7): their time and their velocity, in steps.

    A step of velocity moves a splat by half a cell within its window.
    """
    width_s = _width(scene)
    seen_s = np.minimum(4.0 * width_s, np.maximum(_finite(scene.time_ends - scene.time_starts), 1e-3))
    seen_s = np.minimum(seen_s, max(scene.duration_s, 1e-3))
    steps = np.rint(scene.velocities * (2.0 * seen_s / cell_m)[:, None])
    columns = [
        np.rint(scene.time_centers / (_TIME_WIDTHS * width_s)),
        np.log2(width_s),
        np.rint(_finite(scene.time_starts) * 1e3),
        np.rint(_finite(scene.time_ends) * 1e3),
    ]
    timing = np.where(scene.is_static[:, None], 0.0, np.concatenate([np.stack(columns, axis=1), steps], axis=1))
    return np.asarray(np.concatenate([timing, scene.is_static[:, None]], axis=1))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(values, np.float64), -1e9, 1e9)


def _merged(scene: Scene4D, groups: np.ndarray, factor: float) -> Scene4D:
    count = int(groups.max()) + 1
    opacities = 1.0 / (1.0 + np.exp(-scene.logit_opacities.astype(np.float64)))
    scales = np.sort(np.exp(scene.log_scales.astype(np.float64)), axis=1)
    areas = scales[:, 1] * scales[:, 2]
    weights = opacities * areas
    total = np.bincount(groups, weights, count)

    def mean(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        columns = [np.bincount(groups, weights * flat[:, k], count) / total for k in range(flat.shape[1])]
        return np.stack(columns, axis=1).reshape(count, *values.shape[1:])

    first = np.unique(groups, return_index=True)[1]
    centers = np.where(scene.is_static[first], scene.time_centers[first], mean(scene.time_centers[:, None])[:, 0])
    elapsed = np.where(scene.is_static, 0.0, centers[groups] - scene.time_centers)
    places = scene.means.astype(np.float64) + scene.velocities * elapsed[:, None]
    means = mean(places)
    apart = places - means[groups]
    covariances = mean(_covariances(scene) + apart[:, _XX] * apart[:, _YY])
    largest = factor**2 * np.bincount(groups, weights * areas, count) / total
    shapes, opacity = _covering(covariances, total, largest)
    quats, sizes = quats_and_scales(shapes.astype(np.float32))
    logits = np.log(opacity / (1.0 - opacity))
    return Scene4D(
        means=means.astype(np.float32),
        quats=quats,
        log_scales=np.log(sizes),
        logit_opacities=logits.astype(np.float32),
        sh0=mean(scene.sh0).astype(np.float32),
        shN=mean(scene.shN).astype(np.float32) if scene.shN.shape[1] else np.zeros((count, 0, 3), np.float32),
        velocities=mean(scene.velocities).astype(np.float32),
        time_centers=centers.astype(np.float32),
        time_widths=scene.time_widths[first],
        time_starts=scene.time_starts[first],
        time_ends=scene.time_ends[first],
        duration_s=scene.duration_s,
    )


def _covering(covariances: np.ndarray, total: np.ndarray, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances (M, 6) widened along the surface to cover twice `total`, (M,), and the opacities for that.

    Moments alone leave gaps: the middles of a cell's splats lie closer together than its borders. Areas are products
    of two standard deviations, square metres; no splat grows beyond twice `largest`, (M,).
    """
    full = covariances[:, [[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
    values, axes = np.linalg.eigh(full)
    values = np.maximum(values, 1e-12)
    area = np.sqrt(values[:, 1] * values[:, 2])
    wider = np.clip(_COVER * total / OPACITY_MAX / area, 1.0, np.maximum(_COVER * largest / area, 1.0))
    values[:, 1:] *= wider[:, None]
    shapes = np.einsum("nik,nk,njk->nij", axes, values, axes)[:, _XX, _YY]
    return shapes, np.clip(_COVER * total / (area * wider), 1e-4, OPACITY_MAX)


def _covariances(scene: Scene4D) -> np.ndarray:
    """xx, xy, xz, yy, yz, zz of every splat, (N, 6), square metres."""
    axes = _axes(scene) * np.exp(scene.log_scales.astype(np.float64))[:, None, :]
    return np.asarray((axes[:, _XX] * axes[:, _YY]).sum(axis=2))


def _facing(scene: Scene4D) -> np.ndarray:
    """Which gate axis a splat's flat side faces most, (N,): 0, 1 or 2. Splats of two walls are not merged."""
    thinnest = np.argmin(scene.log_scales, axis=1)
    return np.asarray(np.abs(_axes(scene)[np.arange(len(scene)), :, thinnest]).argmax(axis=1))


def _axes(scene: Scene4D) -> np.ndarray:
    """Rotation matrices (N, 3, 3) whose columns are the splats' own axes."""
    return np.asarray(Rotation.from_quat(scene.quats[:, [1, 2, 3, 0]].astype(np.float64)).as_matrix())
