"""The blockout of a gate's content as designers write it: a room's size and its objects, or files of an engine's."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, StringConstraints, field_validator, model_validator

from clips.cameras import Cameras
from clips.dungeon.blockout import (
    DEPTH_LIMITS_M,
    HALF_LIMITS_M,
    HEIGHT_LIMITS_M,
    MAX_PROXIES,
    WIDTH_LIMITS_M,
    Graybox,
    Proxy,
    ProxyKind,
    check_cameras,
)
from clips.errors import InvalidCameras
from model.errors import InvalidSpec
from model.spec_control import Control, ControlKind
from service.worlds.depth_file import BadDepthFile, depth_of
from service.worlds.mesh_file import BadMeshFile, collider_of
from service.worlds.part import Part
from service.worlds.problems import got
from service.worlds.world import Collider

MAX_PATH_KEYS = 256
LARGEST_TURN_DEG = 90.0
"""Between two keys of a path; more is cut into several, as rotations take the shortest way."""

Position = Annotated[
    list[float], Field(min_length=3, max_length=3, description="x right, y down (the floor is 0), z into the room.")
]
Half = Annotated[float, Field(ge=HALF_LIMITS_M[0], le=HALF_LIMITS_M[1])]


class KeyPart(Part):
    """Where an object is at one instant."""

    time_s: float = Field(ge=0.0, le=3_600.0, description="Scene seconds; the first frame is at 0.")
    position_m: Position
    yaw_deg: float = Field(0.0, ge=-36_000.0, le=36_000.0, description="Turn about the vertical axis, degrees.")


class ObjectPart(Part):
    """One solid: where it stands, or its path."""

    kind: Literal["box", "sphere", "cylinder", "cone", "octahedron"] = Field(description="Which solid.")
    half_m: Annotated[list[Half], Field(min_length=3, max_length=3)] = Field(
        description="Half its width, height and depth, metres."
    )
    position_m: Position | None = Field(default=None, description="Its middle, where it stands still; or give a path.")
    yaw_deg: float | None = Field(default=None, ge=-36_000.0, le=36_000.0, description="Turn, where it stands still.")
    path: list[KeyPart] | None = Field(
        default=None, min_length=1, max_length=MAX_PATH_KEYS, description="Where it is when, in the order of time."
    )

    @field_validator("path")
    @classmethod
    def _in_order(cls, value: list[KeyPart] | None) -> list[KeyPart] | None:
        for before, after in pairwise(value or ()):
            if after.time_s <= before.time_s:
                raise ValueError(f"allowed times that ascend: {after.time_s:g} s comes after {before.time_s:g} s")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> ObjectPart:
        if (self.position_m is None) == (self.path is None):
            raise ValueError("allowed position_m or path, one of them")
        if self.path is not None and self.yaw_deg is not None:
            raise ValueError("allowed yaw_deg beside position_m alone; a path has its own in every key")
        return self

    @property
    def keys(self) -> list[KeyPart]:
        """Its path; of one key where it stands still."""
        if self.position_m is None:
            return self.path or []
        return [KeyPart(time_s=0.0, position_m=self.position_m, yaw_deg=self.yaw_deg or 0.0)]


class GrayboxPart(Part):
    """Where things are behind a gate: the room and its objects, or an engine's depth clip; and an engine's own mesh."""

    width_m: float | None = Field(
        default=None, ge=WIDTH_LIMITS_M[0], le=WIDTH_LIMITS_M[1], description="Of the room, metres: x +-width/2."
    )
    height_m: float | None = Field(
        default=None, ge=HEIGHT_LIMITS_M[0], le=HEIGHT_LIMITS_M[1], description="Of the room, metres."
    )
    depth_m: float | None = Field(
        default=None, ge=DEPTH_LIMITS_M[0], le=DEPTH_LIMITS_M[1], description="Of the room, metres: z 0 to depth."
    )
    objects: list[ObjectPart] = Field(default_factory=list, max_length=MAX_PROXIES, description="Solids in the room.")
    depth_file: Annotated[str, StringConstraints(pattern=r"^(.+\.np[yz]|base64:.+)$")] | None = Field(
        default=None,
        description="Instead of all else: depth (frames, height, width) of the very cameras, a .npy or .npz beside the "
        "world: metres as floats, or millimetres as 16-bit whole numbers.",
    )

    mesh_file: Annotated[str, StringConstraints(pattern=r"^(.+\.glb|base64:.+)$")] | None = Field(
        default=None,
        description="What engines collide with: a .glb beside the world, its origin the middle of the threshold; alone "
        "or beside what steers the picture.",
    )
    spawn_m: Position | None = Field(
        default=None, description="Where a way over the mesh begins, at the feet; default: its node called spawn."
    )
    exit_m: Position | None = Field(
        default=None, description="Where that way shall lead, at the feet; default: its node called exit."
    )

    @property
    def steers(self) -> bool:
        """True where it says how the picture looks: not where there is a mesh alone."""
        return self.depth_file is not None or self.width_m is not None

    @model_validator(mode="after")
    def _one_form(self) -> GrayboxPart:
        sizes = (self.width_m, self.height_m, self.depth_m)
        if self.mesh_file is None and (self.spawn_m is not None or self.exit_m is not None):
            raise ValueError("allowed spawn_m and exit_m beside a mesh_file alone")
        if self.mesh_file is not None and self.depth_file is None and not self.objects and sizes == (None, None, None):
            return self
        if self.depth_file is not None:
            if self.objects or any(size is not None for size in sizes):
                raise ValueError("allowed depth_file alone, or width_m, height_m, depth_m and objects")
            return self
        if self.width_m is None or self.height_m is None or self.depth_m is None:
            raise ValueError("allowed width_m, height_m and depth_m, or depth_file alone, or mesh_file")
        for index, one in enumerate(self.objects):
            for key in one.keys:
                _check_inside(index, key.position_m, self.width_m, self.height_m, self.depth_m)
        return self

    def blockout(self) -> Graybox:
        """The blockout as `clips` has it. Only for the form without a depth_file."""
        if self.width_m is None or self.height_m is None or self.depth_m is None:
            raise ValueError("a depth clip is no blockout")
        return Graybox(self.width_m, self.height_m, self.depth_m, tuple(_proxy(one) for one in self.objects))


def named_mesh(written: object) -> object:
    """A graybox that is written as the name of its mesh alone, as the part that it means."""
    return {"mesh_file": written} if isinstance(written, str) else written


class BadGraybox(Exception):
    """A graybox cannot be used; the message goes on after "got ...". `path` is where in it."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def control_of(part: GrayboxPart, base_dir: Path | None) -> Control:
    """The control that a graybox is: a blockout, or the depth clip that it names beside `base_dir`.

    Raises:
        BadGraybox: there is a mesh alone, or the depth clip cannot be read or holds values that are no depth.
    """
    if not part.steers:
        raise BadGraybox("got a mesh alone, which steers no picture: allowed width_m, height_m, depth_m or depth_file")
    if part.depth_file is None:
        return Control(ControlKind.BLOCKOUT, graybox=part.blockout())
    try:
        return Control(ControlKind.DEPTH, depth=depth_of(part.depth_file, base_dir))
    except BadDepthFile as error:
        raise BadGraybox(f"got {got(part.depth_file)}, {error}: allowed a .npy or .npz", ("depth_file",)) from error
    except InvalidSpec as error:
        raise BadGraybox(f"got {got(part.depth_file)}: {error}", ("depth_file",)) from error


def collider_of_part(part: GrayboxPart, base_dir: Path | None) -> Collider | None:
    """The mesh that a graybox names beside `base_dir`; None where it names none.

    Raises:
        BadGraybox: the mesh cannot be read.
    """
    if part.mesh_file is None:
        return None
    spawn, exit_at = (None if at is None else (at[0], at[1], at[2]) for at in (part.spawn_m, part.exit_m))
    try:
        return collider_of(part.mesh_file, base_dir, spawn, exit_at)
    except BadMeshFile as error:
        raise BadGraybox(f"got {got(part.mesh_file)}, {error}: allowed a .glb", ("mesh_file",)) from error


def check_fits(control: Control, cameras: Cameras, fps: float) -> None:
    """Raises BadGraybox where a depth clip is not of the cameras' size, or a camera is not in the blockout's air."""
    try:
        control.check_size(cameras)
    except InvalidSpec as error:
        raise BadGraybox(f"got another size: {error}", ("depth_file",)) from error
    if control.graybox is not None:
        room = control.graybox
        try:
            check_cameras(room, cameras, np.arange(len(cameras)) / fps)
        except InvalidCameras as error:
            size = f"{room.width_m:g} x {room.height_m:g} x {room.depth_m:g} m"
            raise BadGraybox(f"got a room of {size} that does not fit the camera's path: {error}") from error


def _check_inside(index: int, position_m: list[float], width_m: float, height_m: float, depth_m: float) -> None:
    x, y, z = position_m
    if not (abs(x) <= width_m / 2 and -height_m <= y <= 0 and 0 <= z <= depth_m):
        raise ValueError(
            f"objects[{index}] is outside the room at {position_m}: allowed x within +-{width_m / 2:g}, "
            f"y from {-height_m:g} (ceiling) to 0 (floor; y points down), z from 0 to {depth_m:g}"
        )


def _proxy(one: ObjectPart) -> Proxy:
    keys = _cut(one.keys)
    x, y, z = one.half_m
    return Proxy(
        ProxyKind(one.kind),
        (x, y, z),
        np.array([key[0] for key in keys]),
        np.array([key[1:4] for key in keys]),
        np.stack([_turned(key[4]) for key in keys]),
    )


def _cut(keys: list[KeyPart]) -> list[tuple[float, ...]]:
    """(time, x, y, z, yaw in degrees) of every key, with more between keys that turn far."""
    rows: list[tuple[float, ...]] = [_row(keys[0])]
    for before, after in pairwise(map(_row, keys)):
        pieces = max(1, math.ceil(abs(after[4] - before[4]) / LARGEST_TURN_DEG))
        for piece in range(1, pieces + 1):
            share = piece / pieces
            rows.append(tuple((1 - share) * a + share * b for a, b in zip(before, after, strict=True)))
    return rows


def _row(key: KeyPart) -> tuple[float, ...]:
    return (key.time_s, *key.position_m, key.yaw_deg)


def _turned(yaw_deg: float) -> np.ndarray:
    """Proxy-to-gate rotation (3, 3) of a turn about the vertical axis, as the dungeon's rooms have it."""
    cosine, sine = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])
