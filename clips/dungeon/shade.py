"""Numba: the linear light that leaves a point of the dungeon towards the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from clips.dungeon.intersect import INLINE, hit_prim
from clips.dungeon.textures import LEVELS, PERIOD_M, SIZE_PX

_FAST: dict[str, Any] = {**INLINE, "fastmath": {"contract", "arcp", "nsz"}}


@njit(**_FAST)
def _bilinear(texels, which, start, size, u, v):  # type: ignore[no-untyped-def]
    x, y = u * size - 0.5, v * size - 0.5
    fx, fy = np.floor(x), np.floor(y)
    a, b = x - fx, y - fy
    c0, r0 = int(fx) & (size - 1), int(fy) & (size - 1)
    c1, r1 = (c0 + 1) & (size - 1), (r0 + 1) & (size - 1)
    # Unsigned, so that Numba does not look for indices from the end.
    i00, i01 = np.uint64(start + r0 * size + c0), np.uint64(start + r0 * size + c1)
    i10, i11 = np.uint64(start + r1 * size + c0), np.uint64(start + r1 * size + c1)
    w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    red = (
        texels[which, i00, 0] * w00
        + texels[which, i01, 0] * w01
        + texels[which, i10, 0] * w10
        + texels[which, i11, 0] * w11
    )
    green = (
        texels[which, i00, 1] * w00
        + texels[which, i01, 1] * w01
        + texels[which, i10, 1] * w10
        + texels[which, i11, 1] * w11
    )
    blue = (
        texels[which, i00, 2] * w00
        + texels[which, i01, 2] * w01
        + texels[which, i10, 2] * w10
        + texels[which, i11, 2] * w11
    )
    return red, green, blue


@njit(**_FAST)
def _texture(textures, tints, which, u_m, v_m, footprint_m):  # type: ignore[no-untyped-def]
    """Albedo at metres (u, v) of a surface, blended between the two mip levels nearest to the footprint."""
    u, v = u_m / PERIOD_M + tints[which, 0], v_m / PERIOD_M + tints[which, 1]
    level = np.log2(max(footprint_m * SIZE_PX / PERIOD_M, 1.0))
    level = min(level, LEVELS - 1.001)
    lower = int(level)
    start, size = 0, SIZE_PX
    for _ in range(lower):
        start += size * size
        size //= 2
    r0, g0, b0 = _bilinear(textures, which, start, size, u, v)
    r1, g1, b1 = _bilinear(textures, which, start + size * size, size // 2, u, v)
    w = level - lower
    return (
        (r0 + (r1 - r0) * w) * tints[which, 2],
        (g0 + (g1 - g0) * w) * tints[which, 3],
        (b0 + (b1 - b0) * w) * tints[which, 4],
    )


@njit(**_FAST)
def _soft_step(low, high, x):  # type: ignore[no-untyped-def]
    s = min(max((x - low) / (high - low), 0.0), 1.0)
    return s * s * (3.0 - 2.0 * s)


@njit(**_FAST)
def _corner_occlusion(cells, cell, p, face):  # type: ignore[no-untyped-def]
    """Closed-form darkening near the other planes of the cell, 1 far from them."""
    open_share = 1.0
    for axis in range(3):
        if axis != face // 2 and (axis != 2 or cell == 2):
            gap = min(p[axis] - cells[cell, 2 * axis], cells[cell, 2 * axis + 1] - p[axis])
            near = 1.0 + max(gap, 0.0) / 0.28
            open_share *= 1.0 - 0.42 / (near * near)
    return open_share


@njit(**_FAST)
def _ball_occlusion(prims, i, p, n):  # type: ignore[no-untyped-def]
    """Ambient light that the sphere standing for a solid leaves over: 1 - solid angle times cosine (closed form)."""
    x, y, z = prims[i, 1] - p[0], prims[i, 2] - p[1], prims[i, 3] - p[2]
    inverse = 1.0 / np.sqrt(x * x + y * y + z * z)
    toward = max((x * n[0] + y * n[1] + z * n[2]) * inverse, 0.0)
    return 1.0 - 0.85 * min(toward * (prims[i, 12] * inverse) ** 2, 1.0)


@njit(**_FAST)
def _lamp_shadow(prims, skip, p, lx, ly, lz, distance):  # type: ignore[no-untyped-def]
    """Share of a lamp's light that passes the props' spheres, with a soft edge; the free object glows, casts none."""
    share = 1.0
    for i in range(1, prims.shape[0]):
        radius = prims[i, 12]
        if radius > 0.0 and i != skip:
            x, y, z = prims[i, 1] - p[0], prims[i, 2] - p[1], prims[i, 3] - p[2]
            along = x * lx + y * ly + z * lz
            if 0.0 < along < distance:
                gap = np.sqrt(max(x * x + y * y + z * z - along * along, 0.0)) - radius
                soft = 0.1 + 0.25 * along
                share *= 0.25 + 0.75 * _soft_step(-0.5 * soft, soft, gap)
    return share


@njit(**_FAST)
def _static_irradiance(packed, skip, p, n, open_share):  # type: ignore[no-untyped-def]
    """Light that ambient and lamps throw on point `p` with unit normal `n` inside the room."""
    ambient, lamps = packed.ambient, packed.lamps
    red, green, blue = ambient[0] * open_share, ambient[1] * open_share, ambient[2] * open_share
    for i in range(lamps.shape[0]):
        x, y, z = lamps[i, 0] - p[0], lamps[i, 1] - p[1], lamps[i, 2] - p[2]
        dd = x * x + y * y + z * z + 1e-6
        inverse = 1.0 / np.sqrt(dd)
        facing = ((x * n[0] + y * n[1] + z * n[2]) * inverse + 0.35) / 1.35
        if facing > 0.0:
            reach = lamps[i, 6]
            strength = facing * reach * reach / (reach * reach + dd) * (0.5 + 0.5 * open_share)
            strength *= _lamp_shadow(packed.prims, skip, p, x * inverse, y * inverse, z * inverse, dd * inverse)
            red += strength * lamps[i, 3]
            green += strength * lamps[i, 4]
            blue += strength * lamps[i, 5]
    return red, green, blue


@njit(**_FAST)
def _object_glow(prims, p, n):  # type: ignore[no-untyped-def]
    """How much of the free object's own colour falls on `p`."""
    x, y, z = prims[0, 1] - p[0], prims[0, 2] - p[1], prims[0, 3] - p[2]
    dd = x * x + y * y + z * z
    return 0.34 * max((x * n[0] + y * n[1] + z * n[2]) / np.sqrt(dd) + 0.2, 0.0) / (0.3 + dd)


@njit(**_FAST)
def _face_normal(face):  # type: ignore[no-untyped-def]
    sign = 1.0 if face % 2 == 0 else -1.0
    return sign if face < 2 else 0.0, sign if 2 <= face < 4 else 0.0, sign if face >= 4 else 0.0


@njit(**_FAST)
def face_irradiance(packed, cell, face, p):  # type: ignore[no-untyped-def]
    """All light at a point of a face that does not change while the free object moves."""
    n = _face_normal(face)
    open_share = _corner_occlusion(packed.cells, cell, p, face)
    for i in range(1, packed.prims.shape[0]):
        if packed.prims[i, 12] > 0.0:
            open_share *= _ball_occlusion(packed.prims, i, p, n)
    red, green, blue = _static_irradiance(packed, -1, p, n, open_share)
    if cell == 2 and face == 3:
        pool = packed.pool
        x, z = (p[0] - pool[0]) / pool[2], (p[2] - pool[1]) / pool[3]
        share = open_share * (1.0 - _soft_step(0.2, 1.0, x * x + z * z))
        red, green, blue = red + share * pool[4], green + share * pool[5], blue + share * pool[6]
    return red, green, blue


@njit(**_FAST)
def face_point(cells, face, a, b):  # type: ignore[no-untyped-def]
    """The point at shares (a, b) of a face of the room."""
    fixed = cells[2, face]
    x = fixed if face < 2 else cells[2, 0] + a * (cells[2, 1] - cells[2, 0])
    y = fixed if 2 <= face < 4 else cells[2, 2] + b * (cells[2, 3] - cells[2, 2])
    z = fixed if face >= 4 else cells[2, 4] + (a if face < 2 else b) * (cells[2, 5] - cells[2, 4])
    return x, y, z


@njit(**_FAST)
def _baked_light(packed, face, p):  # type: ignore[no-untyped-def]
    """`packed.lightmap` at a point on a face of the room, bilinear between its nodes."""
    cells, light = packed.cells, packed.lightmap
    last = light.shape[1] - 1
    u, v = p[0], p[1]
    u_axis, v_axis = 0, 1
    if face < 2:
        u, u_axis = p[2], 2
    elif face < 4:
        v, v_axis = p[2], 2
    x = (u - cells[2, 2 * u_axis]) / (cells[2, 2 * u_axis + 1] - cells[2, 2 * u_axis]) * last
    y = (v - cells[2, 2 * v_axis]) / (cells[2, 2 * v_axis + 1] - cells[2, 2 * v_axis]) * last
    column, row = min(max(int(x), 0), last - 1), min(max(int(y), 0), last - 1)
    a, b = min(max(x - column, 0.0), 1.0), min(max(y - row, 0.0), 1.0)
    w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    red = light[face, row, column, 0] * w00 + light[face, row, column + 1, 0] * w01
    red += light[face, row + 1, column, 0] * w10 + light[face, row + 1, column + 1, 0] * w11
    green = light[face, row, column, 1] * w00 + light[face, row, column + 1, 1] * w01
    green += light[face, row + 1, column, 1] * w10 + light[face, row + 1, column + 1, 1] * w11
    blue = light[face, row, column, 2] * w00 + light[face, row, column + 1, 2] * w01
    blue += light[face, row + 1, column, 2] * w10 + light[face, row + 1, column + 1, 2] * w11
    return red, green, blue


@njit(**_FAST)
def _panel_share(panel, face, p):  # type: ignore[no-untyped-def]
    """(share of the glowing panel, share of its dark frame) at a point on a face of the room."""
    if face != panel[0]:
        return 0.0, 0.0
    a = abs(p[0] - panel[1])
    b = abs((p[1] if face >= 4 else p[2]) - panel[2])
    inside = max(a - panel[3], b - panel[4])
    share = 1.0 - _soft_step(-0.03, 0.03, inside)
    if panel[8] > 0.0:
        bar = min(a, b)
        share *= _soft_step(0.02, 0.09, bar)
        return share, (1.0 - _soft_step(0.06, 0.1, inside)) * (1.0 - share)
    return share, 0.0


@njit(**_FAST)
def _face_albedo(packed, cell, face, p, footprint_m):  # type: ignore[no-untyped-def]
    which = 2
    if cell == 2:
        which = 0
        if face == 3:
            which = 1
        elif face == 2:
            which = 3
    u, v = p[0], p[1]
    if face < 2:
        u = p[2]
    elif face < 4:
        v = p[2]
    if cell == 0 and face == 3:
        u, v = 1.3 * u, 1.3 * v
    red, green, blue = _texture(packed.textures, packed.tints, which, u, v, footprint_m)
    at_gate = cell == 1 or (face == 4 and cell == 2) or (face == 5 and cell == 0)
    if at_gate and face != 3:
        beside = max(abs(p[0]) - packed.cells[1, 1], packed.cells[1, 2] - p[1])
        frame = 1.0 if cell == 1 else 1.0 - _soft_step(0.17, 0.2, beside)
        red, green, blue = red + (0.2 - red) * frame, green + (0.19 - green) * frame, blue + (0.18 - blue) * frame
    return red, green, blue


@njit(**_FAST)
def _antechamber_light(packed, face, p):  # type: ignore[no-untyped-def]
    """Light in the antechamber: the same dim lamp for every room, and some of the room's light on the floor."""
    x, y, z = p[0], p[1] + 2.6, p[2] + 2.4
    lit = 0.16 + 0.5 / (1.0 + 0.35 * (x * x + y * y + z * z))
    lit *= _corner_occlusion(packed.cells, 0, p, face)
    spill = 0.0
    if face == 3:
        spill = 2.5 * max(0.0, 1.0 + p[2] / 2.2) * max(0.0, 1.0 - abs(p[0]) / 1.8)
    ambient = packed.ambient
    return lit + spill * ambient[0], lit + spill * ambient[1], 1.05 * lit + spill * ambient[2]


@njit(**_FAST)
def shade_face(packed, code, p, footprint_m):  # type: ignore[no-untyped-def]
    """Linear RGB of point `p` on face `code` (cell * 6 + face) of the antechamber, doorway or room."""
    cell, face = code // 6, code % 6
    red, green, blue = _face_albedo(packed, cell, face, p, footprint_m)
    if cell == 0:
        er, eg, eb = _antechamber_light(packed, face, p)
        return red * er, green * eg, blue * eb
    if cell == 1:
        er, eg, eb = face_irradiance(packed, cell, face, p)
        return red * er, green * eg, blue * eb
    n = _face_normal(face)
    er, eg, eb = _baked_light(packed, face, p)
    prims = packed.prims
    share, glow = _ball_occlusion(prims, 0, p, n), _object_glow(prims, p, n)
    er, eg, eb = er * share + glow * prims[0, 8], eg * share + glow * prims[0, 9], eb * share + glow * prims[0, 10]
    bright, frame = _panel_share(packed.panel, face, p)
    keep, panel = 1.0 - bright - 0.8 * frame, packed.panel
    return (
        red * er * keep + bright * panel[5],
        green * eg * keep + bright * panel[6],
        blue * eb * keep + bright * panel[7],
    )


@njit(**_FAST)
def _solid_albedo(prims, i, lx, ly, lz):  # type: ignore[no-untyped-def]
    """Albedo of a prop by its surface formula in local coordinates (each -1..1)."""
    red, green, blue = prims[i, 8], prims[i, 9], prims[i, 10]
    surface = int(prims[i, 7])
    tone = 1.0
    if surface == 1:
        ax, ay, az = abs(lx), abs(ly), abs(lz)
        second = max(min(ax, ay), min(max(ax, ay), az))
        rim = _soft_step(0.68, 0.76, second)
        board = np.floor((ly + 1.0) * 2.0)
        gap = abs((ly + 1.0) * 2.0 - board - 0.5)
        tone = (0.74 + 0.1 * (board % 2.0)) * (1.0 - 0.5 * _soft_step(0.4, 0.5, gap)) * (1.0 - rim) + 1.1 * rim
    elif surface == 2:
        hoop = 1.0 - _soft_step(0.07, 0.12, abs(abs(ly) - 0.55))
        stave = 0.88 + 0.18 * np.sin(8.0 * np.arctan2(lz, lx))
        red, green, blue = red * stave, green * stave, blue * stave
        dark = 0.07
        return red + (dark - red) * hoop, green + (dark - green) * hoop, blue + (dark - blue) * hoop
    elif surface == 3:
        trim = 1.0 - _soft_step(0.05, 0.09, abs(abs(ly - 0.1) - 0.5))
        return red + (0.62 - red) * trim, green + (0.42 - green) * trim, blue + (0.1 - blue) * trim
    return red * tone, green * tone, blue * tone


@njit(**_FAST)
def shade_solid(packed, index, p, o, d):  # type: ignore[no-untyped-def]
    """Linear RGB of point `p` on solid `index`, seen along the ray from `o` in direction `d`."""
    prims = packed.prims
    _, nx, ny, nz, lx, ly, lz = hit_prim(prims, index, o, d)
    inverse = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    n = (nx * inverse, ny * inverse, nz * inverse)
    surface = int(prims[index, 7])
    toward = -(n[0] * d[0] + n[1] * d[1] + n[2] * d[2]) / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    if surface == 5:
        hot = 0.9 + 0.9 * toward
        return prims[index, 8] * hot, prims[index, 9] * hot, prims[index, 10] * hot
    if surface == 4:
        # Self-lit: mostly its own colour, shaped by a fixed light from above left so that no room light hides it.
        shape = 0.42 + 0.22 * toward + 0.5 * max(0.0, -0.55 * n[0] - 0.75 * n[1] - 0.37 * n[2])
        spot = max(0.0, -0.4 * n[0] - 0.75 * n[1] - 0.53 * n[2])
        spot = 0.25 * spot**24
        return prims[index, 8] * shape + spot, prims[index, 9] * shape + spot, prims[index, 10] * shape + spot
    red, green, blue = _solid_albedo(prims, index, lx, ly, lz)
    ground = 1.0 - 0.4 * max(0.0, n[1]) - 0.3 * _soft_step(-0.35, 0.0, p[1])
    er, eg, eb = _static_irradiance(packed, index, p, n, ground)
    glow = _object_glow(prims, p, n)
    return red * (er + glow * prims[0, 8]), green * (eg + glow * prims[0, 9]), blue * (eb + glow * prims[0, 10])
