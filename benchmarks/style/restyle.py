"""The worked example's style: a palette and a texture that no rendered clip has, and the way back from the palette.

The palette is affine in display colours: shadows go to violet, lights to cream, and what colour is left is turned by a
sixth of a circle, so that bricks are olive, moss is petrol and nothing is brown. Over it lie broad soft bands in world
space, painted on floor, walls and ceiling and fixed to them under a moving camera; things in the room have none.
Depth, cameras and captions stay as they are, so everything but palette and texture can be judged as before:
`undo_palette` gives the colours back, all but what rounding and clipping took.

Why not a bolder one (docs/lora.md has the figures): an example should be one that can be learned and judged. Lines of
a pixel or two do not come through the VAE, which stays as it is; half a circle puts every colour where another word's
colour was; and bands on small things hide from the judge what they are.

    python -m benchmarks.style.restyle --out DIR [--clips 200] [--first-seed 200000]

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

CLIPS, FIRST_SEED = 200, 200_000
FRAMES, WIDTH, HEIGHT, FPS = 17, 96, 64, 8.0

LUMA = np.array([0.299, 0.587, 0.114])
SHADOW = np.array([30.0, 10.0, 50.0])
"""Display colour that black becomes."""
LIGHT = np.array([245.0, 240.0, 205.0])
"""Display colour that white becomes."""
TURN_DEG = 60.0
KEPT_COLOR = 0.85
"""Share of a colour's distance from grey that stays after the turn."""

BAND_PERIOD_M = 0.65
BAND_DIRECTION = np.array([0.5, 1.0, 1.0])
"""Across the bands; along no axis, so that floor, walls and ceiling all show them."""
BAND_SHADES = (1.12, 0.72)
"""What the lightest and the darkest part of a band multiply a pixel by."""
BAND_STEEPNESS = 1.5
"""1 is a plain wave; more is flat in the middle of light and dark, with an edge between them."""
PAINTED_FROM = 0.97
"""Share of the bare room's depth from which a pixel belongs to floor, walls or ceiling."""


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


def bands(points: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "..."]:
    """What the bands multiply every painted pixel by, within BAND_SHADES."""
    phase = (points @ (BAND_DIRECTION / np.linalg.norm(BAND_DIRECTION))) / BAND_PERIOD_M
    dark = np.clip(0.5 + 0.5 * BAND_STEEPNESS * np.cos(2.0 * math.pi * phase), 0.0, 1.0)
    return np.asarray(BAND_SHADES[0] + (BAND_SHADES[1] - BAND_SHADES[0]) * dark)


def restyle(clip: Clip, room_depth: Float[np.ndarray, "T H W"]) -> Clip:
    """The clip in the example's palette and texture; depth, cameras, times, caption and mask are its own.

    Args:
        clip: a room of the renderer.
        room_depth: depth of the bare room's box under the clip's cameras, metres.
    """
    matrix, offset = palette()
    painted = clip.depth >= PAINTED_FROM * room_depth
    if clip.motion_mask is not None:
        painted &= ~clip.motion_mask
    shade = np.where(painted, bands(world_points(clip.depth.astype(np.float64), clip.cameras)), 1.0)
    styled = (clip.frames * shade[..., None]) @ matrix.T + offset
    return replace(clip, frames=np.clip(np.round(styled), 0, 255).astype(np.uint8))


def undo_palette(frames: UInt8[np.ndarray, "*T H W 3"]) -> UInt8[np.ndarray, "*T H W 3"]:
    """The colours from which the palette made these; the bands stay."""
    matrix, offset = palette()
    plain: np.ndarray = (frames - offset) @ np.linalg.inv(matrix).T
    return np.clip(np.round(plain), 0, 255).astype(np.uint8)


def restyled_room(seed: int) -> Footage:
    """A room of the base's domain, restyled, with its caption, slots and blockouts."""
    sample = render_sample(seed, False, FRAMES, WIDTH, HEIGHT, FPS)
    clip = sample.clip
    room_depth = graybox_depth(graybox_of(sample.room, False), clip.cameras, clip.times)
    return Footage(
        restyle(clip, room_depth),
        slots=sample.room.slots,
        object_mask=sample.object_mask,
        room_depth=room_depth,
        objects_depth=graybox_depth(graybox_of(sample.room, True), clip.cameras, clip.times),
        source={"renderer": "clips.dungeon", "seed": seed, "style": "benchmarks.style.restyle"},
    )


def write_folder(folder: Path, clips: int = CLIPS, first_seed: int = FIRST_SEED) -> None:
    """Write a clip folder of so many restyled rooms; those that are there stay.

    Raises:
        InvalidClip: the folder holds another data set.
        OSError: it cannot be written.
    """
    about = "Rooms of Narthex's renderer in violet and cream with painted bands: the worked example of docs/lora.md."
    info = our_dataset("violet-bands", WIDTH, HEIGHT, FPS, about=about, licence="CC0-1.0")
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
