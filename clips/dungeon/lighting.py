"""What each light word means: ambient and point lights, the glowing panel one sees, the pool it throws."""

from __future__ import annotations

from dataclasses import dataclass

from clips.dungeon.attributes import Light

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A point light; its place is given in shares of the room: x of half the width, y of the height, z of the depth.

    Attributes:
        place: (x in [-1, 1], height in [0, 1], z in [0, 1]).
        color: linear light at the lamp.
        reach_m: distance at which its light has fallen to half.
        flame_m: half height of the visible flame or orb; 0 shows none.
    """

    place: tuple[float, float, float]
    color: Rgb
    reach_m: float
    flame_m: float = 0.0


@dataclass(frozen=True)
class Panel:
    """A glowing rectangle on a face of the room: a window, a skylight, a bed of embers.

    Attributes:
        face: 2 ceiling, 3 floor, 5 back wall (the order of `kernel` faces).
        center: on the face, in shares like Lamp.place: (x, height or z).
        half_m: half its width and height, metres.
        color: linear light.
        bars: True draws the cross of a window.
    """

    face: int
    center: tuple[float, float]
    half_m: tuple[float, float]
    color: Rgb
    bars: bool = False


@dataclass(frozen=True)
class Rig:
    """The whole lighting of one light word; `pool_*` is a soft ellipse of light on the floor."""

    ambient: Rgb
    lamps: tuple[Lamp, ...]
    panel: Panel | None = None
    pool_center: tuple[float, float] = (0.0, 0.5)
    pool_half_m: tuple[float, float] = (1.0, 1.0)
    pool_color: Rgb = (0.0, 0.0, 0.0)


RIGS: dict[Light, Rig] = {
    Light.TORCHLIGHT: Rig(
        ambient=(0.21, 0.155, 0.115),
        lamps=(
            Lamp((-0.93, 0.66, 0.55), (2.2, 1.4, 0.76), 1.15, 0.20),
            Lamp((0.93, 0.66, 0.55), (2.2, 1.4, 0.76), 1.15, 0.20),
        ),
    ),
    Light.MOONLIGHT: Rig(
        ambient=(0.085, 0.125, 0.25),
        lamps=(Lamp((0.0, 0.72, 0.86), (0.55, 0.85, 1.75), 2.0),),
        panel=Panel(5, (0.0, 0.72), (0.62, 0.5), (0.62, 0.82, 1.25), bars=True),
        pool_center=(0.0, 0.45),
        pool_half_m=(1.1, 1.7),
        pool_color=(0.35, 0.55, 1.15),
    ),
    Light.DAYLIGHT: Rig(
        ambient=(0.44, 0.45, 0.47),
        lamps=(Lamp((0.0, 0.9, 0.55), (1.3, 1.26, 1.15), 2.4),),
        panel=Panel(2, (0.0, 0.6), (1.0, 0.8), (1.5, 1.6, 1.7)),
        pool_center=(0.0, 0.56),
        pool_half_m=(1.7, 1.5),
        pool_color=(0.75, 0.72, 0.62),
    ),
    Light.EMBER: Rig(
        ambient=(0.19, 0.085, 0.065),
        lamps=(Lamp((0.0, 0.18, 0.88), (2.7, 0.8, 0.36), 1.7),),
        panel=Panel(5, (0.0, 0.11), (0.8, 0.34), (1.9, 0.5, 0.07)),
    ),
    Light.WITCHLIGHT: Rig(
        ambient=(0.11, 0.2, 0.13),
        lamps=(Lamp((0.0, 0.84, 0.62), (0.85, 1.95, 1.1), 1.9, 0.16),),
    ),
}
