"""What a worker rehearses with before it says that it is ready: a wall with something that moves before it."""

from __future__ import annotations

import numpy as np

from clips.cameras import Cameras, intrinsics
from clips.clip import Clip

WALL_M = 4.0
THING_M = 2.0
STEP_M = 0.02
FPS = 8.0


def warm_up_clip(frames: int, width: int, height: int) -> Clip:
    """A clip of the given size with exact depth; it exercises every stage of a reconstruction."""
    viewmats = np.tile(np.eye(4), (frames, 1, 1))
    viewmats[:, 2, 3] = -STEP_M * np.arange(frames)
    cameras = Cameras(viewmats, np.tile(intrinsics(width, height, 70.0), (frames, 1, 1)), width, height)
    moved_m = STEP_M * np.arange(frames, dtype=np.float32)[:, None, None]
    depth = np.array(np.broadcast_to(WALL_M - moved_m, (frames, height, width)), np.float32, order="C")
    rows, columns = np.mgrid[:height, :width]
    pattern = np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 64 + 96], axis=-1)
    colors = np.array(np.broadcast_to(pattern, (frames, height, width, 3)), np.uint8, order="C")
    side = max(2, height // 4)
    for frame in range(frames):
        left = min(width - side, width // 8 + frame * max(1, width // (2 * frames)))
        place = (frame, slice(height // 3, height // 3 + side), slice(left, left + side))
        depth[place] = THING_M - STEP_M * frame
        colors[place] = (250, 60, 30)
    return Clip(colors, depth, cameras, np.arange(frames) / FPS, "a wall")
