"""Periodic albedo textures of walls, floors and ceilings, made by formula once per process, with mip levels.

They cover 3.2 m x 3.2 m and repeat; rooms shift and tint them. All are calm: no detail under about 5 cm.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from clips.dungeon.attributes import Ceiling, Floor, Wall

PERIOD_M = 3.2
SIZE_PX = 128
LEVELS = 6

Field = np.ndarray


def srgb_to_linear(color: np.ndarray) -> np.ndarray:
    """Linear light of sRGB-encoded values in [0, 1] (IEC 61966-2-1)."""
    color = np.asarray(color, dtype=np.float64)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: np.ndarray) -> np.ndarray:
    """sRGB-encoded values of linear light in [0, 1] (IEC 61966-2-1)."""
    light = np.asarray(light, dtype=np.float64)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0) ** (1 / 2.4) - 0.055)


@functools.lru_cache(maxsize=32)
def material_mips(material: Wall | Floor | Ceiling) -> np.ndarray:
    """Linear albedo of a material, all mip levels one after another, (sum of level sizes, 3), float32."""
    image = srgb_to_linear(np.clip(_PAINTERS[material](), 0.0, 1.0))
    levels = []
    for _ in range(LEVELS):
        levels.append(image.reshape(-1, 3))
        half = image.shape[0] // 2
        image = image.reshape(half, 2, half, 2, 3).mean(axis=(1, 3))
    mips = np.ascontiguousarray(np.concatenate(levels), dtype=np.float32)
    mips.setflags(write=False)
    return mips


def _grid() -> tuple[Field, Field]:
    """u (to the right) and v (down) of texel centres in [0, 1), each (SIZE, SIZE)."""
    line = (np.arange(SIZE_PX) + 0.5) / SIZE_PX
    v, u = np.meshgrid(line, line, indexing="ij")
    return u, v


def _noise(seed: int, cells_u: int, cells_v: int, u: Field | None = None, v: Field | None = None) -> Field:
    """Periodic value noise in [-1, 1] with `cells` lattice points a period."""
    lattice = np.random.default_rng(seed).uniform(-1.0, 1.0, (cells_v, cells_u))
    grid_u, grid_v = _grid()
    x, y = (grid_u if u is None else u) * cells_u, (grid_v if v is None else v) * cells_v
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = _smooth(x - column), _smooth(y - row)
    c0, c1, r0, r1 = column % cells_u, (column + 1) % cells_u, row % cells_v, (row + 1) % cells_v
    top = lattice[r0, c0] * (1 - a) + lattice[r0, c1] * a
    bottom = lattice[r1, c0] * (1 - a) + lattice[r1, c1] * a
    return np.asarray(top * (1 - b) + bottom * b)


def _smooth(x: Field) -> Field:
    return np.asarray(x * x * (3 - 2 * x))


def _paint(base: tuple[int, int, int], shade: Field) -> Field:
    return np.asarray(np.array(base)[None, None, :] / 255.0 * (1.0 + shade[..., None]))


def _mix(first: Field, second: Field, weight: Field) -> Field:
    return np.asarray(first + (second - first) * weight[..., None])


def _blocks(columns: int, rows: int, gap_m: float, seed: int) -> tuple[Field, Field]:
    """Running-bond masonry: a shade per block in [-1, 1], and the weight of the joint in [0, 1]."""
    u, v = _grid()
    row = np.floor(v * rows).astype(int)
    x = u * columns + 0.5 * (row % 2)
    column = np.floor(x).astype(int) % columns
    shade = np.random.default_rng(seed).uniform(-1.0, 1.0, (rows, columns))[row, column]
    du = np.minimum(x % 1.0, 1 - x % 1.0) * PERIOD_M / columns
    dv = np.minimum((v * rows) % 1.0, 1 - (v * rows) % 1.0) * PERIOD_M / rows
    return shade, _line(np.minimum(du, dv), gap_m)


def _line(distance_m: Field, half_width_m: float) -> Field:
    """1 on a line, falling to 0 within one texel beyond its half width."""
    texel_m = PERIOD_M / SIZE_PX
    return np.asarray(np.clip((half_width_m + texel_m - distance_m) / texel_m, 0.0, 1.0))


def _stone() -> Field:
    shade, joint = _blocks(4, 6, 0.02, 11)
    face = _paint((138, 136, 132), 0.12 * shade + 0.08 * _noise(12, 16, 16))
    return _mix(face, _paint((66, 64, 62), np.zeros_like(joint)), joint)


def _brick() -> Field:
    shade, joint = _blocks(5, 10, 0.012, 21)
    face = _paint((172, 74, 54), 0.13 * shade + 0.07 * _noise(22, 16, 16))
    return _mix(face, _paint((196, 178, 160), np.zeros_like(joint)), joint)


def _boards(count: int, base: tuple[int, int, int], seed: int) -> Field:
    """Boards that run along v."""
    u, _ = _grid()
    board = np.floor(u * count).astype(int)
    shade = np.random.default_rng(seed).uniform(-1.0, 1.0, count)[board]
    grain = _noise(seed + 1, 32, 3)
    gap = _line(np.minimum((u * count) % 1.0, 1 - (u * count) % 1.0) * PERIOD_M / count, 0.008)
    return _mix(_paint(base, 0.14 * shade + 0.08 * grain), _paint((46, 28, 16), np.zeros_like(gap)), gap)


def _wood() -> Field:
    return _boards(8, (136, 86, 46), 31)


def _moss() -> Field:
    patch = _smooth(np.clip(0.5 + 0.8 * _noise(41, 5, 5) + 0.3 * _noise(42, 11, 11), 0.0, 1.0))
    deep = _paint((44, 88, 46), 0.1 * _noise(43, 18, 18))
    return _mix(deep, _paint((112, 150, 62), 0.1 * _noise(44, 18, 18)), patch)


def _sandstone() -> Field:
    u, v = _grid()
    layer = np.sin(2 * math.pi * (5 * v + 0.22 * _noise(51, 4, 4)))
    fine = np.sin(2 * math.pi * (11 * v + 0.3 * _noise(52, 3, 3, u, v)))
    tint = np.stack([0.0 * layer, -0.05 * layer, -0.14 * layer], axis=-1)
    return _paint((220, 178, 112), 0.09 * layer + 0.04 * fine) + tint


def _marble() -> Field:
    u, v = _grid()
    vein = np.abs(np.sin(math.pi * (2 * u + 2 * v + 0.9 * _noise(61, 4, 4) + 0.3 * _noise(62, 9, 9))))
    weight = np.clip(1.0 - vein / 0.3, 0.0, 1.0) ** 1.5 * 0.75
    return _mix(_paint((232, 230, 228), 0.04 * _noise(63, 6, 6)), _paint((120, 128, 150), 0 * vein), weight)


def _flagstone() -> Field:
    shade, joint = _blocks(4, 4, 0.022, 71)
    face = _paint((112, 116, 126), 0.13 * shade + 0.07 * _noise(72, 14, 14))
    return _mix(face, _paint((52, 52, 58), np.zeros_like(joint)), joint)


def _sand() -> Field:
    _, v = _grid()
    ripple = np.sin(2 * math.pi * (8 * v + 0.6 * _noise(81, 4, 4)))
    return _paint((226, 196, 130), 0.06 * ripple + 0.06 * _noise(82, 8, 8))


def _planks() -> Field:
    return _boards(10, (160, 104, 54), 91)


def _tiles() -> Field:
    u, v = _grid()
    odd = (np.floor(u * 4) + np.floor(v * 4)).astype(int) % 2
    light = _paint((214, 206, 192), 0.05 * _noise(101, 8, 8))
    return _mix(light, _paint((62, 56, 74), 0.1 * _noise(102, 8, 8)), odd.astype(np.float64))


def _grass() -> Field:
    tuft = 0.16 * _noise(111, 9, 9) + 0.12 * _noise(112, 24, 24)
    return _paint((92, 152, 56), tuft)


def _plaster() -> Field:
    return _paint((198, 190, 176), 0.05 * _noise(121, 4, 4) + 0.02 * _noise(122, 12, 12))


def _beams() -> Field:
    """Dark beams that run from the gate into the room, over pale boards."""
    u, _ = _grid()
    boards = _boards(8, (176, 132, 84), 131)
    away = np.abs((u * 3) % 1.0 - 0.5) * PERIOD_M / 3
    return _mix(boards, _paint((58, 36, 22), 0.08 * _noise(132, 24, 3)), _line(away, 0.15))


def _rock() -> Field:
    rough = 0.22 * _noise(141, 5, 5) + 0.12 * _noise(142, 11, 11)
    return _paint((84, 84, 98), rough)


def _coffers() -> Field:
    """Square sunken panels between pale ribs."""
    u, v = _grid()
    edge = (0.5 - np.maximum(np.abs((u * 3) % 1.0 - 0.5), np.abs((v * 3) % 1.0 - 0.5))) * PERIOD_M / 3
    panel = _paint((112, 62, 44), 0.06 * _noise(151, 6, 6))
    return _mix(panel, _paint((206, 182, 140), np.zeros_like(edge)), _line(edge, 0.11))


_PAINTERS = {
    Wall.STONE: _stone,
    Wall.BRICK: _brick,
    Wall.WOOD: _wood,
    Wall.MOSS: _moss,
    Wall.SANDSTONE: _sandstone,
    Wall.MARBLE: _marble,
    Floor.FLAGSTONE: _flagstone,
    Floor.SAND: _sand,
    Floor.PLANKS: _planks,
    Floor.TILES: _tiles,
    Floor.GRASS: _grass,
    Ceiling.PLASTER: _plaster,
    Ceiling.BEAMS: _beams,
    Ceiling.ROCK: _rock,
    Ceiling.COFFERS: _coffers,
}
