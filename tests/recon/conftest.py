"""A tiny exact room for reconstruction tests: textured box, a ball that may fly through it, known cameras."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clips.cameras import Cameras, intrinsics, look_at
from clips.clip import Clip

WIDTH, HEIGHT, FPS = 48, 32, 8.0
HALF_WIDTH_M, ROOM_HEIGHT_M, DEPTH_M = 2.0, 2.6, 5.0
BALL_RADIUS_M = 0.45


def cameras_along(frames: int, aside_m: float = 0.0) -> Cameras:
    start, step = np.array([-0.2 + aside_m, -1.4, 0.2]), np.array([0.06, 0.0, 0.06])
    eyes = [start + step * i for i in range(frames)]
    viewmats = np.stack([look_at(eye, eye + np.array([0.0, 0.15, 1.0])) for eye in eyes])
    return Cameras(viewmats, np.repeat(intrinsics(WIDTH, HEIGHT, 75.0)[None], frames, axis=0), WIDTH, HEIGHT)


def ball_center(time_s: float) -> np.ndarray:
    return np.array([-0.9 + 1.3 * time_s, -1.2, 2.9])


def render_room(cameras: Cameras, times: np.ndarray, ball: bool) -> Clip:
    frames, depths, masks = [], [], []
    for i, time_s in enumerate(times):
        frame, depth, mask = _frame(cameras, i, float(time_s), ball)
        frames.append(frame)
        depths.append(depth)
        masks.append(mask)
    return Clip(np.stack(frames), np.stack(depths), cameras, np.asarray(times), "a test room", np.stack(masks))


def _frame(cameras: Cameras, i: int, time_s: float, ball: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    K, pose = cameras.Ks[i], cameras.camera_to_world[i]
    local = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
    rays, eye = local @ pose[:3, :3].T, pose[:3, 3]
    planes = [(0, -HALF_WIDTH_M), (0, HALF_WIDTH_M), (1, -ROOM_HEIGHT_M), (1, 0.0), (2, DEPTH_M), (2, -3.0)]
    hits = np.stack([_positive((at - eye[axis]) / np.where(rays[..., axis] == 0, 1e-12, rays[..., axis]))
                     for axis, at in planes])  # fmt: skip
    depth, wall = hits.min(axis=0), hits.argmin(axis=0)
    point = eye + rays * depth[..., None]
    wave = (
        0.5 + 0.18 * np.sin(2.1 * point[..., 0] + wall) * np.cos(1.7 * point[..., 2]) + 0.12 * np.sin(3 * point[..., 1])
    )
    base = np.array([[0.9, 0.5, 0.4], [0.5, 0.9, 0.4], [0.7, 0.7, 0.7], [0.5, 0.4, 0.3], [0.4, 0.5, 0.9], [0.3] * 3])
    color = base[wall] * wave[..., None]
    mask = np.zeros(depth.shape, bool)
    if ball:
        reach = _ball_hit(rays, eye - ball_center(time_s))
        mask = reach < depth
        shade = 0.6 + 0.4 * ((eye + rays * reach[..., None] - ball_center(time_s))[..., 1] / BALL_RADIUS_M)
        color = np.where(mask[..., None], np.array([0.95, 0.85, 0.1]) * np.clip(shade, 0, 1)[..., None], color)
        depth = np.where(mask, reach, depth)
    return np.rint(np.clip(color, 0, 1) * 255).astype(np.uint8), depth.astype(np.float32), mask


def _positive(distance: np.ndarray) -> np.ndarray:
    return np.where(distance > 1e-6, distance, np.inf)


def _ball_hit(rays: np.ndarray, away: np.ndarray) -> np.ndarray:
    a, b = (rays**2).sum(-1), rays @ away
    discriminant = b**2 - a * (away @ away - BALL_RADIUS_M**2)
    return np.where(discriminant > 0, (-b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf)


@pytest.fixture(scope="session")
def room() -> Callable[..., Clip]:
    """room(frames=9, ball=True, aside_m=0.0) -> the exact clip of the room."""

    def make(frames: int = 9, ball: bool = True, aside_m: float = 0.0) -> Clip:
        return render_room(cameras_along(frames, aside_m), np.arange(frames) / FPS, ball)

    return make
