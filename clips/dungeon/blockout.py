"""Graybox: a room's box and the proxies of its objects, as an engine's blockout has them.

A blockout says where things are and how they move, never what they look like. Its depth is `graybox.py`'s business:
this file imports no numba, so that worlds and specs may hold blockouts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from clips.cameras import Cameras
from clips.dungeon.cells import room_cells, start_cells
from clips.errors import InvalidCameras, InvalidRoom

MAX_PROXIES = 64
MAX_KEYS = 4096
CLEAR_M = 0.15
"""No camera may come nearer to a solid than this."""
HALF_LIMITS_M = (0.01, 20.0)
WIDTH_LIMITS_M, HEIGHT_LIMITS_M, DEPTH_LIMITS_M = (2.0, 40.0), (2.4, 20.0), (1.0, 60.0)
"""Of a room; the least width and height leave room for the doorway."""


class ProxyKind(StrEnum):
    """The convex solids of a blockout; their axes are the proxy's own x, y (down), z."""

    BOX = "box"
    SPHERE = "sphere"
    CYLINDER = "cylinder"
    CONE = "cone"
    OCTAHEDRON = "octahedron"


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
        low, high = HALF_LIMITS_M
        if len(self.half_m) != 3 or not all(math.isfinite(h) and low <= h <= high for h in self.half_m):
            raise InvalidRoom(f"graybox: half_m must be three numbers within [{low}, {high}], got {self.half_m}")
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
            from scipy.spatial.transform import Rotation, Slerp  # noqa: PLC0415  slow to load, and worlds need it not

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
        limits = {"width_m": WIDTH_LIMITS_M, "height_m": HEIGHT_LIMITS_M, "depth_m": DEPTH_LIMITS_M}
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
            if not isinstance(fields["proxies"], list):
                raise TypeError(f"proxies must be a list, got {type(fields['proxies']).__name__}")
            proxies = tuple(_proxy(one) for one in fields["proxies"])
            return Graybox(float(fields["width_m"]), float(fields["height_m"]), float(fields["depth_m"]), proxies)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
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


def check_cameras(graybox: Graybox, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> None:
    """Raises InvalidCameras where a camera stands outside the empty space or in a solid; names the frames."""
    start_cells(room_cells(graybox.width_m, graybox.height_m, graybox.depth_m), cameras)
    blocked = blocked_frames(graybox, cameras, times)
    if len(blocked):
        raise InvalidCameras(
            f"cameras must keep {CLEAR_M} m away from the solids of the graybox; frames {blocked[:8].tolist()} do not"
        )


def blocked_frames(graybox: Graybox, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> Int64[np.ndarray, " B"]:
    """The frames whose camera is in a solid of the blockout, or nearer than CLEAR_M to the box around it."""
    blocked = np.zeros(len(cameras), dtype=bool)
    for proxy in graybox.proxies:
        states = proxy.at(np.asarray(times, dtype=np.float64))
        turns = states[:, 3:].reshape(-1, 3, 3)
        local = np.einsum("tji,tj->ti", turns, cameras.positions - states[:, :3])
        outside = np.maximum(np.abs(local) - np.asarray(proxy.half_m), 0.0)
        blocked |= np.linalg.norm(outside, axis=1) < CLEAR_M
    return np.flatnonzero(blocked)
