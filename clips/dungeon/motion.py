"""How the free object moves: its pose at any scene second, in closed form or by rigid-body physics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from clips.dungeon.attributes import Motion
from clips.dungeon.physics import PHYSICAL, simulate
from clips.dungeon.scene import SHAPE_HALVES, RoomSpec
from clips.errors import InvalidClip

SLIDE_M = 0.85
ORBIT_RADIUS_M = 0.7
HOVER_M = 0.22
FLOAT_M = 1.15
"""How high the centre of a sliding, circling or hovering object is, if it clears the floor there."""


@dataclass(frozen=True, eq=False)
class ObjectPoses:
    """Poses of the free object over time, gate frame (x right, y down, z into the room, metres).

    Attributes:
        centers: (T, 3).
        rotations: object to gate, columns are the object's axes, (T, 3, 3).
        cord_from: where the pendulum's cord hangs from the ceiling, (T, 3); it ends at the centre. None for every
            other motion.
    """

    centers: Float64[np.ndarray, "T 3"]
    rotations: Float64[np.ndarray, "T 3 3"]
    cord_from: Float64[np.ndarray, "T 3"] | None = None


def object_poses(room: RoomSpec, times: Float64[np.ndarray, " T"]) -> ObjectPoses:
    """Poses of the room's free object at scene seconds `times` (T,), in any order.

    The same room and second give the same pose, whatever the other seconds are.

    Raises:
        InvalidClip: `times` is not a row of seconds, or has one before 0 or (physics) after physics.MAX_SECONDS.
        InvalidRoom: the simulation does not stay finite.
    """
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or len(times) == 0 or not np.isfinite(times).all() or times.min() < 0.0:
        raise InvalidClip(f"times must be one or more finite seconds >= 0 in one row, got {times!r}")
    if room.motion not in PHYSICAL:
        rotations = np.repeat(_yaw(room.object_yaw_rad)[None], len(times), axis=0)
        return ObjectPoses(_closed_form(room, times), rotations)
    track = simulate(room, float(times.max()))
    centers, rotations = track.at(times)
    cord_from = None if track.cord_from is None else np.repeat(track.cord_from[None], len(times), axis=0)
    return ObjectPoses(centers, rotations, cord_from)


def _yaw(angle: float) -> np.ndarray:
    """A turn about the vertical, (3, 3): the object's x axis turns towards z."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])


def _closed_form(room: RoomSpec, times: np.ndarray) -> np.ndarray:
    """Centres (T, 3) of still (stands on the floor), slide, orbit and hover (float above it)."""
    angle = 2 * math.pi * times / room.motion_period_s + room.motion_phase_rad
    x = np.full_like(angle, room.object_x_m)
    z = np.full_like(angle, room.object_z_m)
    half_m = SHAPE_HALVES[room.shape][1] * room.object_size_m
    up_m = np.full_like(angle, max(FLOAT_M, half_m + HOVER_M + 0.05))
    if room.motion is Motion.STILL:
        up_m = np.full_like(angle, half_m)
    elif room.motion is Motion.SLIDE:
        x = x + SLIDE_M * np.sin(angle)
    elif room.motion is Motion.ORBIT:
        x = x + ORBIT_RADIUS_M * np.cos(angle)
        z = z + ORBIT_RADIUS_M * np.sin(angle)
    elif room.motion is Motion.HOVER:
        up_m = up_m + HOVER_M * np.sin(angle)
    return np.stack([x, -up_m, z], axis=-1)
