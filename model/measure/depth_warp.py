"""Does the depth of a clip fit the cameras that it was told? Frame 0 is carried into the last frame and compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from clips.cameras import Cameras

OCCLUDED_SHARE = 0.05
"""A carried point is hidden where another one in its pixel lies nearer by more than this share of its depth."""

FEWEST_POINTS = 50
"""With fewer points than this in both pictures there is nothing to compare."""


@dataclass(frozen=True)
class WarpError:
    """Median relative errors of one clip.

    Attributes:
        error: carried depth against the last frame's own.
        frozen: the same where the last frame's depth is frame 0's, as in a clip that does not move: the null.
    """

    error: float
    frozen: float


def warp_error(
    depth: Float32[np.ndarray, "T H W"], cameras: Cameras, static: Bool[np.ndarray, "T H W"]
) -> WarpError | None:
    """Errors over the static pixels of frame 0 that the last camera sees too; None where there are too few.

    Args:
        depth: metres along the camera's z axis.
        cameras: of every frame, as told.
        static: pixels that show nothing that moves on its own; both ends of a carried point must be static.
    """
    points = _to_world(depth[0], cameras)[static[0]]
    carried, places = _project(points, cameras)
    inside = (carried > 0.05) & (places >= 0.5).all(axis=1)
    inside &= (places[:, 0] <= cameras.width - 0.5) & (places[:, 1] <= cameras.height - 0.5)
    carried, places = carried[inside], places[inside]
    shown = ~_hidden(carried, places, depth.shape[1:]) & _at(static[-1].astype(np.float64), places, order=0).astype(
        bool
    )
    carried, places = carried[shown], places[shown]
    if len(carried) < FEWEST_POINTS:
        return None
    errors = [float(np.median(np.abs(carried - there) / there)) for there in _depths(depth, places)]
    return WarpError(errors[0], errors[1])


def _to_world(depth: Float32[np.ndarray, "H W"], cameras: Cameras) -> Float[np.ndarray, "H W 3"]:
    """The points (H, W, 3) that the first camera sees, gate frame, metres."""
    rows, columns = np.indices(depth.shape) + 0.5
    pixel = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    in_camera = pixel @ np.linalg.inv(cameras.Ks[0]).T * depth[..., None]
    pose = cameras.camera_to_world[0]
    world: np.ndarray = in_camera @ pose[:3, :3].T + pose[:3, 3]
    return world


def _project(points: Float[np.ndarray, "N 3"], cameras: Cameras) -> tuple[np.ndarray, Float[np.ndarray, "N 2"]]:
    """Depth (N,) in the last camera, and x, y in its pixels."""
    viewmat, K = cameras.viewmats[-1], cameras.Ks[-1]
    in_camera = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    depth = in_camera[:, 2]
    on_plane = in_camera @ K.T
    return depth, on_plane[:, :2] / np.where(np.abs(depth) > 1e-6, depth, 1e-6)[:, None]


def _hidden(carried: np.ndarray, places: np.ndarray, size: tuple[int, ...]) -> Bool[np.ndarray, " N"]:
    nearest = np.full(size, np.inf)
    columns, rows = places.astype(np.int64).T
    np.minimum.at(nearest, (rows, columns), carried)
    hidden: np.ndarray = carried > (1.0 + OCCLUDED_SHARE) * nearest[rows, columns]
    return hidden


def _depths(depth: Float32[np.ndarray, "T H W"], places: np.ndarray) -> list[np.ndarray]:
    """Depth of the last frame, and of frame 0 in its stead, at `places`; inverse depth is what planes make linear."""
    return [1.0 / _at(1.0 / frame.astype(np.float64), places, order=1) for frame in (depth[-1], depth[0])]


def _at(picture: Float[np.ndarray, "H W"], places: Float[np.ndarray, "N 2"], order: int) -> np.ndarray:
    found: np.ndarray = ndimage.map_coordinates(picture, (places.T - 0.5)[::-1], order=order, mode="nearest")
    return found
