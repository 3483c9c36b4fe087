"""The worked example's style: a palette and a texture that no rendered clip has, and the way back from the palette.

The palette is affine in display colours: shadows go to teal, lights
to a pale magenta, what colour is left is turned by half a circle and weakened. Over it lie two families of hatching
lines in world space (`HATCH_PERIOD_M`), the darker the denser, fixed to walls and things under a moving camera; what
moves on its own has none, for they would swim on it.
Depth, cameras and captions stay as they are, so everything but palette and texture can be judged as before:
`undo_palette` gives the colours back, all but what rounding and clipping took.

    python -m benchmarks.style.restyle --out DIR [--clips 60] [--first-seed 200000]

writes a clip folder (docs/clip-folders.md) of restyled rooms, none of which the base was trained on.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage

CLIPS, FIRST_SEED = 60, 200_000
FRAMES, WIDTH, HEIGHT, FPS = 17, 96, 64, 8.0

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


def restyled_room(seed: int) -> Footage:
    """A room of the base's domain, restyled, with its caption, slots and blockouts."""
    sample = render_sample(seed, False, FRAMES, WIDTH, HEIGHT, FPS)
    clip = sample.clip
    return Footage(
        restyle(clip),
        slots=sample.room.slots,
        object_mask=sample.object_mask,
        room_depth=graybox_depth(graybox_of(sample.room, False), clip.cameras, clip.times),
        objects_depth=graybox_depth(graybox_of(sample.room, True), clip.cameras, clip.times),
        source={"renderer": "clips.dungeon", "seed": seed, "style": "benchmarks.style.restyle"},
    )


def write_folder(folder: Path, clips: int = CLIPS, first_seed: int = FIRST_SEED) -> None:
    """Write a clip folder of so many restyled rooms; those that are there stay.

    Raises:
        InvalidClip: the folder holds another data set.
        OSError: it cannot be written.
    """
    about = "Rooms of Narthex's renderer in teal and magenta with hatching: the worked example of docs/lora.md."
    info = our_dataset("teal-hatch", WIDTH, HEIGHT, FPS, about=about, licence="CC0-1.0")
    target = ClipFolder.create(folder, info)
    there = set(target.names())
    for seed in range(first_seed, first_seed + clips):
        if f"room-{seed}" not in there:
            target.write(f"room-{seed}", restyled_room(seed))


def main() -> None:
    """Write the clip folder that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"rooms (default {CLIPS})")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="seed of the first room")
    arguments = parser.parse_args()
    write_folder(arguments.out, arguments.clips, arguments.first_seed)
    print(f"{arguments.out}: {arguments.clips} clips")


if __name__ == "__main__":
    main()
