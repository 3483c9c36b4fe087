"""The three boxes that make up the empty space: antechamber, doorway and room, and which one a camera stands in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from clips.cameras import Cameras
from clips.errors import InvalidCameras

DOOR_HALF_WIDTH_M = 0.95
DOOR_HEIGHT_M = 2.35
WALL_THICKNESS_M = 0.3
ANTECHAMBER = (-2.2, 2.2, -3.3, 0.0, -6.0, -WALL_THICKNESS_M)


def room_cells(width_m: float, height_m: float, depth_m: float) -> Float64[np.ndarray, "3 6"]:
    """Antechamber, doorway and a room of this size as x, y, z ranges in the gate frame, metres, (3, 6)."""
    doorway = (-DOOR_HALF_WIDTH_M, DOOR_HALF_WIDTH_M, -DOOR_HEIGHT_M, 0.0, -WALL_THICKNESS_M, 0.0)
    return np.array([ANTECHAMBER, doorway, (-width_m / 2, width_m / 2, -height_m, 0.0, 0.0, depth_m)])


def start_cells(cells: Float64[np.ndarray, "3 6"], cameras: Cameras) -> Int64[np.ndarray, " T"]:
    """Which cell each camera stands in: 0 antechamber, 1 doorway, 2 room."""
    position = cameras.positions[:, None, :]
    low, high = cells[None, :, 0::2], cells[None, :, 1::2]
    inside: np.ndarray = np.all((position > low) & (position < high), axis=2)
    # The planes between the cells belong to the doorway.
    z = cameras.positions[:, 2]
    in_opening = np.all((position[:, 0, :2] > low[:, 1, :2]) & (position[:, 0, :2] < high[:, 1, :2]), axis=1)
    inside[:, 1] |= in_opening & ((z == cells[1, 4]) | (z == cells[1, 5]))
    outside = np.flatnonzero(~inside.any(axis=1))
    if len(outside):
        where = (np.round(cameras.positions[outside[0]], 3) + 0.0).tolist()
        raise InvalidCameras(
            f"cameras must stand in the room, the doorway or the antechamber; frames {outside[:8].tolist()} "
            f"do not, the first is at {where} m"
        )
    return np.asarray(inside.argmax(axis=1), dtype=np.int64)
