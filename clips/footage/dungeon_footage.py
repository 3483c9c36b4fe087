"""Footage of the dungeon renderer: a seed becomes a clip with everything that is known of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from clips.camera_path import CameraPath
from clips.dungeon.caption import CaptionInfo, caption_info
from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import render_room
from clips.dungeon.scene import (
    HELD_OUT_PAIRS,
    RoomSpec,
    sample_camera_path,
    sample_pair_room,
    sample_room,
    seeded,
)
from clips.dungeon.vocabulary import Language
from clips.errors import InvalidClip
from clips.footage.footage import Footage

MAX_SEED = 2**63 - 1
LANGUAGE_TAGS = {Language.ENGLISH: "en", Language.CHINESE: "zh"}
"""Tags of RFC 5646, as captions.json has them."""


@dataclass(frozen=True)
class DungeonRecipe:
    """Everything but the seed that decides a rendered clip.

    Attributes:
        held_out: rooms and paths of the held-out domain, which no training sees.
        pairs: rooms that have one of `scene.HELD_OUT_PAIRS` (held-out domain).
        held_out_paths: cameras higher, lower, wider or narrower than any of training's.
        path_frames: the camera arrives after so many frames and then stands; None: at the last one.
        with_blockout: also the depths of the room's blockout, alone and with proxies of its objects.
        with_flow: also the exact optical flow.

    Raises:
        InvalidClip: a number is out of range.
    """

    frames: int = 17
    width: int = 96
    height: int = 64
    fps: float = 8.0
    held_out: bool = False
    pairs: bool = False
    held_out_paths: bool = False
    path_frames: int | None = None
    with_blockout: bool = True
    with_flow: bool = False

    def __post_init__(self) -> None:
        limits = {"frames": (1, 1000), "width": (8, 2048), "height": (8, 2048), "fps": (0.5, 240.0)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidClip(f"{name}: got {getattr(self, name)}, expected {low} to {high}")
        if self.path_frames is not None and not 1 <= self.path_frames <= self.frames:
            raise InvalidClip(f"path_frames: got {self.path_frames}, expected 1 to the {self.frames} frames of a clip")

    @property
    def is_held_out(self) -> bool:
        """Whether its rooms are of the held-out domain."""
        return self.held_out or self.pairs

    def source(self) -> dict[str, Any]:
        """What dataset.json says of it."""
        return {"renderer": "clips.dungeon", **asdict(self)}


def dungeon_room(recipe: DungeonRecipe, seed: int) -> tuple[RoomSpec, CameraPath, int | None]:
    """Room and camera path of a seed, and which of the held-out pairs the room was drawn for; nothing is rendered.

    Raises:
        InvalidClip: the seed is negative or beyond MAX_SEED.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InvalidClip(f"seed: got {seed}, expected 0 to {MAX_SEED}")
    pair = None
    if recipe.pairs:
        room, pair = sample_pair_room(seed)
    else:
        room = sample_room(seed, recipe.is_held_out)
    return room, sample_camera_path(seeded(seed, "camera", recipe.is_held_out), recipe.held_out_paths), pair


def dungeon_captions(info: CaptionInfo) -> dict[str, tuple[str, ...]]:
    """A room's caption under the tag of its language."""
    return {LANGUAGE_TAGS[info.language]: (info.text,)}


def dungeon_footage(recipe: DungeonRecipe, seed: int) -> Footage:
    """The rendered clip of a seed with captions, slots, masks and, where the recipe says so, blockout depths and flow.

    Raises:
        InvalidClip: the seed is out of range.
    """
    room, path, pair = dungeon_room(recipe, seed)
    sample = render_room(room, path, (recipe.frames, recipe.width, recipe.height), recipe.fps, recipe.path_frames)
    cameras, times = sample.clip.cameras, sample.clip.times
    depths: dict[str, np.ndarray] = {}
    if recipe.with_blockout:
        depths["room_depth"] = graybox_depth(graybox_of(room, False), cameras, times)
        depths["objects_depth"] = graybox_depth(graybox_of(room, True, times), cameras, times)
    source: dict[str, Any] = {"seed": seed, "held_out": recipe.is_held_out, "camera_path": str(path.kind)}
    if pair is not None:
        source["pair"] = [list(part) for part in HELD_OUT_PAIRS[pair]]
    return Footage(
        sample.clip,
        dungeon_captions(caption_info(room)),
        room.slots,
        sample.object_mask,
        depths.get("room_depth"),
        depths.get("objects_depth"),
        sample.flow if recipe.with_flow else None,
        source,
    )
