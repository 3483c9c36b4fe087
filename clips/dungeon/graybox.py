"""Graybox: a room's box and the proxies of its objects, as an engine's blockout has them, and its depth.

A blockout says where things are and how they move, never what they look like. It is what depth control is made of.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numba import njit
from scipy.spatial.transform import Rotation, Slerp

from clips.cameras import Cameras
from clips.dungeon.attributes import Prop, Shape
from clips.dungeon.cells import room_cells, start_cells
from clips.dungeon.intersect import nearest, place_mover
from clips.dungeon.motion import object_poses
from clips.dungeon.packing import BOX, CONE, CYLINDER, OCTAHEDRON, SPHERE, prop_solids
from clips.dungeon.scene import SHAPE_HALVES, RoomSpec
from clips.errors import InvalidRoom

MAX_PROXIES = 64
MAX_KEYS = 4096
ROUGH_SHARE = 0.3
_COMPILED_FILES = ("intersect.py", "graybox.py")


class ProxyKind(StrEnum):
    """The convex solids of a blockout; their axes are the proxy's own x, y (down), z."""

    BOX = "box"
    SPHERE = "sphere"
    CYLINDER = "cylinder"
    CONE = "cone"
    OCTAHEDRON = "octahedron"


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


@dataclass(frozen=True, eq=False)
class Proxy:
    """One solid and its path; it stands still before the first and after the last key.

    Attributes:
        kind: which solid.
        half_m: half its extents along its own axes, metres.
        times: of the keys, ascending seconds, (K,).
        centers: gate frame, metres, (K, 3).
        rotations: proxy-to-gate, (K, 3, 3).

    Raises:
        InvalidRoom: a number is not finite or out of range; the message names the field.
    """

    kind: ProxyKind
    half_m: tuple[float, float, float]
    times: Float64[np.ndarray, " K"]
    centers: Float64[np.ndarray, "K 3"]
    rotations: Float64[np.ndarray, "K 3 3"]

    def __post_init__(self) -> None:
        if len(self.half_m) != 3 or not all(math.isfinite(h) and 0.01 <= h <= 20.0 for h in self.half_m):
            raise InvalidRoom(f"graybox: half_m must be three numbers within [0.01, 20], got {self.half_m}")
        keys = len(self.times)
        if not 1 <= keys <= MAX_KEYS or self.centers.shape != (keys, 3) or self.rotations.shape != (keys, 3, 3):
            raise InvalidRoom(
                f"graybox: a path needs 1 to {MAX_KEYS} keys of time, position and rotation, got "
                f"{self.times.shape}, {self.centers.shape}, {self.rotations.shape}"
            )
        for field in ("times", "centers", "rotations"):
            if not np.isfinite(getattr(self, field)).all():
                raise InvalidRoom(f"graybox: {field} must be finite")
        if (np.diff(self.times) <= 0).any():
            raise InvalidRoom(f"graybox: times must ascend, got {self.times.tolist()}")
        turned = self.rotations @ np.swapaxes(self.rotations, 1, 2)
        if not np.allclose(turned, np.eye(3), atol=1e-4) or (np.linalg.det(self.rotations) < 0).any():
            raise InvalidRoom("graybox: rotations must be rotation matrices")

    def at(self, times: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T 12"]:
        """Centre and rotation row by row at `times`: linear between keys, rotations along the shortest turn."""
        held = np.clip(times, self.times[0], self.times[-1])
        centers = np.stack([np.interp(held, self.times, self.centers[:, axis]) for axis in range(3)], axis=1)
        if len(self.times) == 1:
            turns = np.repeat(self.rotations, len(held), axis=0)
        elif np.array_equal(held, self.times):
            turns = self.rotations
        else:
            turns = Slerp(self.times, Rotation.from_matrix(self.rotations))(held).as_matrix()
        return np.concatenate([centers, turns.reshape(-1, 9)], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `Graybox.from_json` reads."""
        return {
            "kind": str(self.kind),
            "half_m": [float(h) for h in self.half_m],
            "times_s": self.times.tolist(),
            "centers_m": self.centers.tolist(),
            "rotations": self.rotations.reshape(-1, 9).tolist(),
        }


@dataclass(frozen=True, eq=False)
class Graybox:
    """A room behind the gate (x +-width/2, y -height..0, z 0..depth) with its proxies.

    Raises:
        InvalidRoom: a size is not finite or out of range, or there are too many proxies.
    """

    width_m: float
    height_m: float
    depth_m: float
    proxies: tuple[Proxy, ...] = ()

    def __post_init__(self) -> None:
        limits = {"width_m": (2.0, 40.0), "height_m": (2.4, 20.0), "depth_m": (1.0, 60.0)}
        for field, (low, high) in limits.items():
            got = getattr(self, field)
            if not math.isfinite(got) or not low <= got <= high:
                raise InvalidRoom(f"graybox: {field} must be within [{low}, {high}], got {got}")
        if len(self.proxies) > MAX_PROXIES:
            raise InvalidRoom(f"graybox: at most {MAX_PROXIES} proxies, got {len(self.proxies)}")

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal blockout."""
        size = {"width_m": self.width_m, "height_m": self.height_m, "depth_m": self.depth_m}
        return {**size, "proxies": [proxy.to_json() for proxy in self.proxies]}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Graybox:
        """The blockout that `to_json` described.

        Raises:
            InvalidRoom: a field is missing, of the wrong type or out of range.
        """
        try:
            proxies = tuple(_proxy(one) for one in fields["proxies"])
            return Graybox(float(fields["width_m"]), float(fields["height_m"]), float(fields["depth_m"]), proxies)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRoom(f"not a graybox: {error!r}") from error


def _proxy(fields: dict[str, Any]) -> Proxy:
    x, y, z = (float(h) for h in fields["half_m"])
    return Proxy(
        ProxyKind(fields["kind"]),
        (x, y, z),
        np.asarray(fields["times_s"], dtype=np.float64),
        np.asarray(fields["centers_m"], dtype=np.float64).reshape(-1, 3),
        np.asarray(fields["rotations"], dtype=np.float64).reshape(-1, 3, 3),
    )


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
