"""Rooms with company: several free objects in one room, faces without pattern, and the exact speed of every surface.

The model's rooms have one free object and textured faces; these are rooms to judge reconstruction by. A company of
one object in textured faces is drawn byte for byte as its room is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.attributes import Shape
from clips.dungeon.bodies import radius
from clips.dungeon.caption import caption
from clips.dungeon.motion import ObjectPoses, object_poses
from clips.dungeon.packing import PackedRoom, movers, pack
from clips.dungeon.render import draw
from clips.dungeon.scene import RoomSpec
from clips.errors import InvalidClip, InvalidRoom

MOST_SOLIDS = 8
"""`seen` has one bit for each moving solid."""

_SHADOW_COLUMN = 12
_SPEED_STEP_S = 1.0 / 240.0
_ON_SURFACE_M = 0.02


@dataclass(frozen=True)
class Company:
    """A room and what else moves in it.

    Attributes:
        room: the room, its light and its own free object.
        others: rooms of which the free object alone is put into `room`: its shape, colour, motion and seeds count,
            and its motion is that in a room of `room`'s size. Objects pass through each other, and only the room's
            own throws light and shade on the faces.
        flat: every face is of the mean colour of its material.

    Raises:
        InvalidRoom: more moving solids than MOST_SOLIDS; a swinging object's cord is one.
    """

    room: RoomSpec
    others: tuple[RoomSpec, ...] = ()
    flat: bool = False

    def __post_init__(self) -> None:
        at_start = [object_poses(one, np.zeros(1)) for one in self.objects]
        solids = sum(2 if poses.cord_from is not None else 1 for poses in at_start)
        if solids > MOST_SOLIDS:
            raise InvalidRoom(
                f"company: at most {MOST_SOLIDS} moving solids (cords count), got {solids}; leave some out"
            )

    @property
    def objects(self) -> tuple[RoomSpec, ...]:
        """One room per free object, all of the same size and prop: the room's own first."""
        same = {name: getattr(self.room, name) for name in _SHARED}
        return (self.room, *(replace(other, **same) for other in self.others))


_SHARED = ("width_m", "height_m", "depth_m", "size", "prop", "prop_place", "prop_offset_m")


@dataclass(frozen=True, eq=False)
class CompanyClip:
    """A clip of a company, and where its objects truly are.

    Attributes:
        clip: its motion mask marks every free object that moves, and cords.
        velocity: of the surface in the middle of each pixel, gate frame, (T, H, W, 3) metres per second; zero where
            nothing moves, NaN where only the pixel's rim touches a moving thing, or a cord does. An orb's spin, which
            nobody can see, does not count.
    """

    clip: Clip
    velocity: Float32[np.ndarray, "T H W 3"]

    @property
    def moving(self) -> Bool[np.ndarray, "T H W"]:
        """The clip's motion mask."""
        mask = self.clip.motion_mask
        return np.zeros(self.clip.depth.shape, bool) if mask is None else mask


def render_company(company: Company, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> CompanyClip:
    """What `cameras` see of `company` at scene seconds `times`, as `render.render_clip` draws a room.

    Raises:
        InvalidCameras: a camera is neither in the room, the doorway nor the antechamber.
        InvalidClip: `times` does not fit the cameras.
    """
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (len(cameras),):
        raise InvalidClip(f"times must be {len(cameras)} seconds to match the cameras, got shape {times.shape}")
    poses = [object_poses(one, times) for one in company.objects]
    placed = np.concatenate([movers(pose) for pose in poses], axis=1)
    frames, depth, seen = draw(_packed(company), placed, cameras)
    mask = (seen & _moving_bits(company, poses)) > 0
    clip = Clip(frames, depth, cameras, times, caption(company.room), mask)
    return CompanyClip(clip, _velocity(company, clip, poses))


def _packed(company: Company) -> PackedRoom:
    rooms = company.objects
    packed = pack(rooms[0])
    own = _solids(rooms[0])
    more = []
    for other in rooms[1:]:
        rows = pack(other).prims[: _solids(other)]
        # The light of the faces is baked before anything is placed: what moves must not shade them.
        rows[:, _SHADOW_COLUMN] = 0.0
        more.append(rows)
    packed = packed._replace(prims=np.concatenate([packed.prims[:own], *more, packed.prims[own:]]))
    if company.flat:
        mean = packed.textures.mean(axis=1, keepdims=True)
        packed = packed._replace(textures=np.ascontiguousarray(np.broadcast_to(mean, packed.textures.shape)))
    return packed


def _solids(room: RoomSpec) -> int:
    """How many moving solids the room's free object is: with a cord, two."""
    return 1 if object_poses(room, np.zeros(1)).cord_from is None else 2


def _moving_bits(company: Company, poses: list[ObjectPoses]) -> int:
    bits, solid = 0, 0
    for room, pose in zip(company.objects, poses, strict=True):
        count = 1 if pose.cord_from is None else 2
        bits |= ((1 << count) - 1) << solid if room.moves else 0
        solid += count
    return bits


def _velocity(company: Company, clip: Clip, poses: list[ObjectPoses]) -> Float32[np.ndarray, "T H W 3"]:
    points = surface_points(clip.depth, clip.cameras)
    mask = clip.motion_mask if clip.motion_mask is not None else np.zeros(clip.depth.shape, bool)
    velocity = np.where(mask[..., None], np.full(3, np.nan), 0.0)
    for room, now in zip(company.objects, poses, strict=True):
        if not room.moves:
            continue
        before = object_poses(room, np.maximum(clip.times - _SPEED_STEP_S, 0.0))
        after = object_poses(room, clip.times + _SPEED_STEP_S)
        elapsed_s = clip.times + _SPEED_STEP_S - np.maximum(clip.times - _SPEED_STEP_S, 0.0)
        offset = points - now.centers[:, None, None]
        own = np.einsum("tji,thwj->thwi", now.rotations, offset)
        turned = np.einsum("tij,thwj->thwi", after.rotations - before.rotations, own)
        if room.shape is Shape.ORB and now.cord_from is None:
            turned = np.zeros_like(turned)
        moved = (after.centers - before.centers)[:, None, None] + turned
        reach_m = radius(room.shape) * room.object_size_m + _ON_SURFACE_M
        on_it = mask & (np.linalg.norm(offset, axis=-1) <= reach_m)
        velocity[on_it] = (moved / elapsed_s[:, None, None, None])[on_it]
    return velocity.astype(np.float32)


def surface_points(depth: Float32[np.ndarray, "T H W"], cameras: Cameras) -> Float64[np.ndarray, "T H W 3"]:
    """Where the middle of each pixel meets the surface, gate frame, metres."""
    rows, columns = np.indices(depth.shape[1:])
    Ks, poses = cameras.Ks[:, None, None], cameras.camera_to_world
    x = (columns + 0.5 - Ks[..., 0, 2]) / Ks[..., 0, 0] * depth
    y = (rows + 0.5 - Ks[..., 1, 2]) / Ks[..., 1, 1] * depth
    local = np.stack([x, y, depth.astype(np.float64)], axis=-1)
    world: np.ndarray = np.einsum("tij,thwj->thwi", poses[:, :3, :3], local) + poses[:, None, None, :3, 3]
    return world
