"""Points: a clip's pixels as coloured surface samples in the gate frame."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Int32

from clips.cameras import Cameras

_MAX_STRETCH = 5.0
_SLOPE_SLACK = 0.003
_BENT = 0.5


@dataclass(frozen=True, eq=False)
class Points:
    """Surface samples, one per pixel that was kept.

    Attributes:
        positions: (M, 3), metres.
        colors: sRGB-encoded, 0 to 1, (M, 3).
        steps_u, steps_v: how far the surface goes from this pixel to the next, along rows and columns, (M, 3).
        footprints: size of a pixel at this distance, (M,), metres.
        frames: which frame saw it, (M,).
        pixels: flat index within the frame, (M,).
    """

    positions: Float32[np.ndarray, "M 3"]
    colors: Float32[np.ndarray, "M 3"]
    steps_u: Float32[np.ndarray, "M 3"]
    steps_v: Float32[np.ndarray, "M 3"]
    footprints: Float32[np.ndarray, " M"]
    frames: Int32[np.ndarray, " M"]
    pixels: Int32[np.ndarray, " M"]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, keep: np.ndarray) -> Points:
        return Points(*(getattr(self, field.name)[keep] for field in fields(self)))

    def moved(self, offsets: np.ndarray) -> Points:
        """The same samples at positions + `offsets`, (M, 3) or (3,)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["positions"] = (self.positions + offsets).astype(np.float32)
        return Points(**values)


def concatenate(parts: list[Points]) -> Points:
    """All samples of `parts`, in order; at least one part is needed."""
    return Points(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Points)))


def points_of(frames: np.ndarray, depth: np.ndarray, cameras: Cameras) -> Points:
    """Samples of every pixel of `frames` (T, H, W, 3) uint8 with `depth` (T, H, W), in frame and row order."""
    parts = []
    rows, columns = np.indices(depth.shape[1:]).reshape(2, -1)
    for i, frame in enumerate(frames):
        inverse = 1.0 / depth[i].astype(np.float64)
        surface = Surface(inverse.ravel(), gentle_slope(inverse, 1).ravel(), gentle_slope(inverse, 0).ravel())
        colors = frame.reshape(-1, 3).astype(np.float32) / np.float32(255.0)
        parts.append(lift(surface, colors, rows, columns, cameras, i))
    return concatenate(parts)


@dataclass(frozen=True, eq=False)
class Surface:
    """Inverse depth at M pixels and its change to the next pixel along rows (u) and columns (v), float64."""

    inverse: np.ndarray
    slope_u: np.ndarray
    slope_v: np.ndarray


def lift(
    surface: Surface, colors: np.ndarray, rows: np.ndarray, columns: np.ndarray, cameras: Cameras, frame: int
) -> Points:
    """Samples of the pixels at `rows` and `columns` (M,) of one frame; they may lie outside the picture."""
    K, pose = cameras.Ks[frame], cameras.camera_to_world[frame]
    rotation = pose[:3, :3].T
    z = 1.0 / surface.inverse
    rays = np.stack([(columns + 0.5 - K[0, 2]) / K[0, 0], (rows + 0.5 - K[1, 2]) / K[1, 1], np.ones(len(z))], axis=1)
    steps = []
    for axis, slope in enumerate((surface.slope_u, surface.slope_v)):
        ray_step = 1.0 / K[axis, axis]
        # d(z ray) = z dray + ray dz, with z = 1 / inverse.
        step = -rays * (z * z * slope)[:, None]
        step[:, axis] += z * ray_step
        length = np.linalg.norm(step, axis=1)
        step *= np.minimum(1.0, _MAX_STRETCH * z * ray_step / np.maximum(length, 1e-12))[:, None]
        steps.append((step @ rotation).astype(np.float32))
    return Points(
        ((rays * z[:, None]) @ rotation + pose[:3, 3]).astype(np.float32),
        np.asarray(colors, np.float32),
        steps[0],
        steps[1],
        (z / np.sqrt(K[0, 0] * K[1, 1])).astype(np.float32),
        np.full(len(z), frame, np.int32),
        (rows * cameras.width + columns).astype(np.int32),
    )


def gentle_slope(inverse: np.ndarray, axis: int) -> np.ndarray:
    """Change of inverse depth per pixel along `axis`, from a side where the surface goes on straight for two steps.

    So it does not cross edges. Where both sides go on the gentler one counts; where neither does, as on things
    one or two pixels wide, it is 0: such pixels face the camera.
    """
    if inverse.shape[axis] < 3:
        return np.zeros_like(inverse)
    size = np.moveaxis(inverse, axis, 0)
    steps = np.diff(size, axis=0)
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    before_that, after_that = np.concatenate([before[:1], before[:-1]]), np.concatenate([after[1:], after[-1:]])
    goes_on = []
    for step, next_step in ((before, before_that), (after, after_that)):
        straight = np.abs(step - next_step) <= _BENT * np.abs(step) + _SLOPE_SLACK * size
        goes_on.append(np.where(straight, step, np.inf))
    gentler = np.where(np.abs(goes_on[0]) <= np.abs(goes_on[1]), goes_on[0], goes_on[1])
    return np.moveaxis(np.where(np.isfinite(gentler), gentler, 0.0), 0, axis)
