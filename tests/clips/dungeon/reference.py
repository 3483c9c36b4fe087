"""A slow, plain NumPy ray caster of the dungeon, written apart from the Numba one.

It finds walls by trying every rectangle, solids by marching along their implicit functions and bisecting, normals by
differences, and it shades each of the 2x2 rays of a pixel with light that is not baked.
"""

from __future__ import annotations

import numpy as np

from clips.cameras import Cameras
from clips.dungeon.motion import object_poses
from clips.dungeon.packing import PackedRoom, movers, pack
from clips.dungeon.scene import RoomSpec
from clips.dungeon.textures import LEVELS, PERIOD_M, SIZE_PX, linear_to_srgb

FAR = 1e30


def reference_frame(room: RoomSpec, cameras: Cameras, frame: int, time_s: float):
    """(rgb (H, W, 3) float in 0..255, depth (H, W), code (H, W)) of one frame; code 18 is the free object."""
    packed = pack(room)
    for index, row in enumerate(movers(object_poses(room, np.array([time_s])))[0]):
        packed.prims[index, 1:4], packed.prims[index, 13:22] = row[:3], row[3:]
    o = cameras.positions[frame]
    footprint = 1.0 / cameras.Ks[frame, 0, 0]
    depth, code = _trace(packed, o, _directions(cameras, frame, 0.0, 0.0))
    light = np.zeros((cameras.height * cameras.width, 3))
    for dx, dy in ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)):
        d = _directions(cameras, frame, dx, dy)
        depth_m, hit = _trace(packed, o, d)
        light += 0.25 * _shade(packed, o, d, depth_m, hit, footprint)
    shape = (cameras.height, cameras.width)
    shoulder = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))
    return 255.0 * linear_to_srgb(shoulder).reshape(*shape, 3), depth.reshape(shape), code.reshape(shape)


def _directions(cameras: Cameras, frame: int, dx: float, dy: float):
    rows, columns = np.mgrid[0 : cameras.height, 0 : cameras.width]
    pixels = np.stack([columns + 0.5 + dx, rows + 0.5 + dy, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    return pixels @ np.linalg.inv(cameras.Ks[frame]).T @ cameras.camera_to_world[frame, :3, :3].T


def _trace(packed: PackedRoom, o, d):
    depth, code = np.full(len(d), FAR), np.full(len(d), -1)
    opening = packed.cells[1]
    for cell in range(3):
        for face in range(6):
            if cell == 1 and face >= 4:
                continue
            axis, bounds = face // 2, packed.cells[cell]
            leaving = d[:, axis] > 0 if face % 2 else d[:, axis] < 0
            with np.errstate(divide="ignore", invalid="ignore"):
                depth_m = (bounds[face] - o[axis]) / d[:, axis]
                p = o + depth_m[:, None] * d
            ok = leaving & (depth_m > 0) & (depth_m < depth)
            for other in range(3):
                if other != axis:
                    ok &= (p[:, other] >= bounds[2 * other] - 1e-9) & (p[:, other] <= bounds[2 * other + 1] + 1e-9)
            if (cell, face) in {(2, 4), (0, 5)}:
                ok &= ~((p[:, 0] > opening[0]) & (p[:, 0] < opening[1]) & (p[:, 1] > opening[2]))
            depth[ok], code[ok] = depth_m[ok], cell * 6 + face
    for index in range(len(packed.prims)):
        depth_m = _march(packed.prims[index], o, d)
        ok = depth_m < depth
        depth[ok], code[ok] = depth_m[ok], 18 + index
    return depth, code


def _local(p, points):
    return (points - p[1:4]) @ p[13:22].reshape(3, 3) / p[4:7]


def _implicit(p, points):
    """Negative inside the solid, convex along every line."""
    x, y, z = np.moveaxis(_local(p, points.reshape(-1, 3)), -1, 0).reshape(3, *points.shape[:-1])
    side = np.hypot(x, z)
    kind = int(p[0])
    turns = [np.abs(x * np.cos(a) + z * np.sin(a)) for a in np.arange(4) * np.pi / 4]
    body = {
        0: np.maximum(np.abs(x), np.abs(z)) - 1,
        1: np.abs(x) + np.abs(y) + np.abs(z) - 1,
        2: np.max(turns, axis=0) - 1,
        3: np.maximum(np.abs(x), np.abs(z)) - 0.7 - 0.3 * y,
        10: np.sqrt(x * x + y * y + z * z) - 1,
        11: np.sqrt(x * x + 0.3 * y * y + z * z) - 1,
        12: side - 1,
        13: side - (y + 1) / 2,
    }[kind]
    return np.maximum(body, np.abs(y) - 1)


def _march(p, o, d):
    depth = np.full(len(d), FAR)
    reach = p[11] / np.linalg.norm(d, axis=1)
    middle = ((p[1:4] - o) @ d.T) / (d * d).sum(axis=1)
    near = np.flatnonzero((np.linalg.norm(o + middle[:, None] * d - p[1:4], axis=1) < p[11]) & (middle > 0))
    if len(near) == 0:
        return depth
    d, start, step = d[near], (middle - reach)[near], 2 * reach[near] / 500
    inside = np.stack([_implicit(p, o + (start + k * step)[:, None] * d) < 0 for k in range(501)], axis=1)
    hit = inside.any(axis=1)
    low = start + (inside.argmax(axis=1) - 1) * step
    high = low + step
    for _ in range(40):
        half = 0.5 * (low + high)
        within = _implicit(p, o + half[:, None] * d) < 0
        low, high = np.where(within, low, half), np.where(within, half, high)
    depth[near] = np.where(hit & (low > 0), low, FAR)
    return depth


def _step(low, high, x):
    s = np.clip((x - low) / (high - low), 0, 1)
    return s * s * (3 - 2 * s)


def _shade(packed, o, d, depth, code, footprint):
    light = np.zeros_like(d)
    for c in np.unique(code):
        at = code == c
        points = o + depth[at, None] * d[at]
        if c < 18:
            light[at] = _shade_face(packed, c // 6, c % 6, points, d[at], depth[at] * footprint)
        else:
            light[at] = _shade_solid(packed, c - 18, points, d[at])
    return light


def _shade_face(packed, cell, face, p, d, pixel_m):
    length = np.linalg.norm(d, axis=1)
    facing = np.maximum(np.abs(d[:, face // 2]) / length, 0.1)
    albedo = _face_albedo(packed, cell, face, p, pixel_m * length / np.sqrt(facing))
    n = np.zeros(3)
    n[face // 2] = -1.0 if face % 2 else 1.0
    corner = np.ones(len(p))
    for axis in range(3):
        if axis != face // 2 and (axis != 2 or cell == 2):
            gap = np.minimum(p[:, axis] - packed.cells[cell, 2 * axis], packed.cells[cell, 2 * axis + 1] - p[:, axis])
            corner *= 1 - 0.42 / (1 + np.maximum(gap, 0) / 0.28) ** 2
    if cell == 0:
        lit = corner * (0.16 + 0.5 / (1 + 0.35 * ((p - np.array([0, -2.6, -2.4])) ** 2).sum(axis=1)))
        spill = np.zeros(len(p))
        if face == 3:
            spill = 2.5 * np.maximum(0, 1 + p[:, 2] / 2.2) * np.maximum(0, 1 - np.abs(p[:, 0]) / 1.8)
        return albedo * (lit[:, None] * [1, 1, 1.05] + spill[:, None] * packed.ambient)
    open_share = corner.copy()
    for row in packed.prims[1:]:
        if row[12] > 0:
            open_share *= _ball(row, p, n)
    incoming = _lamps(packed, -1, p, np.broadcast_to(n, p.shape), open_share)
    if cell == 1:
        return albedo * incoming
    if face == 3:
        pool = packed.pool
        share = open_share * (1 - _step(0.2, 1, (((p[:, ::2] - pool[:2]) / pool[2:4]) ** 2).sum(axis=1)))
        incoming = incoming + share[:, None] * pool[4:]
    incoming = incoming * _ball(packed.prims[0], p, n)[:, None] + _glow(packed, p, n)
    bright, frame = _panel(packed.panel, face, p)
    return albedo * incoming * (1 - bright - 0.8 * frame)[:, None] + bright[:, None] * packed.panel[5:8]


def _face_albedo(packed, cell, face, p, footprint_m):
    which = 2 if cell != 2 else {2: 3, 3: 1}.get(face, 0)
    u, v = (p[:, 2], p[:, 1]) if face < 2 else ((p[:, 0], p[:, 2]) if face < 4 else (p[:, 0], p[:, 1]))
    if cell == 0 and face == 3:
        u, v = 1.3 * u, 1.3 * v
    tint = packed.tints[which]
    u, v = u / PERIOD_M + tint[0], v / PERIOD_M + tint[1]
    level = np.clip(np.log2(np.maximum(footprint_m * SIZE_PX / PERIOD_M, 1)), 0, LEVELS - 1.001)
    lower = level.astype(int)
    both = [_texels(packed.textures[which], lower + k, u, v) for k in (0, 1)]
    albedo = (both[0] + (both[1] - both[0]) * (level - lower)[:, None]) * tint[2:]
    if (cell == 1 or (cell, face) in {(2, 4), (0, 5)}) and face != 3:
        beside = np.maximum(np.abs(p[:, 0]) - packed.cells[1, 1], packed.cells[1, 2] - p[:, 1])
        share = np.ones(len(p)) if cell == 1 else 1 - _step(0.17, 0.2, beside)
        albedo = albedo + (np.array([0.2, 0.19, 0.18]) - albedo) * share[:, None]
    return albedo


def _texels(mips, level, u, v):
    result = np.zeros((len(u), 3))
    start = 0
    for k in range(LEVELS):
        size = SIZE_PX >> k
        image = mips[start : start + size * size].reshape(size, size, 3)
        start += size * size
        at = level == k
        x, y = u[at] * size - 0.5, v[at] * size - 0.5
        c, r = np.floor(x).astype(int), np.floor(y).astype(int)
        a, b = (x - c)[:, None], (y - r)[:, None]
        rows = [image[r % size, c % size], image[r % size, (c + 1) % size]]
        below = [image[(r + 1) % size, c % size], image[(r + 1) % size, (c + 1) % size]]
        result[at] = (rows[0] * (1 - a) + rows[1] * a) * (1 - b) + (below[0] * (1 - a) + below[1] * a) * b
    return result


def _ball(row, p, n):
    toward = row[1:4] - p
    distance = np.linalg.norm(toward, axis=1)
    cosine = np.maximum((toward * n).sum(axis=1) / distance, 0)
    return 1 - 0.85 * np.minimum(cosine * (row[12] / distance) ** 2, 1)


def _glow(packed, p, n):
    toward = packed.prims[0, 1:4] - p
    dd = (toward**2).sum(axis=1)
    share = 0.34 * np.maximum((toward * n).sum(axis=1) / np.sqrt(dd) + 0.2, 0) / (0.3 + dd)
    return share[:, None] * packed.prims[0, 8:11]


def _lamps(packed, skip, p, n, open_share):
    incoming = open_share[:, None] * packed.ambient
    for lamp in packed.lamps:
        toward = lamp[:3] - p
        dd = (toward**2).sum(axis=1)
        distance = np.sqrt(dd)
        unit = toward / distance[:, None]
        facing = np.maximum(((unit * n).sum(axis=1) + 0.35) / 1.35, 0)
        strength = facing * lamp[6] ** 2 / (lamp[6] ** 2 + dd) * (0.5 + 0.5 * open_share)
        for index, row in enumerate(packed.prims):
            if index not in {0, skip} and row[12] > 0:
                center = row[1:4] - p
                along = (center * unit).sum(axis=1)
                gap = np.sqrt(np.maximum((center**2).sum(axis=1) - along**2, 0)) - row[12]
                soft = 0.1 + 0.25 * np.maximum(along, 0)
                blocked = 0.25 + 0.75 * _step(-0.5 * soft, soft, gap)
                strength = strength * np.where((along > 0) & (along < distance), blocked, 1)
        incoming = incoming + strength[:, None] * lamp[3:6]
    return incoming


def _panel(panel, face, p):
    if face != panel[0]:
        return np.zeros(len(p)), np.zeros(len(p))
    a, b = np.abs(p[:, 0] - panel[1]), np.abs((p[:, 1] if face >= 4 else p[:, 2]) - panel[2])
    inside = np.maximum(a - panel[3], b - panel[4])
    share = 1 - _step(-0.03, 0.03, inside)
    if panel[8] == 0:
        return share, np.zeros(len(p))
    share = share * _step(0.02, 0.09, np.minimum(a, b))
    return share, (1 - _step(0.06, 0.1, inside)) * (1 - share)


def _shade_solid(packed, index, p, d):
    row = packed.prims[index]
    # Just inside the surface, so that the differences see one face.
    n = np.stack([_implicit(row, p + e) - _implicit(row, p - e) for e in 1e-5 * np.eye(3)], axis=-1)
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    toward = -(n * d).sum(axis=1) / np.linalg.norm(d, axis=1)
    color, surface = row[8:11], int(row[7])
    if surface == 5:
        return color * (0.9 + 0.9 * toward)[:, None]
    if surface == 4:
        shape = 0.42 + 0.22 * toward + 0.5 * np.maximum(0, n @ [-0.55, -0.75, -0.37])
        spot = 0.25 * np.maximum(0, n @ [-0.4, -0.75, -0.53]) ** 24
        return color * shape[:, None] + spot[:, None]
    ground = 1 - 0.4 * np.maximum(0, n[:, 1]) - 0.3 * _step(-0.35, 0, p[:, 1])
    return _solid_albedo(row, _local(row, p)) * (_lamps(packed, index, p, n, ground) + _glow(packed, p, n))


def _solid_albedo(row, local):
    color, surface = row[8:11], int(row[7])
    y = local[:, 1]
    if surface == 1:
        second = np.sort(np.abs(local), axis=1)[:, 1]
        rim = _step(0.68, 0.76, second)
        board = np.floor((y + 1) * 2)
        gap = np.abs((y + 1) * 2 - board - 0.5)
        tone = (0.74 + 0.1 * (board % 2)) * (1 - 0.5 * _step(0.4, 0.5, gap)) * (1 - rim) + 1.1 * rim
        return color * tone[:, None]
    if surface == 2:
        hoop = (1 - _step(0.07, 0.12, np.abs(np.abs(y) - 0.55)))[:, None]
        staves = color * (0.88 + 0.18 * np.sin(8 * np.arctan2(local[:, 2], local[:, 0])))[:, None]
        return staves + (0.07 - staves) * hoop
    if surface == 3:
        trim = (1 - _step(0.05, 0.09, np.abs(np.abs(y - 0.1) - 0.5)))[:, None]
        return color + (np.array([0.62, 0.42, 0.1]) - color) * trim
    return np.broadcast_to(color, local.shape)
