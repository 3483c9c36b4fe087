"""Numba: the two compiled entry points: bake the light of a room, render the frames of a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import intrinsic

from clips.dungeon.intersect import INLINE, nearest, place_mover
from clips.dungeon.packing import PackedRoom
from clips.dungeon.shade import face_irradiance, face_point, shade_face, shade_solid

LUT_SIZE = 4096
LUT_MAX = 4.0
SUBPIXEL = 0.25
_COMPILED_FILES = ("intersect.py", "shade.py", "kernel.py", "textures.py", "packing.py")


def _without_owner(_context, array):  # type: ignore[no-untyped-def]
    """The same array without an owner, so that Numba counts no references to it: the caller keeps it alive.

    Counting at every use of an array of `packed` took two thirds of the renderer's time.
    """

    def build(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        view = context.make_array(array)(context, builder, value=arguments[0])
        view.meminfo = view.meminfo.type(None)
        return view._getvalue()

    return array(array), build


_borrowed: Any = intrinsic(_without_owner)


@njit(**INLINE)
def _borrowed_room(packed):  # type: ignore[no-untyped-def]
    return PackedRoom(
        _borrowed(packed.cells),
        _borrowed(packed.prims),
        _borrowed(packed.lamps),
        _borrowed(packed.ambient),
        _borrowed(packed.panel),
        _borrowed(packed.pool),
        _borrowed(packed.textures),
        _borrowed(packed.tints),
        _borrowed(packed.lightmap),
    )


@njit(**INLINE)
def _shade(packed, depth_m, code, o, d, footprint):  # type: ignore[no-untyped-def]
    p = (o[0] + depth_m * d[0], o[1] + depth_m * d[1], o[2] + depth_m * d[2])
    if code < 18:
        face = code % 6
        length = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        facing = max(abs(d[face // 2]) / length, 0.1)
        return shade_face(packed, code, p, depth_m * footprint * length / np.sqrt(facing))
    return shade_solid(packed, code - 18, p, o, d)


@njit(**INLINE)
def _direction(pose, K, x, y):  # type: ignore[no-untyped-def]
    a, b = (x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]
    return (
        pose[0, 0] * a + pose[0, 1] * b + pose[0, 2],
        pose[1, 0] * a + pose[1, 1] * b + pose[1, 2],
        pose[2, 0] * a + pose[2, 1] * b + pose[2, 2],
    )


@njit(**INLINE)
def _supersample(packed, cell, o, pose, K, x, y, movers):  # type: ignore[no-untyped-def]
    """(linear RGB, movers seen) of the pixel around (x, y): the mean of 2x2 rays."""
    footprint = 0.5 / K[0, 0]
    red, green, blue, seen = 0.0, 0.0, 0.0, 0
    for i in range(4):
        d = _direction(pose, K, x + (SUBPIXEL if i % 2 else -SUBPIXEL), y + (SUBPIXEL if i >= 2 else -SUBPIXEL))
        depth_m, code = nearest(packed.cells, packed.prims, cell, o, d)
        seen |= _mover_bit(code, movers)
        r, g, b = _shade(packed, depth_m, code, o, d, footprint)
        red, green, blue = red + 0.25 * r, green + 0.25 * g, blue + 0.25 * b
    return red, green, blue, seen


@njit(**INLINE)
def _mover_bit(code, movers):  # type: ignore[no-untyped-def]
    return 1 << (code - 18) if 18 <= code < 18 + movers else 0


@njit(**INLINE)
def _corner_code(packed, cell, o, pose, K, x, y):  # type: ignore[no-untyped-def]
    return nearest(packed.cells, packed.prims, cell, o, _direction(pose, K, x, y))[1]


class Shots(NamedTuple):
    """The cameras of a clip and where the movers are: the free object, and the cord that it swings on.

    Attributes:
        movers: the first M solids in every frame, (T, M, 12): centre in metres and object-to-gate rotation row by row.
        poses: camera-to-world, (T, 4, 4).
        Ks: intrinsics in pixels, (T, 3, 3).
        start_cells: the cell that each camera stands in, (T,): 0 antechamber, 1 doorway, 2 room.
    """

    movers: np.ndarray
    poses: np.ndarray
    Ks: np.ndarray
    start_cells: np.ndarray


class Pictures(NamedTuple):
    """What the ray caster fills: frames (T, H, W, 3) uint8, depth (T, H, W) float32, seen (T, H, W) uint8.

    `seen` has bit 1 where the free object touches a pixel, bit 2 where its cord does.
    """

    frames: np.ndarray
    depth: np.ndarray
    seen: np.ndarray


class Kernels(NamedTuple):
    """The compiled entry points.

    Attributes:
        bake_light: (packed): fills `packed.lightmap` with the light that is the same in every frame.
        render_frames: (packed, shots, lut, pictures): fills `pictures`; it moves the first solids in `packed.prims`.
            `lut` turns linear light, 0..LUT_MAX in LUT_SIZE steps, into display bytes.
    """

    bake_light: Callable[..., None]
    render_frames: Callable[..., None]


@lru_cache(maxsize=1)
def kernels() -> Kernels:
    """The entry points, compiled by Numba at their first call and cached beside this file.

    Numba's cache notices a change in the file of the cached function only. The digest of all files that are
    compiled into it is therefore a constant of the function, which makes it part of the cache's key.
    """
    here = Path(__file__).parent
    texts = [(here / name).read_bytes() for name in _COMPILED_FILES]
    digest = hashlib.sha256(b"".join(texts)).hexdigest()
    return Kernels(_bake_light(digest), _render_frames(digest))


def _bake_light(digest: str) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def bake_light(owned):  # type: ignore[no-untyped-def]
        packed = _borrowed_room(owned)
        nodes = packed.lightmap.shape[1] if len(digest) > 0 else 0
        for face in range(6):
            for row in range(nodes):
                for column in range(nodes):
                    p = face_point(packed.cells, face, column / (nodes - 1), row / (nodes - 1))
                    red, green, blue = face_irradiance(packed, 2, face, p)
                    packed.lightmap[face, row, column, 0] = red
                    packed.lightmap[face, row, column, 1] = green
                    packed.lightmap[face, row, column, 2] = blue

    compiled: Callable[..., None] = bake_light
    return compiled


def _render_frames(digest: str) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def render_frames(owned, shots, owned_lut, pictures):  # type: ignore[no-untyped-def]
        packed, lut = _borrowed_room(owned), _borrowed(owned_lut)
        scale = (LUT_SIZE - 1) / LUT_MAX
        frames, depth, seen = _borrowed(pictures.frames), _borrowed(pictures.depth), _borrowed(pictures.seen)
        movers, poses, Ks = _borrowed(shots.movers), _borrowed(shots.poses), _borrowed(shots.Ks)
        count = frames.shape[0] if len(digest) > 0 else 0
        count_movers = movers.shape[1]
        corners = np.empty(frames.shape[2] + 1, dtype=np.int64)
        panel_code = 12 + int(packed.panel[0]) if packed.panel[0] >= 0.0 else -1
        for f in range(count):
            for i in range(count_movers):
                place_mover(packed.prims, i, movers, f)
            pose, K, cell = poses[f], Ks[f], shots.start_cells[f]
            o = (pose[0, 3], pose[1, 3], pose[2, 3])
            for column in range(corners.shape[0]):
                corners[column] = _corner_code(packed, cell, o, pose, K, float(column), 0.0)
            for row in range(frames.shape[1]):
                y = row + 0.5
                left = corners[0]
                corners[0] = _corner_code(packed, cell, o, pose, K, 0.0, row + 1.0)
                for column in range(frames.shape[2]):
                    x, above = column + 0.5, corners[column + 1]
                    below = _corner_code(packed, cell, o, pose, K, column + 1.0, row + 1.0)
                    d = _direction(pose, K, x, y)
                    depth_m, code = nearest(packed.cells, packed.prims, cell, o, d)
                    bits = _mover_bit(code, count_movers)
                    # Faces are filtered by mip levels: where one fills the pixel, one ray in its middle is enough.
                    one_face = code < 18 and code != panel_code
                    if one_face and code == left and code == above and code == below and code == corners[column]:
                        red, green, blue = _shade(packed, depth_m, code, o, d, 1.0 / K[0, 0])
                    else:
                        red, green, blue, touched = _supersample(packed, cell, o, pose, K, x, y, count_movers)
                        bits |= touched
                    left, corners[column + 1] = above, below
                    frames[f, row, column, 0] = lut[int(min(max(red, 0.0), LUT_MAX) * scale + 0.5)]
                    frames[f, row, column, 1] = lut[int(min(max(green, 0.0), LUT_MAX) * scale + 0.5)]
                    frames[f, row, column, 2] = lut[int(min(max(blue, 0.0), LUT_MAX) * scale + 0.5)]
                    depth[f, row, column] = depth_m
                    seen[f, row, column] = bits

    compiled: Callable[..., None] = render_frames
    return compiled
