"""A RoomSpec as the flat arrays that the ray caster reads."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from clips.dungeon.attributes import Color, Light, Motion, Prop, Shape, Wall
from clips.dungeon.cells import room_cells
from clips.dungeon.lighting import RIGS, Lamp, Rig
from clips.dungeon.motion import ObjectPoses, object_poses
from clips.dungeon.scene import SHAPE_HALVES, PropPlace, RoomSpec
from clips.dungeon.textures import material_mips, srgb_to_linear

BOX, OCTAHEDRON, PRISM8, FRUSTUM = 0, 1, 2, 3
SPHERE, BARREL, CYLINDER, CONE = 10, 11, 12, 13
PLAIN, CRATE_WOOD, BARREL_WOOD, TRIMMED, SELF_LIT, FLAME = 0, 1, 2, 3, 4, 5
LIGHTMAP_NODES = 40
CORD_RADIUS_M = 0.03

COLORS_SRGB: dict[Color, tuple[int, int, int]] = {
    Color.RED: (232, 36, 40),
    Color.GREEN: (44, 196, 60),
    Color.BLUE: (44, 84, 240),
    Color.YELLOW: (250, 222, 40),
    Color.PURPLE: (160, 52, 222),
    Color.CYAN: (40, 220, 232),
    Color.WHITE: (248, 248, 248),
    Color.ORANGE: (252, 130, 20),
}

_KINDS = {Shape.ORB: SPHERE, Shape.CUBE: BOX, Shape.CRYSTAL: OCTAHEDRON, Shape.CONE: CONE}


class PackedRoom(NamedTuple):
    """A room as arrays for `kernel.render_frames`; lengths in metres, light linear.

    Attributes:
        cells: antechamber, doorway, room as x, y, z ranges, (3, 6).
        prims: one row a solid, the free object first and then its cord if it swings, (P, 22): kind, centre 3,
            half size 3, surface, colour 3, bounding radius, radius of the sphere that stands for it in shadows
            (0: none), object-to-gate rotation 9.
        lamps: (L, 7): place 3, colour 3, reach.
        ambient: (3,).
        panel: (10,): face (-1: none), centre 2, half 2, colour 3, bars, 0.
        pool: (7,): centre x, z, half x, z, colour 3.
        textures: mips of wall, floor, antechamber and ceiling, (4, texels, 3).
        tints: per texture: shift u, v in periods, colour factor 3, (4, 5).
        lightmap: light on the room's faces, filled by `shade.bake_light`, (6, 40, 40, 3), float32.
    """

    cells: np.ndarray
    prims: np.ndarray
    lamps: np.ndarray
    ambient: np.ndarray
    panel: np.ndarray
    pool: np.ndarray
    textures: np.ndarray
    tints: np.ndarray
    lightmap: np.ndarray


def pack(room: RoomSpec) -> PackedRoom:
    """The arrays of `room`."""
    rig = RIGS[room.light]
    flames = [row for lamp in rig.lamps for row in _flame(room, lamp)]
    prims = np.array([_free_object(room), *_cord(room), *prop_solids(room), *flames], dtype=np.float64)
    lamps = np.array([(*_place(room, lamp), *lamp.color, lamp.reach_m) for lamp in rig.lamps])
    return PackedRoom(
        room_cells(room.width_m, room.height_m, room.depth_m),
        prims,
        lamps,
        np.array(rig.ambient),
        _panel(room, rig),
        _pool(room, rig),
        np.stack(
            [
                material_mips(room.wall),
                material_mips(room.floor),
                material_mips(Wall.STONE),
                material_mips(room.ceiling),
            ]
        ),
        _tints(room.texture_seed),
        np.zeros((6, LIGHTMAP_NODES, LIGHTMAP_NODES, 3), dtype=np.float32),
    )


def _tints(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shifts = rng.uniform(0.0, 1.0, (3, 2))
    tints = 1.0 + rng.uniform(-0.07, 0.07, (3, 1)) + rng.uniform(-0.03, 0.03, (3, 3))
    wall, floor, ceiling = np.concatenate([shifts, tints], axis=1)
    return np.stack([wall, floor, np.array([0.0, 0.0, 0.55, 0.58, 0.64]), ceiling])


def _row(
    kind: int,
    center: tuple[float, float, float],
    half: tuple[float, float, float],
    color: tuple[int, int, int],
    surface: int = PLAIN,
    yaw: float = 0.0,
    shadow_m: float = 0.0,
) -> list[float]:
    linear = srgb_to_linear(np.array(color) / 255.0)
    bound = float(np.linalg.norm(half)) if kind < SPHERE or kind in (CYLINDER, CONE) else max(half) * 1.45
    if kind == SPHERE:
        bound = max(half) * 1.001
    cos, sin = math.cos(yaw), math.sin(yaw)
    turn = (cos, 0.0, -sin, 0.0, 1.0, 0.0, sin, 0.0, cos)
    return [kind, *center, *half, surface, *linear, bound, shadow_m, *turn]


def _free_object(room: RoomSpec) -> list[float]:
    size = room.object_size_m
    x, y, z = SHAPE_HALVES[room.shape]
    half = (x * size, y * size, z * size)
    return _row(_KINDS[room.shape], (0.0, 0.0, 0.0), half, COLORS_SRGB[room.color], SELF_LIT, room.object_yaw_rad, size)


def _cord(room: RoomSpec) -> list[list[float]]:
    """The pendulum's cord: half as long as from the ceiling to the object; placed frame by frame."""
    if room.motion is not Motion.SWING:
        return []
    pose = object_poses(room, np.zeros(1))
    if pose.cord_from is None:
        return []
    half_m = 0.5 * float(np.linalg.norm(pose.cord_from[0] - pose.centers[0]))
    return [_row(CYLINDER, (0.0, 0.0, 0.0), (CORD_RADIUS_M, half_m, CORD_RADIUS_M), (70, 56, 44))]


def movers(poses: ObjectPoses) -> Float64[np.ndarray, "T M 12"]:
    """Centre and rotation of the free object, and of its cord if it has one, as `kernel.Shots` takes them."""
    rows = [np.concatenate([poses.centers, poses.rotations.reshape(-1, 9)], axis=1)]
    if poses.cord_from is not None:
        along = poses.centers - poses.cord_from
        y = along / np.linalg.norm(along, axis=1, keepdims=True)
        x = np.cross(y, np.array([0.0, 0.0, 1.0]))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        turn = np.stack([x, y, np.cross(x, y)], axis=-1)
        rows.append(np.concatenate([poses.cord_from + 0.5 * along, turn.reshape(-1, 9)], axis=1))
    return np.ascontiguousarray(np.stack(rows, axis=1))


def _prop_spot(room: RoomSpec, radius_m: float) -> tuple[float, float]:
    """x, z on the floor of a prop of `radius_m` that stands against its wall."""
    gap = radius_m + 0.08
    if room.prop_place is PropPlace.BACK:
        return 0.75 + room.prop_offset_m, room.depth_m - gap
    side = -1.0 if room.prop_place is PropPlace.LEFT else 1.0
    return side * (room.width_m / 2 - gap), 0.72 * room.depth_m + room.prop_offset_m


def prop_solids(room: RoomSpec) -> list[list[float]]:
    """The solids of the room's prop as rows of `PackedRoom.prims`."""
    if room.prop is Prop.CRATE:
        x, z = _prop_spot(room, 0.58)
        return [_row(BOX, (x, -0.5, z), (0.5, 0.5, 0.5), (206, 150, 84), CRATE_WOOD, 0.25, 0.55)]
    if room.prop is Prop.BARREL:
        x, z = _prop_spot(room, 0.5)
        return [_row(BARREL, (x, -0.62, z), (0.5, 0.62, 0.5), (140, 84, 42), BARREL_WOOD, 0.0, 0.55)]
    if room.prop is Prop.PILLAR:
        x, z = _prop_spot(room, 0.5)
        shaft = room.height_m / 2
        return [
            _row(PRISM8, (x, -shaft, z), (0.34, shaft, 0.34), (206, 200, 188), PLAIN, 0.0, 0.4),
            _row(BOX, (x, -0.12, z), (0.46, 0.12, 0.46), (188, 182, 170)),
            _row(BOX, (x, 0.12 - room.height_m, z), (0.46, 0.12, 0.46), (188, 182, 170)),
        ]
    if room.prop is Prop.ALTAR:
        x, z = _prop_spot(room, 0.55)
        wide, deep = (0.85, 0.45) if room.prop_place is PropPlace.BACK else (0.45, 0.85)
        return [
            _row(BOX, (x, -0.4, z), (wide, 0.4, deep), (92, 88, 104), PLAIN, 0.0, 0.6),
            _row(BOX, (x, -0.88, z), (wide + 0.1, 0.09, deep + 0.1), (206, 164, 62), TRIMMED),
        ]
    if room.prop is Prop.OBELISK:
        x, z = _prop_spot(room, 0.5)
        return [
            _row(FRUSTUM, (x, -1.2, z), (0.36, 1.1, 0.36), (58, 54, 70), TRIMMED, 0.0, 0.45),
            _row(BOX, (x, -0.1, z), (0.48, 0.1, 0.48), (84, 80, 96)),
        ]
    return []


def _place(room: RoomSpec, lamp: Lamp) -> tuple[float, float, float]:
    x, height, z = lamp.place
    inward = 0.72 if abs(x) > 0.5 else 1.0
    return inward * x * room.width_m / 2, -height * room.height_m, z * room.depth_m


def _flame(room: RoomSpec, lamp: Lamp) -> list[list[float]]:
    if lamp.flame_m <= 0.0:
        return []
    x, height, z = lamp.place
    center = (x * room.width_m / 2, -height * room.height_m, z * room.depth_m)
    if room.light is not Light.TORCHLIGHT:
        return [_row(SPHERE, center, (lamp.flame_m,) * 3, (150, 255, 190), FLAME)]
    stick = (center[0], center[1] + 0.36, center[2])
    return [
        _row(SPHERE, center, (0.12, lamp.flame_m, 0.12), (255, 214, 110), FLAME),
        _row(CYLINDER, stick, (0.055, 0.24, 0.055), (60, 38, 24)),
    ]


def _panel(room: RoomSpec, rig: Rig) -> np.ndarray:
    panel = rig.panel
    if panel is None:
        return np.array([-1.0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    second = -panel.center[1] * room.height_m if panel.face == 5 else panel.center[1] * room.depth_m
    first = panel.center[0] * room.width_m / 2
    return np.array([panel.face, first, second, *panel.half_m, *panel.color, float(panel.bars), 0.0])


def _pool(room: RoomSpec, rig: Rig) -> np.ndarray:
    x, z = rig.pool_center
    return np.array([x * room.width_m / 2, z * room.depth_m, *rig.pool_half_m, *rig.pool_color])
