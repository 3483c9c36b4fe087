"""Scenes to measure on: real renders of rooms that no training saw, and what a generated clip is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64

from clips.cameras import Cameras
from clips.dungeon.attributes import Prop
from clips.dungeon.blockout import Graybox
from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import DungeonSample, render_room
from clips.dungeon.scene import RoomSpec, sample_camera_path, sample_pair_room, sample_room, seeded
from model.measure.judge import judged_frames

PAIR_SEED = 1_000_000
PATH_SEED = 2_000_000
LAST_FRAMES = 5
"""So many frames at the end are judged by themselves: what a clip has by then lost is not seen in its first ones."""

SEEN_SHARE = 0.015
"""A prop is seen where it covers this share of one judged frame; unseen props are nobody's fault, and are counted."""


class SceneKind(StrEnum):
    """HELD_OUT: rooms and cameras as training draws them; PAIRS: rooms with a word pair that training never has;
    PATHS: cameras higher, lower, wider or narrower than any of training's.
    """

    HELD_OUT = "held_out"
    PAIRS = "pairs"
    PATHS = "paths"


@dataclass(frozen=True)
class ClipSize:
    """Frames and pixels of a clip, and its frames per second."""

    frames: int = 17
    width: int = 96
    height: int = 64
    fps: float = 8.0


@dataclass(frozen=True, eq=False)
class Scene:
    """One room, what real cameras saw of it, and its blockout.

    Attributes:
        sample: the real render.
        box_depth: depth of the bare room's box, (T, H, W) metres.
        object_depth: depth of the blockout with all proxies, (T, H, W) metres.
        prop_seen: the prop covers SEEN_SHARE of a judged frame, or there is none.
        prop_seen_last: the same of the last LAST_FRAMES frames.
    """

    sample: DungeonSample
    box_depth: Float32[np.ndarray, "T H W"]
    object_depth: Float32[np.ndarray, "T H W"]
    prop_seen: bool
    prop_seen_last: bool

    @property
    def words(self) -> dict[str, str]:
        """The canonical word of every slot."""
        return self.sample.room.slots

    @property
    def cameras(self) -> Cameras:
        """The exact cameras."""
        return self.sample.clip.cameras

    @property
    def frames(self) -> np.ndarray:
        """Real frames (T, H, W, 3) uint8."""
        return self.sample.clip.frames

    @property
    def depth(self) -> Float32[np.ndarray, "T H W"]:
        """Real depth, metres."""
        return self.sample.clip.depth

    @property
    def object_mask(self) -> Bool[np.ndarray, "T H W"]:
        """Pixels of the free object."""
        return self.sample.object_mask

    @property
    def object_moves(self) -> bool:
        """Whether the free object moves on its own."""
        return self.sample.room.moves

    @cached_property
    def camera_moves(self) -> bool:
        """Whether the last camera differs from the first."""
        viewmats = self.cameras.viewmats
        return bool(np.abs(viewmats[-1] - viewmats[0]).max() > 1e-6)


def make_scene(kind: SceneKind, index: int, size: ClipSize) -> Scene:
    """Scene `index` of a kind; the same on every machine."""
    room, first = _room(kind, index)
    path = sample_camera_path(seeded(first + index, "camera", True), kind is SceneKind.PATHS)
    return scene_of(render_room(room, path, (size.frames, size.width, size.height), size.fps))


def scene_of(sample: DungeonSample) -> Scene:
    """The scene of a real render: its blockout's depth beside it."""
    clip, room = sample.clip, sample.room
    full, box = graybox_of(room, True), graybox_of(room, False)
    box_depth = graybox_depth(box, clip.cameras, clip.times)
    object_depth = graybox_depth(full, clip.cameras, clip.times)
    masks = prop_masks(room, full, clip.cameras, clip.times)
    seen, seen_last = (prop_is_seen(room, part) for part in (masks[judged_frames(len(clip))], masks[-LAST_FRAMES:]))
    return Scene(sample, box_depth, object_depth, seen, seen_last)


def make_scenes(kind: SceneKind, first: int, count: int, size: ClipSize) -> Iterator[Scene]:
    """Scenes `first` to `first + count - 1`, one by one."""
    for index in range(first, first + count):
        yield make_scene(kind, index, size)


def prop_masks(
    room: RoomSpec, full: Graybox, cameras: Cameras, times: Float64[np.ndarray, " T"]
) -> Bool[np.ndarray, "T H W"]:
    """Pixels of the prop, by the depth of its proxies in the blockout `full` of the room; none where it has none."""
    if room.prop is Prop.NONE:
        return np.zeros((len(cameras), cameras.height, cameras.width), dtype=bool)
    without = replace(full, proxies=full.proxies[:1])
    covered: np.ndarray = graybox_depth(full, cameras, times) < 0.99 * graybox_depth(without, cameras, times)
    return covered


def prop_is_seen(room: RoomSpec, masks: Bool[np.ndarray, "K H W"]) -> bool:
    """Whether the prop, if any, covers SEEN_SHARE of one of the judged frames, whose prop masks these are."""
    return room.prop is Prop.NONE or bool(masks.mean(axis=(1, 2)).max() >= SEEN_SHARE)


def _room(kind: SceneKind, index: int) -> tuple[RoomSpec, int]:
    if kind is SceneKind.PAIRS:
        return sample_pair_room(PAIR_SEED + index)[0], PAIR_SEED
    first = PATH_SEED if kind is SceneKind.PATHS else 0
    return sample_room(first + index, True), first
