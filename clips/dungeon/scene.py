"""RoomSpec: everything that decides a room, and how rooms and camera paths are drawn from a seed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float64

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import SLOTS, Color, Floor, Light, Motion, Prop, Shape, Wall
from clips.errors import InvalidRoom

SLIDE_M = 0.85
ORBIT_RADIUS_M = 0.7
BOUNCE_M = 0.95
HOVER_M = 0.22

SHAPE_HALVES: dict[Shape, tuple[float, float, float]] = {
    Shape.ORB: (1.0, 1.0, 1.0),
    Shape.CUBE: (0.82, 0.82, 0.82),
    Shape.CRYSTAL: (0.88, 1.3, 0.88),
    Shape.CONE: (0.95, 1.1, 0.95),
}
"""Half extents of each shape in units of RoomSpec.object_size_m."""


class PropPlace(StrEnum):
    """Which wall the prop stands against, seen from the gate."""

    LEFT = "left"
    RIGHT = "right"
    BACK = "back"


@dataclass(frozen=True)
class RoomSpec:
    """One room behind a gate, in the gate frame (x right, y down, z into the room, metres).

    Attributes:
        light, wall, floor, color, shape, motion, prop: the attributes that captions name.
        width_m, height_m, depth_m: of the room; it spans x +-width/2, y -height..0, z 0..depth.
        object_size_m: size of the free object; its half extents are SHAPE_HALVES times this.
        object_x_m, object_z_m: where its motion is centred on the floor plan.
        object_yaw_rad: turn about the vertical axis.
        motion_phase_rad, motion_period_s: of the closed form in `object_positions`.
        prop_place: the wall that the prop stands against.
        prop_offset_m: its shift along that wall from its usual spot.
        texture_seed: shifts and tints textures; 0 <= texture_seed < 2**32.
        caption_seed: chooses the caption's wording; 0 <= caption_seed < 2**32.

    Raises:
        InvalidRoom: a number is not finite or outside its limits; the message names the field.
    """

    light: Light
    wall: Wall
    floor: Floor
    color: Color
    shape: Shape
    motion: Motion
    prop: Prop
    width_m: float = 5.0
    height_m: float = 3.0
    depth_m: float = 5.8
    object_size_m: float = 0.45
    object_x_m: float = 0.0
    object_z_m: float = 3.2
    object_yaw_rad: float = 0.6
    motion_phase_rad: float = 0.0
    motion_period_s: float = 2.4
    prop_place: PropPlace = PropPlace.LEFT
    prop_offset_m: float = 0.0
    texture_seed: int = 0
    caption_seed: int = 0

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            got = getattr(self, field)
            if not math.isfinite(got) or not low <= got <= high:
                raise InvalidRoom(f"room: {field} must be within [{low}, {high}], got {got}")

    @property
    def slots(self) -> dict[str, str]:
        """The canonical word of every slot, in the order of `attributes.SLOTS`."""
        return {name: str(getattr(self, name)) for name in SLOTS}

    @property
    def moves(self) -> bool:
        """True unless the free object stays where it is."""
        return self.motion is not Motion.STILL


_LIMITS: dict[str, tuple[float, float]] = {
    "width_m": (4.0, 8.0),
    "height_m": (2.6, 4.0),
    "depth_m": (4.8, 9.0),
    "object_size_m": (0.2, 0.7),
    "object_x_m": (-1.0, 1.0),
    "object_z_m": (2.0, 6.0),
    "object_yaw_rad": (-10.0, 10.0),
    "motion_phase_rad": (-100.0, 100.0),
    "motion_period_s": (0.5, 20.0),
    "prop_offset_m": (-1.0, 1.0),
    "texture_seed": (0, 2**32 - 1),
    "caption_seed": (0, 2**32 - 1),
}


def seeded(seed: int, domain: str, held_out: bool) -> np.random.Generator:
    """A random source for one seed and purpose; train and held-out seeds are hashed in different domains."""
    text = f"narthex dungeon 1/{'held-out' if held_out else 'train'}/{domain}/{seed}"
    return np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4"))


def sample_room(seed: int, held_out: bool = False, **fixed: Any) -> RoomSpec:
    """The room of a seed; `fixed` overrides fields (words are taken for attributes).

    Raises:
        InvalidRoom: an override is no field of RoomSpec or no word of its slot.
    """
    rng = seeded(seed, "room", held_out)
    drawn: dict[str, Any] = {name: list(words)[rng.integers(len(words))] for name, words in SLOTS.items()}
    drawn["width_m"] = float(rng.uniform(4.7, 5.5))
    drawn["height_m"] = float(rng.uniform(2.9, 3.2))
    drawn["depth_m"] = float(rng.uniform(5.4, 6.2))
    drawn["object_size_m"] = float(rng.uniform(0.42, 0.5))
    drawn["object_x_m"] = float(rng.uniform(-0.3, 0.3))
    drawn["object_z_m"] = float(rng.uniform(3.0, 3.5))
    drawn["object_yaw_rad"] = float(rng.uniform(0.45, 1.1))
    drawn["motion_phase_rad"] = float(rng.uniform(0.0, 2 * math.pi))
    drawn["motion_period_s"] = float(rng.uniform(2.2, 2.8))
    drawn["prop_place"] = list(PropPlace)[rng.integers(len(PropPlace))]
    drawn["prop_offset_m"] = float(rng.uniform(-0.25, 0.25))
    drawn["texture_seed"] = int(rng.integers(2**32))
    drawn["caption_seed"] = int(rng.integers(2**32))
    for name, value in fixed.items():
        if name not in drawn:
            raise InvalidRoom(f"room: no field {name!r}; expected one of {', '.join(drawn)}")
        drawn[name] = _word(name, value)
    return RoomSpec(**drawn)


def sample_camera_path(rng: np.random.Generator) -> CameraPath:
    """A camera path that stays inside every sampled room and clear of its free object."""
    kind = (PathKind.WALK_IN, PathKind.WALK_IN, PathKind.PAN, PathKind.ORBIT, PathKind.STILL)[rng.integers(5)]
    start_z_m = float(rng.uniform(-1.3, 0.5))
    distance_m = float(rng.uniform(0.6, min(1.8, 1.3 - start_z_m)))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    angle_deg = sign * float(rng.uniform(15.0, 40.0))
    if kind is PathKind.ORBIT:
        start_z_m = float(rng.uniform(0.35, 0.7))
    elif kind is not PathKind.WALK_IN:
        start_z_m = float(rng.uniform(-0.3, 0.6))
    return CameraPath(
        kind=kind,
        start_z_m=start_z_m,
        distance_m=distance_m,
        angle_deg=angle_deg,
        eye_height_m=float(rng.uniform(1.4, 1.65)),
        fov_x_deg=float(rng.uniform(70.0, 90.0)),
    )


def object_positions(room: RoomSpec, times: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T 3"]:
    """Centre of the free object at scene seconds `times`, gate frame, metres, shape (T, 3)."""
    angle = 2 * math.pi * np.asarray(times, dtype=np.float64) / room.motion_period_s + room.motion_phase_rad
    x = np.full_like(angle, room.object_x_m)
    z = np.full_like(angle, room.object_z_m)
    half_m = SHAPE_HALVES[room.shape][1] * room.object_size_m
    up_m = np.full_like(angle, max(1.15, half_m + HOVER_M + 0.05))
    if room.motion is Motion.BOUNCE:
        up_m = half_m + 0.02 + BOUNCE_M * np.abs(np.sin(angle / 2))
    elif room.motion is Motion.SLIDE:
        x = x + SLIDE_M * np.sin(angle)
    elif room.motion is Motion.ORBIT:
        x = x + ORBIT_RADIUS_M * np.cos(angle)
        z = z + ORBIT_RADIUS_M * np.sin(angle)
    elif room.motion is Motion.HOVER:
        up_m = up_m + HOVER_M * np.sin(angle)
    return np.stack([x, -up_m, z], axis=-1)


def _word(name: str, value: Any) -> Any:
    words: type[StrEnum] | None = PropPlace if name == "prop_place" else SLOTS.get(name)
    if words is None:
        return value
    try:
        return words(value)
    except ValueError:
        raise InvalidRoom(f"room: {name} must be one of {', '.join(words)}, got {value!r}") from None
