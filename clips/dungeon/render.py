"""Clips of dungeon rooms: exact RGB-D ground truth from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from clips.camera_path import CameraPath
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.caption import caption
from clips.dungeon.cells import start_cells
from clips.dungeon.kernel import LUT_MAX, LUT_SIZE, Pictures, Shots, kernels
from clips.dungeon.motion import ObjectPoses, object_poses
from clips.dungeon.packing import PackedRoom, movers, pack
from clips.dungeon.scene import RoomSpec, sample_camera_path, sample_room, seeded
from clips.dungeon.textures import linear_to_srgb
from clips.errors import InvalidClip
from clips.optical_flow import optical_flow

OBJECT_BIT = 1


@dataclass(frozen=True, eq=False)
class DungeonSample:
    """One training example: a clip, the room that it shows and the camera path that it was taken along.

    Attributes:
        poses: of the free object in every frame.
        object_mask: pixels that the free object touches, whether or not it moves, (T, H, W) bool.
    """

    clip: Clip
    room: RoomSpec
    path: CameraPath
    poses: ObjectPoses
    object_mask: Bool[np.ndarray, "T H W"]

    @cached_property
    def flow(self) -> Float32[np.ndarray, "N H W 2"]:
        """Exact optical flow from each frame to the next, pixels, (T-1, H, W, 2)."""
        clip, poses = self.clip, self.poses
        # The cord of a swinging object turns with it.
        moving = self.object_mask if clip.motion_mask is None else self.object_mask | clip.motion_mask
        return optical_flow(clip.depth, clip.cameras, moving, poses.centers, poses.rotations)


def render_sample(
    seed: int,
    held_out: bool = False,
    frames: int = 17,
    width: int = 96,
    height: int = 64,
    fps: float = 8.0,
    *,
    held_out_path: bool = False,
    path_frames: int | None = None,
) -> DungeonSample:
    """The clip of a seed: room, camera path and caption are drawn from it; held-out seeds are another domain.

    Args:
        held_out_path: take a camera path unlike any of training's (`scene.sample_camera_path`).
        path_frames: the camera ends its path after so many frames and then stands; None: at the last frame.

    Raises:
        InvalidCameras: fewer than one frame, or a picture size under one pixel.
    """
    path = sample_camera_path(seeded(seed, "camera", held_out), held_out_path)
    return render_room(sample_room(seed, held_out), path, (frames, width, height), fps, path_frames)


def render_room(
    room: RoomSpec, path: CameraPath, size: tuple[int, int, int], fps: float, path_frames: int | None = None
) -> DungeonSample:
    """What a camera path sees of `room` in (frames, width, height); otherwise as `render_sample`."""
    frames, width, height = size
    moving = path.cameras(frames if path_frames is None else path_frames, width, height)
    rows = np.minimum(np.arange(frames), len(moving) - 1)
    cameras = Cameras(moving.viewmats[rows], moving.Ks[rows], width, height)
    times = np.arange(frames) / fps
    poses = object_poses(room, times)
    clip, object_mask = _render(room, cameras, times, poses)
    return DungeonSample(clip, room, path, poses, object_mask)


def render_clip(room: RoomSpec, cameras: Cameras, times: Float64[np.ndarray, " T"]) -> Clip:
    """What `cameras` see of `room` at scene seconds `times`: colour, exact depth, motion mask and caption.

    Colour is supersampled 2x2. Depth is that of the pixel's middle. The mask marks the pixels that the free object
    and its cord touch, where they move.

    Raises:
        InvalidCameras: a camera is neither in the room, the doorway nor the antechamber.
        InvalidClip: `times` does not fit the cameras.
    """
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (len(cameras),):
        raise InvalidClip(f"times must be {len(cameras)} seconds to match the cameras, got shape {times.shape}")
    return _render(room, cameras, times, object_poses(room, times))[0]


def _render(room: RoomSpec, cameras: Cameras, times: np.ndarray, poses: ObjectPoses) -> tuple[Clip, np.ndarray]:
    frames, depth, seen = draw(pack(room), movers(poses), cameras)
    mask = seen > 0 if room.moves else np.zeros(seen.shape, dtype=np.bool_)
    return Clip(frames, depth, cameras, times, caption(room), mask), (seen & OBJECT_BIT) > 0


def draw(
    packed: PackedRoom, placed: Float64[np.ndarray, "T M 12"], cameras: Cameras
) -> tuple[UInt8[np.ndarray, "T H W 3"], Float32[np.ndarray, "T H W"], UInt8[np.ndarray, "T H W"]]:
    """Frames, depth in metres and which movers touch each pixel (bit m: solid m) of a packed room.

    `placed` has the first M solids' centre and rotation in every frame (`packing.movers`).

    Raises:
        InvalidCameras: a camera is neither in the room, the doorway nor the antechamber.
    """
    shape = (len(cameras), cameras.height, cameras.width)
    shots = Shots(placed, cameras.camera_to_world, cameras.Ks, start_cells(packed.cells, cameras))
    frames, depth = np.empty((*shape, 3), dtype=np.uint8), np.empty(shape, dtype=np.float32)
    seen = np.empty(shape, dtype=np.uint8)
    bake_light, render_frames = kernels()
    bake_light(packed)
    render_frames(packed, shots, _display_lut(), Pictures(frames, depth, seen))
    return frames, depth, seen


@lru_cache(maxsize=1)
def _display_lut() -> np.ndarray:
    """sRGB-encoded bytes of linear light 0..LUT_MAX with a shoulder from 0.7 on, (LUT_SIZE,), uint8."""
    light = np.linspace(0.0, LUT_MAX, LUT_SIZE)
    shoulder = 0.7 + 0.3 * (1.0 - np.exp(-(light - 0.7) / 0.3))
    return np.round(255.0 * linear_to_srgb(np.where(light < 0.7, light, shoulder))).astype(np.uint8)
