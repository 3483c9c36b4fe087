"""Sixty seconds of video against ten: memory, time, and the picture at the borders of the pipeline's windows.

The camera wanders about the gate for as long as the video lasts; an object circles. A video that the machine's memory
does not hold has no figures (NaN), which misses its aims.
"""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

from benchmarks.reconstruction.pictures import psnr_db
from benchmarks.reconstruction.scenes import FPS, HEIGHT, WIDTH
from benchmarks.reconstruction.stages import made
from clips.cameras import Cameras, intrinsics, look_at
from clips.clip import Clip
from clips.dungeon.render import render_clip
from clips.dungeon.scene import sample_room
from recon.raster import render_scene
from recon.settings import ReconSettings

SHORT_S, LONG_S = 10.0, 60.0
ROOM_SEED = 4_100
FOV_X_DEG = 75.0
_AT_BORDER, _NEAR_BORDER = 1, 12


@dataclass(frozen=True)
class LongFigures:
    """What one video took: seconds of processor time, peak memory in MB, PSNR and what it loses at window borders.

    `border_loss_db` is NaN where the pipeline takes the video as one window.
    """

    frames: int
    cpu_s: float
    peak_mb: float
    psnr_db: float
    border_loss_db: float


def wandering_clip(seconds: float, width: int = WIDTH, height: int = HEIGHT) -> Clip:
    """A video of so many seconds; a shorter one is the beginning of a longer one."""
    times = np.arange(round(seconds * FPS)) / FPS
    eyes = np.stack([0.5 * np.sin(times * 0.31), -1.5 + 0.0 * times, 0.1 + 0.5 * np.sin(times * 0.43)], axis=1)
    yaw = np.radians(25.0) * np.sin(times * 0.53)
    ahead = np.stack([np.sin(yaw), np.full(len(times), 0.15), np.cos(yaw)], axis=1)
    viewmats = np.stack([look_at(eye, eye + way) for eye, way in zip(eyes, ahead, strict=True)])
    Ks = np.repeat(intrinsics(width, height, FOV_X_DEG)[None], len(times), axis=0)
    return render_clip(sample_room(ROOM_SEED, True, motion="orbit"), Cameras(viewmats, Ks, width, height), times)


def long_figures(settings: ReconSettings, short_s: float = SHORT_S, long_s: float = LONG_S) -> dict[str, float]:
    """Figures of both videos, each in a process of its own, and their ratios as aims.toml names them."""
    both = [_alone(settings, seconds) for seconds in (short_s, long_s)]
    figures: dict[str, float] = {}
    for name, one in zip(("short", "long"), both, strict=True):
        figures |= {f"{name}_{field}": float(getattr(one, field)) for field in LongFigures.__dataclass_fields__}
    short, long = both
    return {
        **figures,
        "long_memory_ratio": long.peak_mb / short.peak_mb,
        "long_time_ratio": (long.cpu_s / long.frames) / (short.cpu_s / short.frames),
    }


def _alone(settings: ReconSettings, seconds: float) -> LongFigures:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, settings, seconds).result()
        except (MemoryError, BrokenProcessPool):
            return LongFigures(round(seconds * FPS), math.nan, math.nan, math.nan, math.nan)


def measure(settings: ReconSettings, seconds: float) -> LongFigures:
    """The figures of one video, in this process."""
    clip = wandering_clip(seconds)
    result = made(clip, settings)
    by_frame = []
    for number in range(len(clip)):
        here = slice(number, number + 1)
        frames, _, _ = render_scene(result.scene, clip.cameras[here], clip.times[here])
        by_frame.append(psnr_db(frames, clip.frames[here]))
    loss_db = border_loss_db(np.array(by_frame), result.borders)
    return LongFigures(len(clip), result.cpu_s, result.peak_mb, float(np.mean(by_frame)), loss_db)


def border_loss_db(by_frame: np.ndarray, borders: tuple[int, ...]) -> float:
    """How much lower PSNR is in the two frames at a border than 7 to 12 frames away, mean over borders; NaN without."""
    losses = []
    for border in borders:
        distance = np.arange(len(by_frame)) + 0.5 - border
        at = np.abs(distance) < _AT_BORDER
        near = (np.abs(distance) < _NEAR_BORDER) & (np.abs(distance) > _NEAR_BORDER / 2)
        if at.any() and near.any():
            losses.append(float(by_frame[near].mean() - by_frame[at].mean()))
    return float(np.mean(losses)) if losses else math.nan
