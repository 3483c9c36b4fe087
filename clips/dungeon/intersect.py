"""Numba: where a ray meets the room and the solids in it.

A ray's direction has camera z 1, so its parameter is the depth along the camera's z axis in metres.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAR_M = 1e30
INLINE: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": True}
"""Options of the small functions: they end up inside the two cached entry points of `kernel`."""


def _planes() -> np.ndarray:
    """Unit solids as half spaces n.p <= d, rows (nx, ny, nz, d).

    Rows 0-5 are the box, 6-13 the octahedron, 14-23 the octagonal prism, 24-29 the frustum.
    """
    box = [(s * (a == 0), s * (a == 1), s * (a == 2), 1.0) for a in range(3) for s in (-1.0, 1.0)]
    octahedron = [(i, j, k, 1.0) for i in (-1.0, 1.0) for j in (-1.0, 1.0) for k in (-1.0, 1.0)]
    turns = np.arange(8) * np.pi / 4
    prism = [(0.0, -1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0)] + [(np.cos(a), 0.0, np.sin(a), 1.0) for a in turns]
    lean = -0.3
    sides = [(1.0, lean, 0.0, 0.7), (-1.0, lean, 0.0, 0.7), (0.0, lean, 1.0, 0.7), (0.0, lean, -1.0, 0.7)]
    return np.array(box + octahedron + prism + prism[:2] + sides, dtype=np.float64)


PLANES = _planes()
PLANE_ENDS = np.array([0, 6, 14, 24, 30])


@njit(**INLINE)
def cell_exit(cells, cell, o, d):  # type: ignore[no-untyped-def]
    """(depth, cell, face) where the ray leaves the three cells; faces: x-, x+, ceiling, floor, z-, z+."""
    while True:
        best, face = FAR_M, 0
        for axis in range(3):
            speed = d[axis]
            if speed > 1e-12:
                depth_m = (cells[cell, 2 * axis + 1] - o[axis]) / speed
                if depth_m < best:
                    best, face = depth_m, 2 * axis + 1
            elif speed < -1e-12:
                depth_m = (cells[cell, 2 * axis] - o[axis]) / speed
                if depth_m < best:
                    best, face = depth_m, 2 * axis
        if not ((cell == 2 and face == 4) or cell == 1 or (cell == 0 and face == 5)) or face < 4:
            return best, cell, face
        x, y = o[0] + best * d[0], o[1] + best * d[1]
        if cell != 1 and (x < cells[1, 0] or x > cells[1, 1] or y < cells[1, 2]):
            return best, cell, face
        cell += 1 if face == 5 else -1


@njit(**INLINE)
def _polyhedron(kind, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    near, far, hit = -FAR_M, FAR_M, -1
    for i in range(PLANE_ENDS[kind], PLANE_ENDS[kind + 1]):
        along = PLANES[i, 0] * dx + PLANES[i, 1] * dy + PLANES[i, 2] * dz
        room = PLANES[i, 3] - (PLANES[i, 0] * ox + PLANES[i, 1] * oy + PLANES[i, 2] * oz)
        if along < -1e-12:
            depth_m = room / along
            if depth_m > near:
                near, hit = depth_m, i
        elif along > 1e-12:
            far = min(far, room / along)
        elif room < 0.0:
            return FAR_M, 0.0, 0.0, 0.0
    if near >= far or near <= 0.0 or hit < 0:
        return FAR_M, 0.0, 0.0, 0.0
    return near, PLANES[hit, 0], PLANES[hit, 1], PLANES[hit, 2]


@njit(**INLINE)
def _quadric(kind, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """x^2 + z^2 + qa y^2 + qb y + qc <= 0 between y -1 and 1: sphere, barrel, cylinder, cone (apex at y -1)."""
    qa, qb, qc = 1.0, 0.0, -1.0
    if kind == 11:
        qa, qc = 0.3, -1.0
    elif kind == 12:
        qa = 0.0
    elif kind == 13:
        qa, qb, qc = -0.25, -0.5, -0.25
    near, far = -FAR_M, FAR_M
    if abs(dy) > 1e-12:
        t0, t1 = (-1.0 - oy) / dy, (1.0 - oy) / dy
        near, far = min(t0, t1), max(t0, t1)
    elif abs(oy) > 1.0:
        return FAR_M, 0.0, 0.0, 0.0
    cap = near
    a = dx * dx + dz * dz + qa * dy * dy
    b = ox * dx + oz * dz + qa * oy * dy + 0.5 * qb * dy
    c = ox * ox + oz * oz + qa * oy * oy + qb * oy + qc
    root = b * b - a * c
    if abs(a) < 1e-12:
        a = 1e-12
    if root <= 0.0:
        if a > 0.0:
            return FAR_M, 0.0, 0.0, 0.0
    else:
        root = np.sqrt(root)
        r0, r1 = (-b - root) / a, (-b + root) / a
        if r0 > r1:
            r0, r1 = r1, r0
        if a > 0.0:
            near, far = max(near, r0), min(far, r1)
        elif r0 > near:
            far = min(far, r0)
        else:
            near = max(near, r1)
    if near >= far or near <= 0.0:
        return FAR_M, 0.0, 0.0, 0.0
    if near == cap:
        return near, 0.0, -1.0 if dy > 0.0 else 1.0, 0.0
    y = oy + near * dy
    return near, ox + near * dx, qa * y + 0.5 * qb, oz + near * dz


@njit(**INLINE)
def hit_prim(prims, i, o, d):  # type: ignore[no-untyped-def]
    """(depth, world normal not unit, local hit point) of a ray on solid `i`; depth FAR_M on a miss.

    Rows are never sliced out of their array here: Numba would count references at every slice.
    """
    vx, vy, vz = o[0] - prims[i, 1], o[1] - prims[i, 2], o[2] - prims[i, 3]
    dd = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    vd = vx * d[0] + vy * d[1] + vz * d[2]
    vv = vx * vx + vy * vy + vz * vz
    bound = prims[i, 11] * prims[i, 11]
    if (vv - bound) * dd > vd * vd or (vd > 0.0 and vv > bound):
        return FAR_M, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    sx, sy, sz = 1.0 / prims[i, 4], 1.0 / prims[i, 5], 1.0 / prims[i, 6]
    # Columns of the object-to-gate rotation, prims[i, 13:22] row by row, are the solid's axes.
    ox = (prims[i, 13] * vx + prims[i, 16] * vy + prims[i, 19] * vz) * sx
    oy = (prims[i, 14] * vx + prims[i, 17] * vy + prims[i, 20] * vz) * sy
    oz = (prims[i, 15] * vx + prims[i, 18] * vy + prims[i, 21] * vz) * sz
    dx = (prims[i, 13] * d[0] + prims[i, 16] * d[1] + prims[i, 19] * d[2]) * sx
    dy = (prims[i, 14] * d[0] + prims[i, 17] * d[1] + prims[i, 20] * d[2]) * sy
    dz = (prims[i, 15] * d[0] + prims[i, 18] * d[1] + prims[i, 21] * d[2]) * sz
    kind = int(prims[i, 0])
    if kind < 10:
        depth_m, nx, ny, nz = _polyhedron(kind, ox, oy, oz, dx, dy, dz)
    else:
        depth_m, nx, ny, nz = _quadric(kind, ox, oy, oz, dx, dy, dz)
    nx, ny, nz = nx * sx, ny * sy, nz * sz
    return (
        depth_m,
        prims[i, 13] * nx + prims[i, 14] * ny + prims[i, 15] * nz,
        prims[i, 16] * nx + prims[i, 17] * ny + prims[i, 18] * nz,
        prims[i, 19] * nx + prims[i, 20] * ny + prims[i, 21] * nz,
        ox + depth_m * dx,
        oy + depth_m * dy,
        oz + depth_m * dz,
    )


@njit(**INLINE)
def nearest(cells, prims, cell, o, d):  # type: ignore[no-untyped-def]
    """(depth, code) of what the ray meets first: code 0-17 is cell * 6 + face, 18 + i is solid i."""
    depth_m, exit_cell, face = cell_exit(cells, cell, o, d)
    code = exit_cell * 6 + face
    for i in range(prims.shape[0]):
        hit = hit_prim(prims, i, o, d)
        if hit[0] < depth_m:
            depth_m, code = hit[0], 18 + i
    return depth_m, code


@njit(**INLINE)
def place_mover(prims, i, movers, frame):  # type: ignore[no-untyped-def]
    """Put solid `i` where `movers` (T, M, 12) has it in `frame`: centre and rotation."""
    for k in range(3):
        prims[i, 1 + k] = movers[frame, i, k]
    for k in range(9):
        prims[i, 13 + k] = movers[frame, i, 3 + k]
