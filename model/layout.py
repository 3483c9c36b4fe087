"""The layout prior: from what a prompt says and a seed to a blockout that the network then paints.

It owns what a game engine owns, where things are and how they move; it draws no pixel and makes no depth of what is
seen: the network's own depth comes from the network (test_generating_path_imports_no_renderer).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from clips.cameras import Cameras
from clips.dungeon.blockout import CLEAR_M, Graybox, blocked_frames
from clips.dungeon.cells import room_cells, start_cells
from clips.dungeon.graybox import graybox_of
from clips.dungeon.scene import RoomSpec, sample_room
from clips.errors import InvalidCameras, InvalidRoom
from model.spec_control import LAYOUT_VERSION

SHAPING_SLOTS = ("size", "shape", "motion", "prop")
"""The slots whose words decide a layout; the others only its look."""

ATTEMPTS = 8
ROOM_BEHIND_M, ROOM_BESIDE_M, ROOM_ABOVE_M = 1.2, 0.5, 0.35
"""How much of the room is left around the outermost cameras where it is made larger for them."""

AHEAD_M = 1.7
"""How far in front of the innermost camera the free object moves, where the room is deep enough."""

DEEPEST_M, FARTHEST_OBJECT_M = 9.0, 6.0
"""Where `clips.dungeon.scene` ends."""


@dataclass(frozen=True, eq=False)
class Layout:
    """A sampled blockout.

    Attributes:
        graybox: room, prop and free object with its path; a key at every frame's time.
        words: the word of each of SHAPING_SLOTS that it has, said or drawn.
    """

    graybox: Graybox
    words: dict[str, str]


def sample_layout(
    slots: Mapping[str, str | None], seed: int, cameras: Cameras, times: Float64[np.ndarray, " T"]
) -> Layout:
    """The layout of a seed for what a prompt says (missing words are drawn), with all cameras inside and clear.

    Deterministic: the same slots, seed and cameras give the same layout, whatever is said of look alone. A room that
    is too small for the cameras is made larger, as far as rooms go; a solid that stands in a camera's way is drawn
    anew.

    Raises:
        InvalidCameras: no room of the prior holds these cameras; the message says which frames and why.
    """
    said: dict[str, Any] = {name: word for name in SHAPING_SLOTS if (word := slots.get(name)) is not None}
    for attempt in range(ATTEMPTS):
        room = _fitted(sample_room(_drawn_seed(seed, attempt), **said), cameras)
        start_cells(room_cells(room.width_m, room.height_m, room.depth_m), cameras)
        graybox = graybox_of(room, with_objects=True, times=np.asarray(times, dtype=np.float64))
        blocked = blocked_frames(graybox, cameras, times)
        if not len(blocked):
            return Layout(graybox, {name: str(room.slots[name]) for name in SHAPING_SLOTS})
    raise InvalidCameras(
        f"no layout keeps its objects {CLEAR_M} m away from these cameras: frames {blocked[:8].tolist()} are in the way"
    )


def _drawn_seed(seed: int, attempt: int) -> int:
    """A seed of the renderer's for a segment's seed: its own domain, so that no training room is met by its number."""
    text = f"narthex layout/{LAYOUT_VERSION}/{seed}/{attempt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _fitted(room: RoomSpec, cameras: Cameras) -> RoomSpec:
    """The room, larger where cameras need it, its free object in front of them.

    Raises:
        InvalidCameras: even the largest room is too small.
    """
    places = cameras.positions
    inside = places[places[:, 2] > 0]
    if not len(inside):
        return room
    x_m, up_m, z_m = float(np.abs(inside[:, 0]).max()), float(-inside[:, 1].min()), float(inside[:, 2].max())
    object_z_m = min(max(room.object_z_m, z_m + AHEAD_M), FARTHEST_OBJECT_M)
    behind_object_m = room.depth_m - room.object_z_m
    try:
        return replace(
            room,
            width_m=max(room.width_m, 2 * (x_m + ROOM_BESIDE_M)),
            height_m=max(room.height_m, up_m + ROOM_ABOVE_M),
            depth_m=max(room.depth_m, z_m + ROOM_BEHIND_M, min(object_z_m + behind_object_m, DEEPEST_M)),
            object_z_m=object_z_m,
        )
    except InvalidRoom as error:
        raise InvalidCameras(f"no room of the layout prior holds these cameras ({error})") from error
