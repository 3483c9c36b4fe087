"""The fixed scenes that reconstruction is judged by: rooms, what moves in them, and two camera paths each.

A scene says how the camera goes, what moves and whether faces have a pattern; a seed draws the rest of the room (light,
materials, colours, sizes, how the motion begins) from the held-out domain. The clip is what the scene's camera sees.
The held-out camera goes 0.4 m beside it and sways, so that it moves even where the clip's camera stands still; no frame
of the clip is seen from there. A part of what it sees no frame of the clip saw at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import maximum_filter, minimum_filter

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.company import Company, CompanyClip, render_company, surface_points
from clips.dungeon.scene import RoomSpec, sample_room

FRAMES, WIDTH, HEIGHT, FPS = 48, 160, 90, 24.0
ASIDE_M = 0.4
SWAY_AHEAD_M, SWAY_UP_M = 0.15, 0.06
ROOM_SEED = 4_000
BETWEEN_EVERY = 4
_SAME_SURFACE, _STEEPEST = 0.02, 0.06


@dataclass(frozen=True)
class EvalScene:
    """One fixed scene.

    Attributes:
        name: in tables and for `--scenes`.
        path: the clip's camera.
        movers: words and numbers of each free object, as `sample_room` takes them; the first is the room's own.
        side: 1.0 puts the held-out camera to the right, -1.0 to the left.
        flat: faces have no pattern.
    """

    name: str
    path: CameraPath
    movers: tuple[tuple[tuple[str, Any], ...], ...]
    side: float = 1.0
    flat: bool = False


def _mover(**words: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(words.items())


_LEFT = {"size": "large", "prop": "none", "object_x_m": -1.0, "object_z_m": 3.0, "object_size_m": 0.45}
_RIGHT = {"object_x_m": 1.0, "object_z_m": 4.2, "object_size_m": 0.45}
_STILL = CameraPath(PathKind.STILL, start_z_m=0.3)
_PAN = CameraPath(PathKind.PAN, start_z_m=0.2, angle_deg=36.0)
_PAN_LEFT = CameraPath(PathKind.PAN, start_z_m=0.2, angle_deg=-30.0)
_WALK = CameraPath(PathKind.WALK_IN, start_z_m=-0.8, distance_m=1.6)

SCENES: tuple[EvalScene, ...] = (
    EvalScene("still-bounce", _STILL, (_mover(motion="bounce", shape="orb"),)),
    EvalScene("still-circle-flat", _STILL, (_mover(motion="orbit", shape="cube"),), -1.0, True),
    EvalScene(
        "still-two",
        _STILL,
        (_mover(motion="slide", shape="crystal", **_LEFT), _mover(motion="bounce", shape="cube", **_RIGHT)),
    ),
    EvalScene("pan-circle", _PAN, (_mover(motion="orbit", shape="cone"),), -1.0),
    EvalScene("pan-slide-flat", _PAN_LEFT, (_mover(motion="slide", shape="orb"),), 1.0, True),
    EvalScene(
        "pan-two",
        _PAN,
        (_mover(motion="orbit", shape="orb", **_LEFT), _mover(motion="slide", shape="crystal", **_RIGHT)),
        -1.0,
    ),
    EvalScene("walk-bounce", _WALK, (_mover(motion="bounce", shape="cube"),)),
    EvalScene("walk-slide", _WALK, (_mover(motion="slide", shape="cone"),), -1.0),
    EvalScene(
        "walk-two-flat",
        _WALK,
        (_mover(motion="orbit", shape="cube", **_LEFT), _mover(motion="bounce", shape="orb", **_RIGHT)),
        1.0,
        True,
    ),
    EvalScene(
        "shake-swing",
        CameraPath(PathKind.SHAKE, start_z_m=-0.3, distance_m=0.9, shake_seed=4),
        (_mover(motion="swing", shape="crystal"),),
        -1.0,
    ),
)


@dataclass(frozen=True, eq=False)
class Truth:
    """One scene and seed: the clip that is given, and what it is judged by.

    Attributes:
        clip: what the reconstruction is given.
        aside: what the held-out camera sees at the clip's times, with true speeds.
        between: what it sees halfway between every BETWEEN_EVERYth frame and the next.
        seen: held-out pixels whose surface the clip shows too: at any time where nothing moves, at the same time
            where something does, (T, H, W).
    """

    scene: EvalScene
    seed: int
    clip: Clip
    aside: CompanyClip
    between: Clip
    seen: Bool[np.ndarray, "T H W"]


def chosen(names: list[str] | None) -> list[EvalScene]:
    """The scenes of these names in the order of SCENES; all when None.

    Raises:
        ValueError: there is no scene of a name.
    """
    known = {scene.name: scene for scene in SCENES}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ValueError(f"--scenes: got {unknown[0]!r}, expected some of {', '.join(known)}")
    return [scene for scene in SCENES if names is None or scene.name in names]


def company_of(scene: EvalScene, seed: int) -> Company:
    """The room of a scene and seed, and what moves in it."""
    first = ROOM_SEED + 100 * SCENES.index(scene) + 10 * seed
    rooms = [_room(dict(words), first + k) for k, words in enumerate(scene.movers)]
    return Company(rooms[0], tuple(rooms[1:]), scene.flat)


def _room(words: dict[str, Any], seed: int) -> RoomSpec:
    return sample_room(seed, True, **words)


def aside_cameras(cameras: Cameras, side: float) -> Cameras:
    """The held-out path: ASIDE_M to one side of each camera, swaying ahead and up and down; it looks the same way."""
    progress = np.linspace(0.0, 1.0, len(cameras))
    viewmats = cameras.viewmats.copy()
    viewmats[:, 0, 3] -= side * ASIDE_M
    viewmats[:, 1, 3] -= SWAY_UP_M * np.sin(4 * np.pi * progress)
    viewmats[:, 2, 3] -= SWAY_AHEAD_M * np.sin(2 * np.pi * progress)
    return Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)


@lru_cache(maxsize=2)
def truth_of(scene: EvalScene, seed: int, frames: int = FRAMES, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Truth:
    """The clip and the ground truth of a scene and seed in `frames` frames of `size` (width, height)."""
    company = company_of(scene, seed)
    cameras = scene.path.cameras(frames, *size)
    times = np.arange(frames) / FPS
    made = render_company(company, cameras, times)
    moved = aside_cameras(cameras, scene.side)
    aside = render_company(company, moved, times)
    picked = np.arange(0, frames - 1, BETWEEN_EVERY)
    halfway = Cameras(moved.viewmats[picked], moved.Ks[picked], *size)
    between = render_company(company, halfway, (times[picked] + times[picked + 1]) / 2).clip
    return Truth(scene, seed, made.clip, aside, between, seen_by(aside.clip, made.clip))


def noisy(clip: Clip, noise: float, seed: int) -> Clip:
    """`clip` with depth multiplied by exp(`noise` times a normal number), another for every pixel of every frame."""
    if not noise:
        return clip
    factor = np.exp(np.random.default_rng(seed).normal(size=clip.depth.shape) * noise)
    return replace(clip, depth=(clip.depth * factor).astype(np.float32))


def seen_by(view: Clip, clip: Clip) -> Bool[np.ndarray, "T H W"]:
    """True at pixels of `view` whose surface `clip` shows: in any frame where it stands still, else in the same one."""
    moving = view.motion_mask if view.motion_mask is not None else np.zeros(view.depth.shape, bool)
    seen = np.zeros(view.depth.shape, bool)
    for number in range(len(view)):
        points = surface_points(view.depth[number : number + 1], view.cameras[number : number + 1])[0]
        for frame in range(len(clip)):
            if frame == number:
                seen[number] |= _shows(points, clip, frame)
            elif frame % 3 == 0:
                seen[number] |= _shows(points, clip, frame) & ~moving[number]
    return seen


def _shows(points: Float64[np.ndarray, "H W 3"], clip: Clip, frame: int) -> Bool[np.ndarray, "H W"]:
    """True where frame `frame` of `clip` has these points, by its depth at the nearest pixel.

    Depth may differ by _SAME_SURFACE and by what it changes to the next pixels, which is much on a grazed floor.
    """
    viewmat, K = clip.cameras.viewmats[frame], clip.cameras.Ks[frame]
    local = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    z = np.maximum(local[..., 2], 1e-6)
    column = np.floor(local[..., 0] / z * K[0, 0] + K[0, 2]).astype(int)
    row = np.floor(local[..., 1] / z * K[1, 1] + K[1, 2]).astype(int)
    height, width = clip.depth.shape[1:]
    inside = (local[..., 2] > 0.02) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    at = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    depth = clip.depth[frame]
    change = (maximum_filter(depth, 3)[at] - minimum_filter(depth, 3)[at]) / z
    there = np.abs(depth[at] / z - 1.0) < _SAME_SURFACE + np.minimum(change, _STEEPEST)
    return np.asarray(inside & there)
