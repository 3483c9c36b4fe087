"""The worked example's style: a palette and a texture that no rendered clip has, and the way back from the palette.

The palette is affine in display colours: shadows go to teal, lights
to a pale magenta, what colour is left is turned by half a circle and weakened. Over it lie two families of hatching
lines in world space (`HATCH_PERIOD_M`), the darker the denser, fixed to walls and things under a moving camera; what
moves on its own has none, for they would swim on it.
Depth, cameras and captions stay as they are, so everything but palette and texture can be judged as before:
`undo_palette` gives the colours back, all but what rounding and clipping took. `python -m benchmarks.lora --clips-out
DIR` writes a clip folder of restyled rooms.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from clips.cameras import Cameras
from clips.clip import Clip

LUMA = np.array([0.299, 0.587, 0.114])
SHADOW = np.array([6.0, 44.0, 54.0])
"""Display colour that black becomes."""
LIGHT = np.array([246.0, 196.0, 236.0])
"""Display colour that white becomes."""
TURN_DEG = 180.0
KEPT_COLOR = 0.55
"""Share of a colour's distance from grey that stays after the turn."""

HATCH_PERIOD_M = 0.5
HATCH_SHARE = 0.4
"""Share of a period that a line covers."""
HATCH_DEPTH = 0.35
"""How much a line darkens."""
CROSS_BELOW = 50.0
"""Luma (0 to 255) under which the second family of lines crosses the first."""
HATCH_DIRECTIONS = np.array([[1.0, 1.4, 1.0], [1.0, -1.4, -1.0]])


def palette() -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " 3"]]:
    """Matrix and offset of the palette: new = matrix @ old + offset, display values 0 to 255."""
    axis = np.full(3, 1.0 / math.sqrt(3.0))
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    angle = math.radians(TURN_DEG)
    turn = np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * (cross @ cross)
    of_grey = np.outer((LIGHT - SHADOW) / 255.0, LUMA)
    return of_grey + KEPT_COLOR * turn @ (np.eye(3) - np.outer(np.ones(3), LUMA)), SHADOW


def world_points(depth: Float[np.ndarray, "T H W"], cameras: Cameras) -> Float[np.ndarray, "T H W 3"]:
    """Where in the gate frame every pixel's middle lies, metres."""
    rows, columns = np.arange(cameras.height) + 0.5, np.arange(cameras.width) + 0.5
    pixels = np.stack([*np.meshgrid(columns, rows), np.ones((cameras.height, cameras.width))], axis=-1)
    rays = np.einsum("tij,hwj->thwi", np.linalg.inv(cameras.Ks), pixels)
    poses = cameras.camera_to_world
    points = np.einsum("tij,thwj->thwi", poses[:, :3, :3], rays * depth[..., None])
    return np.asarray(points + poses[:, None, None, :3, 3])


def hatching(points: Float[np.ndarray, "... 3"], luma: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """What the lines multiply every pixel by, 1 - HATCH_DEPTH to 1."""
    shade: np.ndarray = np.ones(luma.shape)
    for family, direction in enumerate(HATCH_DIRECTIONS):
        phase = (points @ (direction / np.linalg.norm(direction))) / HATCH_PERIOD_M
        # A line with soft edges: a hard one would be jagged at 96x64.
        wave = 0.5 + 0.5 * np.cos(2.0 * math.pi * phase)
        line = np.clip((wave - (1.0 - HATCH_SHARE)) / 0.2, 0.0, 1.0)
        drawn = line if family == 0 else line * (luma < CROSS_BELOW)
        shade *= 1.0 - HATCH_DEPTH * drawn
    return np.asarray(shade)


def restyle(clip: Clip) -> Clip:
    """The clip in the example's palette and texture; depth, cameras, times, caption and mask are its own."""
    matrix, offset = palette()
    luma = clip.frames @ LUMA
    shade = hatching(world_points(clip.depth.astype(np.float64), clip.cameras), luma)
    if clip.motion_mask is not None:
        shade = np.where(clip.motion_mask, 1.0, shade)
    inked = (clip.frames * shade[..., None]) @ matrix.T + offset
    return replace(clip, frames=np.clip(np.round(inked), 0, 255).astype(np.uint8))


def undo_palette(frames: UInt8[np.ndarray, "*T H W 3"]) -> UInt8[np.ndarray, "*T H W 3"]:
    """The colours from which the palette made these; the hatching stays."""
    matrix, offset = palette()
    plain: np.ndarray = (frames - offset) @ np.linalg.inv(matrix).T
    return np.clip(np.round(plain), 0, 255).astype(np.uint8)
