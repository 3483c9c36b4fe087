"""The part of a room that is left to the free object of a physical motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.dungeon.attributes import Prop
from clips.dungeon.bodies import radius
from clips.dungeon.scene import PropPlace, RoomSpec

GRAVITY = 9.81
"""m/s2."""

ROAM_M = 1.1
NEAREST_Z_M = 2.2
WALL_GAP_M = 0.15
BACK_GAP_M = 0.3
PROP_GAP_M = 1.27


@dataclass(frozen=True)
class FreeSpace:
    """Ranges that the object's surface stays within, metres.

    Attributes:
        x_m: across the room, gate frame.
        z_m: into the room, gate frame.
        height_m: above the floor.
        center_m: x, z that its motion is centred on; it can turn there without touching a side.
    """

    x_m: tuple[float, float]
    z_m: tuple[float, float]
    height_m: float
    center_m: tuple[float, float]


def free_space(room: RoomSpec) -> FreeSpace:
    """What the object may roam: within ROAM_M of its centre, clear of the camera, the walls and the prop's side."""
    around_m = radius(room.shape) * room.object_size_m
    gaps = {
        place: PROP_GAP_M if room.prop is not Prop.NONE and room.prop_place is place else 0.0 for place in PropPlace
    }
    left = -room.width_m / 2 + max(WALL_GAP_M, gaps[PropPlace.LEFT])
    right = room.width_m / 2 - max(WALL_GAP_M, gaps[PropPlace.RIGHT])
    # Where prop and object leave no room for each other, the object must at least fit.
    back = max(room.depth_m - max(BACK_GAP_M, gaps[PropPlace.BACK]), NEAREST_Z_M + 2 * around_m + 0.02)
    x = float(np.clip(room.object_x_m, left + around_m, right - around_m))
    z = float(np.clip(room.object_z_m, NEAREST_Z_M + around_m, back - around_m))
    roam_m = ROAM_M + around_m
    return FreeSpace((max(left, x - roam_m), min(right, x + roam_m)), (NEAREST_Z_M, back), room.height_m, (x, z))
