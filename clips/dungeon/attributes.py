"""The words of the dungeon: every attribute that a room can have, which are also the model's text slots.

A value of an enum is its canonical word: captions use it, and the prompt front end maps synonyms onto it.
"""

from __future__ import annotations

from enum import StrEnum


class Light(StrEnum):
    """What lights the room."""

    TORCHLIGHT = "torchlight"
    MOONLIGHT = "moonlight"
    DAYLIGHT = "daylight"
    EMBER = "ember"
    WITCHLIGHT = "witchlight"


class Wall(StrEnum):
    """What the walls are made of."""

    STONE = "stone"
    BRICK = "brick"
    WOOD = "wood"
    MOSS = "moss"
    SANDSTONE = "sandstone"
    MARBLE = "marble"


class Floor(StrEnum):
    """What covers the floor."""

    FLAGSTONE = "flagstone"
    SAND = "sand"
    PLANKS = "planks"
    TILES = "tiles"
    GRASS = "grass"


class Ceiling(StrEnum):
    """What the ceiling is made of."""

    PLASTER = "plaster"
    BEAMS = "beams"
    ROCK = "rock"
    COFFERS = "coffers"


class Size(StrEnum):
    """How large the room is (`scene.ROOM_SIZES` has the metres)."""

    SMALL = "small"
    LARGE = "large"


class Color(StrEnum):
    """Colour of the free object; it glows in it, so no light hides it."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    PURPLE = "purple"
    CYAN = "cyan"
    WHITE = "white"
    ORANGE = "orange"


class Shape(StrEnum):
    """Shape of the free object: sphere, cube, stretched octahedron, cone."""

    ORB = "orb"
    CUBE = "cube"
    CRYSTAL = "crystal"
    CONE = "cone"


class Motion(StrEnum):
    """How the free object moves (`motion.object_poses`).

    Slide, orbit and hover are closed forms of the scene time; bounce, roll, topple and swing (a pendulum on a cord
    from the ceiling) are rigid-body physics.
    """

    STILL = "still"
    BOUNCE = "bounce"
    SLIDE = "slide"
    ORBIT = "orbit"
    HOVER = "hover"
    ROLL = "roll"
    TOPPLE = "topple"
    SWING = "swing"


class Prop(StrEnum):
    """The one thing that stands against a wall."""

    NONE = "none"
    CRATE = "crate"
    BARREL = "barrel"
    PILLAR = "pillar"
    ALTAR = "altar"
    OBELISK = "obelisk"


SLOTS: dict[str, type[StrEnum]] = {
    "light": Light,
    "wall": Wall,
    "floor": Floor,
    "ceiling": Ceiling,
    "size": Size,
    "color": Color,
    "shape": Shape,
    "motion": Motion,
    "prop": Prop,
}
"""The text slots in their fixed order; the model's slot tokens follow it."""
