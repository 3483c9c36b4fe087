"""Clips of dungeon rooms: exact RGB-D ground truth from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from clips.camera_path import CameraPath
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.caption import caption
from clips.dungeon.kernel import LUT_MAX, LUT_SIZE, Pictures, Shots, kernels
from clips.dungeon.packing import pack
from clips.dungeon.scene import RoomSpec, object_positions, sample_camera_path, sample_room, seeded
from clips.dungeon.textures import linear_to_srgb
from clips.errors import InvalidCameras, InvalidClip


@dataclass(frozen=True, eq=False)
class DungeonSample:
    """One training example: a clip, the room that it shows and the camera path that it was taken along."""

    clip: Clip
    room: RoomSpec
    path: CameraPath


def render_sample(
    seed: int, held_out: bool = False, frames: int = 17, width: int = 96, height: int = 64, fps: float = 8.0
) -> DungeonSample:
    """The clip of a seed: room, camera path and caption are drawn from it; held-out seeds are another domain.

    Raises:
        InvalidCameras: fewer than one frame, or a picture size under one pixel.
    """
    room = sample_room(seed, held_out)
    path = sample_camera_path(seeded(seed, "camera", held_out))
    cameras = path.cameras(frames, width, height)
    return DungeonSample(render_clip(room, cameras, np.arange(frames) / fps), room, path)


def render_clip(room: RoomSpec, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> Clip:
    """What `cameras` see of `room` at scene seconds `times`: colour, exact depth, motion mask and caption.

    Colour is supersampled 2x2. Depth is that of the pixel's middle. The mask marks the pixels that the free object
    touches, where it moves.

    Raises:
        InvalidCameras: a camera is neither in the room, the doorway nor the antechamber.
        InvalidClip: `times` does not fit the cameras.
    """
    times = np.asarray(times, dtype=np.float64)
    packed = pack(room)
    shape = (len(cameras), cameras.height, cameras.width)
    if times.shape != shape[:1]:
        raise InvalidClip(f"times must be {len(cameras)} seconds to match the cameras, got shape {times.shape}")
    centers = object_positions(room, times)
    shots = Shots(centers, cameras.camera_to_world, cameras.Ks, _start_cells(packed.cells, cameras))
    frames, depth = np.empty((*shape, 3), dtype=np.uint8), np.empty(shape, dtype=np.float32)
    seen = np.empty(shape, dtype=np.bool_)
    bake_light, render_frames = kernels()
    bake_light(packed)
    render_frames(packed, shots, _display_lut(), Pictures(frames, depth, seen))
    mask = seen if room.moves else np.zeros_like(seen)
    return Clip(frames, depth, cameras, times, caption(room), mask)


def _start_cells(cells: Float64[np.ndarray, "3 6"], cameras: Cameras) -> Int64[np.ndarray, " T"]:
    """Which cell each camera stands in: 0 antechamber, 1 doorway, 2 room."""
    position = cameras.positions[:, None, :]
    low, high = cells[None, :, 0::2], cells[None, :, 1::2]
    inside: np.ndarray = np.all((position > low) & (position < high), axis=2)
    # The planes between the cells belong to the doorway.
    z = cameras.positions[:, 2]
    in_opening = np.all((position[:, 0, :2] > low[:, 1, :2]) & (position[:, 0, :2] < high[:, 1, :2]), axis=1)
    inside[:, 1] |= in_opening & ((z == cells[1, 4]) | (z == cells[1, 5]))
    outside = np.flatnonzero(~inside.any(axis=1))
    if len(outside):
        where = (np.round(cameras.positions[outside[0]], 3) + 0.0).tolist()
        raise InvalidCameras(
            f"cameras must stand in the room, the doorway or the antechamber; frames {outside[:8].tolist()} "
            f"do not, the first is at {where} m"
        )
    return np.asarray(inside.argmax(axis=1), dtype=np.int64)


@lru_cache(maxsize=1)
def _display_lut() -> np.ndarray:
    """sRGB-encoded bytes of linear light 0..LUT_MAX with a shoulder from 0.7 on, (LUT_SIZE,), uint8."""
    light = np.linspace(0.0, LUT_MAX, LUT_SIZE)
    shoulder = 0.7 + 0.3 * (1.0 - np.exp(-(light - 0.7) / 0.3))
    return np.round(255.0 * linear_to_srgb(np.where(light < 0.7, light, shoulder))).astype(np.uint8)
