"""RoomSpec: everything that decides a room, and how rooms and camera paths are drawn from a seed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import SLOTS, Ceiling, Color, Floor, Light, Motion, Prop, Shape, Size, Wall
from clips.errors import InvalidRoom

ROOM_SIZES: dict[Size, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    Size.SMALL: ((4.4, 4.9), (2.75, 2.95), (5.0, 5.5)),
    Size.LARGE: ((5.8, 6.5), (3.3, 3.7), (6.6, 7.4)),
}
"""Ranges of width, height and depth of each room size, metres."""

SHAPE_HALVES: dict[Shape, tuple[float, float, float]] = {
    Shape.ORB: (1.0, 1.0, 1.0),
    Shape.CUBE: (0.82, 0.82, 0.82),
    Shape.CRYSTAL: (0.88, 1.3, 0.88),
    Shape.CONE: (0.95, 1.1, 0.95),
}
"""Half extents of each shape in units of RoomSpec.object_size_m."""

HELD_OUT_PAIRS: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (("light", "torchlight"), ("wall", "marble")),
    (("light", "moonlight"), ("wall", "moss")),
    (("light", "ember"), ("floor", "sand")),
    (("wall", "brick"), ("floor", "grass")),
    (("wall", "sandstone"), ("floor", "tiles")),
    (("wall", "wood"), ("ceiling", "coffers")),
    (("color", "red"), ("shape", "crystal")),
    (("color", "cyan"), ("shape", "cone")),
    (("color", "purple"), ("shape", "orb")),
    (("color", "yellow"), ("shape", "cube")),
    (("light", "witchlight"), ("color", "orange")),
    (("prop", "barrel"), ("wall", "moss")),
)
"""Attribute pairs that no training room has: what a model does with them shows whether attributes compose."""


class PropPlace(StrEnum):
    """Which wall the prop stands against, seen from the gate."""

    LEFT = "left"
    RIGHT = "right"
    BACK = "back"


@dataclass(frozen=True)
class RoomSpec:
    """One room behind a gate, in the gate frame (x right, y down, z into the room, metres).

    Attributes:
        light, wall, floor, ceiling, size, color, shape, motion, prop: the attributes that captions name.
        width_m, height_m, depth_m: of the room; it spans x +-width/2, y -height..0, z 0..depth.
        object_size_m: size of the free object; its half extents are SHAPE_HALVES times this.
        object_x_m, object_z_m: where its motion is centred on the floor plan.
        object_yaw_rad: turn about the vertical axis.
        motion_phase_rad, motion_period_s: of the closed forms in `motion.object_poses`.
        motion_seed: decides the physics' start (push, spin, height); 0 <= motion_seed < 2**32.
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
    ceiling: Ceiling
    size: Size
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
    motion_seed: int = 0
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


_RANGES: dict[str, tuple[float, float]] = {
    "object_size_m": (0.48, 0.58),
    "object_x_m": (-0.3, 0.3),
    "object_z_m": (3.0, 3.5),
    "object_yaw_rad": (0.45, 1.1),
    "motion_phase_rad": (0.0, 2 * math.pi),
    "motion_period_s": (2.2, 2.8),
    "prop_offset_m": (-0.25, 0.25),
}
"""What numbers of a sampled room are drawn from, besides its size."""

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
    "motion_seed": (0, 2**32 - 1),
    "prop_offset_m": (-1.0, 1.0),
    "texture_seed": (0, 2**32 - 1),
    "caption_seed": (0, 2**32 - 1),
}


def seeded(seed: int, domain: str, held_out: bool) -> np.random.Generator:
    """A random source for one seed and purpose; train and held-out seeds are hashed in different domains."""
    text = f"narthex dungeon 2/{'held-out' if held_out else 'train'}/{domain}/{seed}"
    return np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4"))


def sample_room(seed: int, held_out: bool = False, **fixed: Any) -> RoomSpec:
    """The room of a seed; `fixed` overrides fields (words are taken for attributes).

    Words that are not fixed are drawn again until the room has none of HELD_OUT_PAIRS and an orb does not topple.

    Raises:
        InvalidRoom: an override is no field of RoomSpec or no word of its slot.
    """
    rng = seeded(seed, "room", held_out)
    chosen = {name: _word(name, value) for name, value in fixed.items()}
    drawn = _draw_words(rng, chosen)
    size = chosen.get("size", drawn["size"])
    for name, (low, high) in zip(("width_m", "height_m", "depth_m"), ROOM_SIZES[size], strict=True):
        drawn[name] = float(rng.uniform(low, high))
    for name, (low, high) in _RANGES.items():
        drawn[name] = float(rng.uniform(low, high))
    drawn["prop_place"] = list(PropPlace)[rng.integers(len(PropPlace))]
    for name in ("motion_seed", "texture_seed", "caption_seed"):
        drawn[name] = int(rng.integers(2**32))
    unknown = sorted(set(chosen) - set(drawn))
    if unknown:
        raise InvalidRoom(f"room: no field {unknown[0]!r}; expected one of {', '.join(drawn)}")
    return RoomSpec(**{**drawn, **chosen})


def sample_pair_room(seed: int) -> tuple[RoomSpec, int]:
    """A room of the held-out domain that has one of HELD_OUT_PAIRS, and the index of that pair (seed modulo count)."""
    which = seed % len(HELD_OUT_PAIRS)
    return sample_room(seed, True, **dict(HELD_OUT_PAIRS[which])), which


def held_out_pairs(words: dict[str, str]) -> list[int]:
    """Which of HELD_OUT_PAIRS the slot words of a room have."""
    return [index for index, pair in enumerate(HELD_OUT_PAIRS) if all(words.get(name) == value for name, value in pair)]


def sample_camera_path(rng: np.random.Generator, held_out: bool = False) -> CameraPath:
    """A camera path that stays inside every sampled room and clear of its free object.

    Held-out paths stand higher or lower and see wider or narrower than any training path.
    """
    kind = _KINDS[rng.integers(len(_KINDS))]
    start_z_m = float(rng.uniform(-1.3, 0.5))
    distance_m = float(rng.uniform(0.6, min(1.8, 1.3 - start_z_m)))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    angle_deg = sign * float(rng.uniform(15.0, 40.0))
    if kind is PathKind.ORBIT:
        start_z_m = float(rng.uniform(0.35, 0.7))
    elif kind not in (PathKind.WALK_IN, PathKind.SHAKE):
        start_z_m = float(rng.uniform(-0.3, 0.6))
    eye, view = (1.4, 1.65), (70.0, 90.0)
    if held_out:
        eye = (1.25, 1.36) if rng.random() < 0.5 else (1.69, 1.8)
        view = (64.0, 69.0) if rng.random() < 0.5 else (91.0, 96.0)
    return CameraPath(
        kind=kind,
        start_z_m=start_z_m,
        distance_m=distance_m,
        angle_deg=angle_deg,
        eye_height_m=float(rng.uniform(*eye)),
        fov_x_deg=float(rng.uniform(*view)),
        shake_seed=int(rng.integers(2**16)),
    )


_KINDS = (PathKind.WALK_IN, PathKind.WALK_IN, PathKind.PAN, PathKind.ORBIT, PathKind.STILL, PathKind.SHAKE)


def _draw_words(rng: np.random.Generator, chosen: dict[str, Any]) -> dict[str, Any]:
    asked = set(held_out_pairs({name: str(value) for name, value in chosen.items()}))
    for _ in range(1000):
        drawn: dict[str, Any] = {name: list(words)[rng.integers(len(words))] for name, words in SLOTS.items()}
        words = {name: str(chosen.get(name, drawn[name])) for name in SLOTS}
        impossible = words["shape"] == Shape.ORB and words["motion"] == Motion.TOPPLE
        impossible = impossible and not {"shape", "motion"} <= set(chosen)
        if not impossible and not set(held_out_pairs(words)) - asked:
            return drawn
    raise InvalidRoom(f"room: no allowed words go with {chosen}")


def _word(name: str, value: Any) -> Any:
    words: type[StrEnum] | None = PropPlace if name == "prop_place" else SLOTS.get(name)
    if words is None:
        return value
    try:
        return words(value)
    except ValueError:
        raise InvalidRoom(f"room: {name} must be one of {', '.join(words)}, got {value!r}") from None
