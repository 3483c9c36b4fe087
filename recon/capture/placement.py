"""Placement: which way is up and how long is a metre, for cameras whose world has neither."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

EYE_HEIGHT_M = 1.5
GUESSED_DISTANCE_M = 3.0
_PRIOR = 0.05
_LEVEL = 0.2


def estimate_down(poses: Float64[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, "3"]:
    """The direction of gravity (unit vector) in the world of camera-to-world `poses` (OpenCV axes).

    People hold a camera level: its x axis is horizontal whatever it looks at. The direction that is most nearly at
    right angles to all x axes is taken, held near the mean of the cameras' own down axes (which alone would follow
    a camera that looks down throughout). Where the camera never turned, only that mean is known.
    """
    right, down = poses[:, :3, 0], poses[:, :3, 1]
    mean = down.mean(axis=0)
    prior = mean / max(float(np.linalg.norm(mean)), 1e-9)
    system = right.T @ right / len(poses) + _PRIOR * np.eye(3)
    found = np.linalg.solve(system, _PRIOR * prior)
    return np.asarray(found / np.linalg.norm(found))


def gate_pose(first: Float64[np.ndarray, "4 4"], down: np.ndarray) -> Float64[np.ndarray, "4 4"]:
    """The gate frame's pose in a world where gravity points along `down`, (4, 4).

    Its origin lies EYE_HEIGHT_M of that world's units under the first camera and its z axis is that camera's heading;
    for a camera that looks straight down or up, the heading is where the top or bottom of its picture points.
    """
    forward = first[:3, 2]
    level = forward - down * (forward @ down)
    if np.linalg.norm(level) < _LEVEL:
        top = -first[:3, 1] * np.sign(forward @ down)
        level = top - down * (top @ down)
    level = level / np.linalg.norm(level)
    gate = np.eye(4)
    gate[:3, :3] = np.stack([np.cross(down, level), down, level], axis=1)
    gate[:3, 3] = first[:3, 3] + EYE_HEIGHT_M * down
    return gate


def scale_of(positions: np.ndarray, distances: np.ndarray, scale_m: float | None) -> tuple[float, bool]:
    """(metres per unit, whether that is known) of a world with cameras at `positions` (T, 3).

    With `scale_m`, first and last camera are that far apart. Else the median of `distances` from the cameras to what
    they see becomes GUESSED_DISTANCE_M, an indoor size: a guess that only keeps numbers in a usable range.
    """
    span = float(np.linalg.norm(positions[-1] - positions[0]))
    if scale_m is not None and span > 1e-9:
        return scale_m / span, True
    middle = float(np.median(distances)) if len(distances) else span
    return GUESSED_DISTANCE_M / max(middle, 1e-9), False


def placed(
    poses: Float64[np.ndarray, "T 4 4"], points: np.ndarray, down: np.ndarray, units_to_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """(viewmats (T, 4, 4), points (N, 3)) in the gate frame, metres, of camera-to-world `poses` and `points`."""
    scaled = poses.copy()
    scaled[:, :3, 3] *= units_to_m
    gate = gate_pose(scaled[0], down)
    turn, origin = gate[:3, :3], gate[:3, 3]
    viewmats = np.zeros_like(scaled)
    rotation = np.swapaxes(scaled[:, :3, :3], 1, 2)
    viewmats[:, :3, :3] = rotation @ turn
    viewmats[:, :3, 3] = np.einsum("tij,tj->ti", rotation, origin - scaled[:, :3, 3])
    viewmats[:, 3, 3] = 1.0
    return viewmats, (points * units_to_m - origin) @ turn
