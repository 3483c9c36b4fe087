"""door.mp4: the game's own picture at a door, and behind it the generated scene, as an engine would draw it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image

from clips.cameras import Cameras
from examples.vizdoom.level import Doorway
from recon.raster import render_scene
from recon.scene import Scene4D
from service.demo.portal import GameFrame, blend, game_cameras, opening_mask

LEAD_S = 1.2
HOLD_S = 1.4
DARK = (0.02, 0.02, 0.03)
CLIP_Z_M = -0.15
LARGE_PX = 60_000


@dataclass(frozen=True)
class Showing:
    """From `start_s` on, fully from `end_s` on, this quality is on screen (equal where it simply appears)."""

    quality: str
    start_s: float
    end_s: float


def showings(lines: Sequence[Mapping[str, object]], gate: str) -> list[Showing]:
    """What was on screen at a gate, from the lines of screen.jsonl."""
    found: list[Showing] = []
    fade_s: float | None = None
    for line in lines:
        if line.get("gate") != gate:
            continue
        at = float(str(line["offset_s"]))
        if line["what"] == "fade":
            fade_s = at
        elif line["what"] == "shown":
            found.append(Showing(str(line["quality"]), at if fade_s is None else fade_s, at))
            fade_s = None
    return found


def door_frames(
    frames: Sequence[GameFrame],
    door: Doorway,
    shown: Sequence[Showing],
    scenes: Mapping[str, Scene4D],
    fps: float,
    threads: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The pictures of door.mp4, (T, H, W, 3) uint8: the game's frames with the scene behind the open door.

    Long stretches in which the player only stands before the same quality are shortened. Scene time runs to and
    fro, so that a short scene has no jump.

    Args:
        frames: of the game around the opening, in order of time.
        shown: what was on screen when; empty leaves the game's own frames.
        scenes: quality -> scene, for every quality of `shown`.
        fps: of the video: how fast scene time runs.
        progress: called with (frames done, frames in all).
    """
    kept = shortened(frames, door.gate, shown)
    pictures = []
    for index, frame in enumerate(kept):
        pictures.append(_composed(frame, door, shown, scenes, index / fps, threads))
        progress(index + 1, len(kept))
    return np.stack(pictures)


def shortened(frames: Sequence[GameFrame], gate: str, shown: Sequence[Showing]) -> list[GameFrame]:
    """The frames without those in which nothing new is to be seen: the lead and each steady stretch are cut."""
    opened_s = next((frame.offset_s for frame in frames if frame.doors[gate] > 0), 0.0)
    changes = [opened_s, *(time_s for showing in shown for time_s in (showing.start_s, showing.end_s))]
    leaves_s = _leaves_s(frames, max(changes))
    kept = []
    for frame in frames:
        since_s = min((frame.offset_s - change for change in changes if change <= frame.offset_s), default=None)
        until_s = min(
            (change - frame.offset_s for change in [*changes, leaves_s] if change > frame.offset_s), default=0
        )
        lead = since_s is None and frame.offset_s >= opened_s - LEAD_S
        if lead or frame.offset_s >= leaves_s or (since_s is not None and min(since_s, until_s) < HOLD_S / 2):
            kept.append(frame)
    return kept


def _leaves_s(frames: Sequence[GameFrame], after_s: float) -> float:
    """When the player begins to walk in, after everything has been shown."""
    standing = next((frame for frame in frames if frame.offset_s >= after_s), None)
    if standing is None:
        return after_s
    moving = (f.offset_s for f in frames if f.offset_s >= after_s and abs(f.y - standing.y) > 4.0)
    return next(moving, after_s)


def _composed(
    frame: GameFrame,
    door: Doorway,
    shown: Sequence[Showing],
    scenes: Mapping[str, Scene4D],
    video_s: float,
    threads: int,
) -> np.ndarray:
    picture = frame.picture()
    current = [showing for showing in shown if showing.start_s <= frame.offset_s][-2:]
    height, width = picture.shape[:2]
    mask = opening_mask(frame, door, width, height)
    if not current or not mask.any():
        return picture
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    cameras = _cropped(game_cameras(frame, door, width, height), part)

    def drawn(quality: str) -> np.ndarray:
        scene = scenes[quality]
        return _drawn(_behind(scene) if frame.y < door.y else scene, cameras, video_s, threads)

    new = current[-1]
    share = smoothstep((frame.offset_s - new.start_s) / max(new.end_s - new.start_s, 1e-6))
    behind = drawn(new.quality)
    if share < 1.0 and len(current) == 2:
        behind = blend(drawn(current[0].quality), behind, share)
    composed = picture.copy()
    composed[part] = blend(picture[part], behind, mask[part])
    return composed


def _behind(scene: Scene4D) -> Scene4D:
    """The splats that do not stand before the threshold: an engine clips a portal's content at its plane."""
    keep = scene.means[:, 2] > CLIP_Z_M
    arrays = {field.name: getattr(scene, field.name) for field in fields(scene) if field.name != "duration_s"}
    return replace(scene, **{name: values[keep] for name, values in arrays.items()})


def _cropped(cameras: Cameras, part: tuple[slice, slice]) -> Cameras:
    """The cameras of a part of the picture (rows, columns)."""
    rows, columns = part
    Ks = cameras.Ks.copy()
    Ks[:, 0, 2] -= columns.start
    Ks[:, 1, 2] -= rows.start
    return Cameras(cameras.viewmats, Ks, columns.stop - columns.start, rows.stop - rows.start)


def _drawn(scene: Scene4D, cameras: Cameras, video_s: float, threads: int) -> np.ndarray:
    """The scene at a moment of the video; a large picture is drawn at half the size, finer than what was generated."""
    turn = max(scene.duration_s - 0.05, 0.05)
    time_s = turn - abs(video_s % (2 * turn) - turn)
    small = cameras
    if cameras.width * cameras.height > LARGE_PX:
        small = cameras.resized(cameras.width // 2, cameras.height // 2)
    pictures, _, _ = render_scene(scene, small, [time_s], background=DARK, threads=threads)
    size = (cameras.width, cameras.height)
    return np.asarray(Image.fromarray(pictures[0]).resize(size, Image.Resampling.BICUBIC))


def smoothstep(share: float) -> float:
    """3u^2 - 2u^3 with u cut to 0..1: the curve of a handover."""
    u = min(1.0, max(0.0, share))
    return u * u * (3.0 - 2.0 * u)
