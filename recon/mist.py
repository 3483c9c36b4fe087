"""Mist: the built-in placeholder, a dim room full of slowly drifting fog, for gates that nothing better is ready for.

It is made procedurally from a seed and never stands in for generated content: the ladder calls it PLACEHOLDER.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clips.cameras import Cameras
from clips.clip import Clip
from recon.raster.scene import render_scene
from recon.scene import Scene4D
from recon.splats import Splats, concatenate_splats, scene_of, static_splats

BACKDROP_SPLATS = 1100
HAZE_SPLATS = 220
WISPS = 34
PUFFS_PER_WISP = 44
CAPTION = "a dim room full of drifting mist"
_CENTER = np.array([0.0, -1.4, 2.2])
_RADII = np.array([3.6, 2.1, 4.4])
_FLOOR_COLOR = np.array([0.050, 0.066, 0.092])
_ROOM_COLOR = np.array([0.050, 0.068, 0.105])
_GLOW_COLOR = np.array([0.47, 0.56, 0.68])
_FOG_COLOR = np.array([0.36, 0.44, 0.56])
_DRIFT_MPS = 0.11
_FADE_S = 60.0


def mist_scene(duration_s: float = 2.0, seed: int = 0) -> Scene4D:
    """A dark room with a faint glow at its far end and fog that drifts through it and the gate's opening.

    About 2,900 soft splats in the gate frame; one seed gives one scene. Fog moves linearly and is meant
    to be shown from 0 to `duration_s` seconds, though it looks right for several times as long.
    """
    rng = np.random.default_rng(seed)
    return scene_of(concatenate_splats([_backdrop(rng), _haze(rng, duration_s), _wisps(rng, duration_s)]), duration_s)


def mist_clip(cameras: Cameras, fps: float, seed: int = 0) -> Clip:
    """The mist room as RGB-D video along `cameras`, at `fps` frames per second from scene second 0."""
    times = np.arange(len(cameras)) / fps
    scene = mist_scene(len(cameras) / fps, seed)
    frames, depth, _ = render_scene(scene, cameras, times, background=tuple(_ROOM_COLOR.tolist()))
    return Clip(frames, np.maximum(depth, np.float32(0.1)), cameras, times, CAPTION)


def _backdrop(rng: np.random.Generator) -> Splats:
    """The inside of an ellipsoid around the room: dark, with a pale archway of light at the far end."""
    index = np.arange(BACKDROP_SPLATS) + 0.5
    height, angle = 1.0 - 2.0 * index / BACKDROP_SPLATS, index * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    directions = np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1)
    means = _CENTER + directions * _RADII
    arch = np.exp(-((means[:, 0] / 0.95) ** 4) - ((means[:, 1] + 1.15) / 1.15) ** 4) * (directions[:, 2] > 0)
    spill = np.exp(-((means[:, 0] / 1.5) ** 2) - ((means[:, 2] - 5.2) / 1.6) ** 2) * (directions[:, 1] > 0.3)
    base = np.where((directions[:, 1] > 0.35)[:, None], _FLOOR_COLOR, _ROOM_COLOR)
    base = base * (1.0 + 0.22 * rng.normal(size=(BACKDROP_SPLATS, 1)))
    lit = np.clip(arch + 0.35 * spill, 0.0, 1.0)[:, None]
    spread = np.zeros((BACKDROP_SPLATS, 6))
    spread[:, [0, 3, 5]] = 0.26**2
    return static_splats(means, spread, np.clip(base + lit * (_GLOW_COLOR - base), 0.0, 1.0), 0.97)


def _haze(rng: np.random.Generator, duration_s: float) -> Splats:
    """Large, thin puffs that soften depth, denser near the floor and deeper in the room."""
    depth = rng.beta(1.6, 1.1, HAZE_SPLATS) * 5.2 + 0.3
    height = np.minimum(rng.gamma(1.8, 0.4, HAZE_SPLATS), 2.5)
    means = np.stack([rng.normal(0.0, 1.3, HAZE_SPLATS), -height, depth], axis=1)
    sizes = rng.uniform(0.3, 0.6, HAZE_SPLATS)
    opacities = rng.uniform(0.02, 0.06, HAZE_SPLATS) * np.clip(1.3 - 0.35 * height, 0.2, 1.0)
    return _puffs(rng, means, sizes, opacities, duration_s)


def _wisps(rng: np.random.Generator, duration_s: float) -> Splats:
    """Strands of small puffs that wind through the room and out of the gate's opening."""
    along = np.linspace(-1.0, 1.0, PUFFS_PER_WISP)
    means, sizes, opacities = [], [], []
    for _ in range(WISPS):
        start = np.array([rng.normal(0.0, 1.1), -min(rng.gamma(2.0, 0.36), 2.3), rng.uniform(0.2, 5.4)])
        heading, bend, phase = rng.uniform(0.0, 2 * np.pi), rng.normal(0.0, 0.9), rng.uniform(0.0, 2 * np.pi)
        turn = heading + bend * along
        step = np.stack([np.cos(turn), 0.16 * np.sin(3.0 * along + phase), 0.6 * np.sin(turn)], axis=1)
        curve = np.cumsum(step, axis=0) * rng.uniform(0.9, 1.7) / PUFFS_PER_WISP
        means.append(start + curve - curve.mean(axis=0) + rng.normal(0.0, 0.035, curve.shape))
        taper = np.exp(-2.2 * along**2)
        sizes.append(rng.uniform(0.07, 0.15) * (0.5 + taper))
        opacities.append(rng.uniform(0.05, 0.13) * taper)
    return _puffs(rng, np.concatenate(means), np.concatenate(sizes), np.concatenate(opacities), duration_s)


def _puffs(
    rng: np.random.Generator, means: np.ndarray, sizes: np.ndarray, opacities: np.ndarray, duration_s: float
) -> Splats:
    """Flattened puffs, brighter towards the light at the far end, drifting in one wide slow whirl."""
    count = len(means)
    swirl = np.stack([-(means[:, 2] - 2.4), np.zeros(count), means[:, 0]], axis=1) * 0.4
    velocities = _DRIFT_MPS * (swirl + rng.normal(0.0, 0.25, (count, 3)) * [1.0, 0.3, 1.0])
    spread = np.zeros((count, 6))
    spread[:, 0], spread[:, 3], spread[:, 5] = (1.3 * sizes) ** 2, (0.6 * sizes) ** 2, (1.3 * sizes) ** 2
    lit = np.exp(-((means[:, 0] / 1.6) ** 2)) * np.clip(means[:, 2] / 5.0, 0.0, 1.0)
    shade = (0.5 + 0.85 * lit + 0.06 * rng.normal(size=count))[:, None]
    still = static_splats(means, spread, np.clip(_FOG_COLOR * shade, 0.0, 1.0), 0.0)
    return replace(
        still,
        velocities=velocities.astype(np.float32),
        opacities=opacities.astype(np.float32),
        time_centers=np.full(count, duration_s / 2, np.float32),
        time_widths=np.full(count, _FADE_S, np.float32),
    )
