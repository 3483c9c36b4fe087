"""Depth of blockouts (`blockout.py`), and the blockouts of sampled rooms: what depth control is made of."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from numba import njit

from clips.cameras import Cameras
from clips.dungeon.attributes import Prop, Shape
from clips.dungeon.blockout import Graybox, Proxy, ProxyKind
from clips.dungeon.cells import room_cells, start_cells
from clips.dungeon.intersect import nearest, place_mover
from clips.dungeon.motion import object_poses
from clips.dungeon.packing import BOX, CONE, CYLINDER, OCTAHEDRON, SPHERE, prop_solids
from clips.dungeon.scene import SHAPE_HALVES, RoomSpec

__all__ = ["ROUGH_SHARE", "Graybox", "Proxy", "ProxyKind", "graybox_depth", "graybox_of"]

ROUGH_SHARE = 0.3
_COMPILED_FILES = ("intersect.py", "graybox.py")
_SOLIDS = {
    ProxyKind.BOX: BOX,
    ProxyKind.SPHERE: SPHERE,
    ProxyKind.CYLINDER: CYLINDER,
    ProxyKind.CONE: CONE,
    ProxyKind.OCTAHEDRON: OCTAHEDRON,
}
_OF_SHAPE = {
    Shape.ORB: ProxyKind.SPHERE,
    Shape.CUBE: ProxyKind.BOX,
    Shape.CRYSTAL: ProxyKind.OCTAHEDRON,
    Shape.CONE: ProxyKind.CONE,
}


def graybox_depth(graybox: Graybox, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> Float32[np.ndarray, "T H W"]:
    """Depth of the blockout along each camera's z axis at the middle of every pixel, metres, (T, H, W).

    Raises:
        InvalidCameras: a camera is neither in the room, the doorway nor the antechamber.
    """
    cells = room_cells(graybox.width_m, graybox.height_m, graybox.depth_m)
    cells_of_cameras = start_cells(cells, cameras)
    prims = np.array([_solid(proxy) for proxy in graybox.proxies], dtype=np.float64).reshape(-1, 22)
    paths = [proxy.at(np.asarray(times, dtype=np.float64)) for proxy in graybox.proxies]
    movers = np.stack(paths, axis=1) if paths else np.zeros((len(cameras), 0, 12))
    depth = np.empty((len(cameras), cameras.height, cameras.width), dtype=np.float32)
    _cast_depth()(
        cells, prims, np.ascontiguousarray(movers), cameras.camera_to_world, cameras.Ks, cells_of_cameras, depth
    )
    return depth


def graybox_of(
    room: RoomSpec,
    with_objects: bool,
    times: Float64[np.ndarray, " T"] | None = None,
    rough_seed: int | None = None,
) -> Graybox:
    """The blockout of a sampled room: its box and, with objects, proxies of its prop and of its free object.

    Args:
        times: seconds of the free object's keys; None: 16 a second for 4.5 seconds.
        rough_seed: where given, ROUGH_SHARE of the seeds have rough proxies, as careless blockouts do: the free
            object as a box or ball of its size, a little too large or small.
    """
    if not with_objects:
        return Graybox(room.width_m, room.height_m, room.depth_m)
    keys = np.arange(73) / 16.0 if times is None else np.asarray(times, dtype=np.float64)
    kind, half_m = _OF_SHAPE[room.shape], tuple(h * room.object_size_m for h in SHAPE_HALVES[room.shape])
    if rough_seed is not None:
        kind, half_m = _roughened(kind, half_m, np.random.default_rng(rough_seed))
    poses = object_poses(room, keys)
    free = Proxy(kind, (half_m[0], half_m[1], half_m[2]), keys, poses.centers, poses.rotations)
    return Graybox(room.width_m, room.height_m, room.depth_m, (free, *_prop_proxies(room)))


def _roughened(
    kind: ProxyKind, half_m: tuple[float, ...], rng: np.random.Generator
) -> tuple[ProxyKind, tuple[float, ...]]:
    if rng.random() >= ROUGH_SHARE:
        return kind, half_m
    rough = (ProxyKind.BOX, ProxyKind.SPHERE, kind)[rng.integers(3)]
    scale = rng.uniform(0.85, 1.15)
    return rough, tuple(scale * h for h in half_m)


def _prop_proxies(room: RoomSpec) -> list[Proxy]:
    if room.prop is Prop.NONE:
        return []
    proxies = []
    for row in prop_solids(room):
        kind = ProxyKind.CYLINDER if room.prop is Prop.BARREL else ProxyKind.BOX
        center, turn = np.array(row[1:4])[None], np.array(row[13:22]).reshape(1, 3, 3)
        proxies.append(Proxy(kind, (row[4], row[5], row[6]), np.zeros(1), center, turn))
    return proxies


def _solid(proxy: Proxy) -> list[float]:
    x, y, z = proxy.half_m
    bound = max(proxy.half_m) if proxy.kind is ProxyKind.SPHERE else math.hypot(x, y, z)
    return [_SOLIDS[proxy.kind], 0, 0, 0, x, y, z, 0, 0, 0, 0, bound * 1.001, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]


@lru_cache(maxsize=1)
def _cast_depth() -> Callable[..., None]:
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in _COMPILED_FILES)).hexdigest()

    @njit(cache=True, nogil=True, error_model="numpy")
    def cast_depth(cells, prims, movers, poses, Ks, start_cells, depth):  # type: ignore[no-untyped-def]
        count = depth.shape[0] if len(digest) > 0 else 0
        for f in range(count):
            for i in range(prims.shape[0]):
                place_mover(prims, i, movers, f)
            pose, K = poses[f], Ks[f]
            o = (pose[0, 3], pose[1, 3], pose[2, 3])
            for row in range(depth.shape[1]):
                for column in range(depth.shape[2]):
                    a, b = (column + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1]
                    d = (
                        pose[0, 0] * a + pose[0, 1] * b + pose[0, 2],
                        pose[1, 0] * a + pose[1, 1] * b + pose[1, 2],
                        pose[2, 0] * a + pose[2, 1] * b + pose[2, 2],
                    )
                    depth[f, row, column] = nearest(cells, prims, start_cells[f], o, d)[0]

    compiled: Callable[..., None] = cast_depth
    return compiled
