"""The game's camera in the gate frame, and where on the game's screen the room behind an open door is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from clips.cameras import Cameras
from examples.vizdoom.level import UNITS_PER_M, Doorway

# Doom looks through 90 degrees at 4:3, keeps the height of the view on wider screens, and its pixels are drawn
# 1.2 times as high as they are wide. Checked against the level's door: tests/service/demo/test_portal.py.
FOCAL_X_OF_HEIGHT = 2.0 / 3.0
PIXEL_STRETCH = 1.2
NEAR_M = 0.02
SOFTEN = 3


@dataclass(frozen=True)
class GameFrame:
    """One picture of the game with the pose from which it was seen (a line of the client's frames.jsonl)."""

    path: Path
    offset_s: float
    x: float
    y: float
    eye: float
    angle_deg: float
    doors: Mapping[str, float]

    @staticmethod
    def from_line(folder: Path, line: Mapping[str, Any]) -> GameFrame:
        """The frame that a line of frames.jsonl in `folder` describes."""
        numbers = {name: float(line[name]) for name in ("offset_s", "x", "y", "eye", "angle_deg")}
        return GameFrame(path=folder / str(line["file"]), doors=dict(line["doors"]), **numbers)

    def picture(self) -> np.ndarray:
        """The game's screen, (H, W, 3) uint8."""
        return np.asarray(Image.open(self.path).convert("RGB"))


def game_cameras(frame: GameFrame, door: Doorway, width: int, height: int) -> Cameras:
    """The single camera, in the gate frame of `door`, from which the game drew a frame of this size."""
    turn = math.radians(frame.angle_deg)
    rotation = np.array([[math.sin(turn), 0, -math.cos(turn)], [0, 1, 0], [math.cos(turn), 0, math.sin(turn)]])
    eye = np.array([frame.x - door.x, -frame.eye, frame.y - door.y]) / UNITS_PER_M
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ eye
    focal = FOCAL_X_OF_HEIGHT * height
    K = np.array([[focal, 0, width / 2], [0, focal * PIXEL_STRETCH, height / 2], [0, 0, 1]])
    return Cameras(viewmat[None], K[None], width, height)


def opening_mask(frame: GameFrame, door: Doorway, width: int, height: int) -> np.ndarray:
    """How much of each pixel shows what lies behind the door, (H, W) float32 in 0..1.

    The view passes three rectangles: the recess in the wall, the front and the back of the risen leaf. Those
    that lie behind the player hide nothing.
    """
    camera = game_cameras(frame, door, width, height)
    risen = frame.doors[door.gate]
    mask = np.ones((height, width), np.float32)
    for y, high in ((door.front_y, door.height), (door.leaf_y, risen), (door.y, risen)):
        if (y - frame.y) / UNITS_PER_M > NEAR_M:
            mask = np.minimum(mask, _rectangle(camera, door, y, high))
    return mask


def _rectangle(camera: Cameras, door: Doorway, y: float, high: float) -> np.ndarray:
    half, z = door.width / 2, y - door.y
    corners = np.array([[-half, -high, z], [half, -high, z], [half, 0.0, z], [-half, 0.0, z]]) / UNITS_PER_M
    rotation, shift = camera.viewmats[0, :3, :3], camera.viewmats[0, :3, 3]
    seen = _cut_near(corners @ rotation.T + shift)
    if len(seen) < 3:
        return np.zeros((camera.height, camera.width), np.float32)
    pixels = (seen / seen[:, 2:]) @ camera.Ks[0].T
    image = Image.new("L", (camera.width * SOFTEN, camera.height * SOFTEN), 0)
    ImageDraw.Draw(image).polygon([(x * SOFTEN, y * SOFTEN) for x, y, _ in pixels], fill=255)
    small = image.resize((camera.width, camera.height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255.0


def _cut_near(points: np.ndarray) -> np.ndarray:
    """The part of a polygon (N, 3) that lies before the camera."""
    kept: list[np.ndarray] = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] >= NEAR_M:
            kept.append(start)
        if (start[2] >= NEAR_M) != (end[2] >= NEAR_M):
            share = (NEAR_M - start[2]) / (end[2] - start[2])
            kept.append(start + share * (end - start))
    return np.array(kept).reshape(-1, 3)


def blend(under: np.ndarray, over: np.ndarray, weight: np.ndarray | float) -> np.ndarray:
    """Two uint8 pictures mixed in sRGB values; weight 1 is `over`."""
    share = np.asarray(weight, np.float32)
    share = share[..., None] if share.ndim == 2 else share
    mixed = under.astype(np.float32) * (1.0 - share) + over.astype(np.float32) * share
    return np.asarray(np.rint(mixed), np.uint8)


def frames_of(folder: Path, lines: Sequence[Mapping[str, Any]], door: Doorway) -> list[GameFrame]:
    """The frames around the opening of one door, in order of time."""
    frames = (GameFrame.from_line(folder, line) for line in lines)
    near = (frame for frame in frames if abs(frame.x - door.x) <= door.width)
    return sorted(near, key=lambda frame: frame.offset_s)
