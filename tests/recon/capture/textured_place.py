"""A small textured place with known cameras: three planes and a slab of noise, ray cast; and its captures as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from clips.cameras import Cameras, intrinsics, look_at
from clips.footage.lens import Lens

WIDTH, HEIGHT, FOCAL = 240, 160, 200.0
_TEXELS_PER_M = 60.0


@dataclass(frozen=True)
class Plane:
    """A rectangle `origin + a * u + b * v` with its own noise."""

    origin: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]
    seed: int


STILL = (
    Plane((-4, -4, 5), (8, 0, 0), (0, 4, 0), 1),
    Plane((-4, 0, -1), (8, 0, 0), (0, 0, 6), 2),
    Plane((0.4, -1.2, 3.2), (1.1, 0, 0.3), (0, 1.2, 0), 3),
)


def slab(x: float, y: float) -> Plane:
    """Something that moves: a textured slab with its upper left corner at `x`, `y`."""
    return Plane((x, y, 3.6), (0.8, 0, 0), (0, 0.8, 0), 9)


def noise(seed: int) -> np.ndarray:
    """Colour noise of two sizes, (512, 512, 3), 0 to 255."""
    rng = np.random.default_rng(seed)
    fine, coarse = (gaussian_filter(rng.normal(size=(512, 512, 3)), (s, s, 0), mode="wrap") for s in (1.2, 5.0))
    mixed = fine / fine.std() + coarse / coarse.std()
    return np.clip(128 + 45 * mixed, 0, 255).astype(np.float32)


def walking(count: int, width: int = WIDTH, height: int = HEIGHT, focal: float = FOCAL) -> Cameras:
    """Cameras that step sideways by 1.6 m and forward a little, looking about."""
    along = np.linspace(0.0, 1.0, count)
    eyes = [np.array([-0.8 + 1.6 * s, -1.5 - 0.2 * np.sin(3 * s), 0.3 * s]) for s in along]
    viewmats = np.stack([look_at(eye, np.array([0.5 - s, -1.0, 4.5])) for eye, s in zip(eyes, along, strict=True)])
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return Cameras(viewmats, np.repeat(K[None], count, axis=0), width, height)


def turning(count: int) -> Cameras:
    """Cameras that turn by 40 degrees on one spot."""
    viewmats = []
    for angle in np.radians(np.linspace(-20, 20, count)):
        eye = np.array([0.0, -1.5, 0.0])
        viewmats.append(look_at(eye, eye + np.array([np.sin(angle), 0.1, np.cos(angle)])))
    K = intrinsics(WIDTH, HEIGHT, 62.0)
    return Cameras(np.stack(viewmats), np.repeat(K[None], count, axis=0), WIDTH, HEIGHT)


def cast(pose: np.ndarray, rays: np.ndarray, planes: tuple[Plane, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour (..., 3) uint8, depth along the camera's z (...,) and which plane, of camera-space rays with z = 1."""
    directions = rays @ pose[:3, :3].T
    depth, which = np.full(rays.shape[:-1], np.inf), np.full(rays.shape[:-1], -1)
    color = np.zeros(rays.shape)
    for index, plane in enumerate(planes):
        u, v = np.array(plane.u, float), np.array(plane.v, float)
        normal = np.cross(u, v)
        z = ((np.array(plane.origin) - pose[:3, 3]) @ normal) / (directions @ normal)
        at = pose[:3, 3] + directions * z[..., None] - plane.origin
        a, b = at @ u / (u @ u), at @ v / (v @ v)
        hit = (z > 0.05) & (z < depth) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
        places = np.stack([b * np.linalg.norm(v), a * np.linalg.norm(u)])[:, hit] * _TEXELS_PER_M
        texture = noise(plane.seed)
        for c in range(3):
            color[hit, c] = map_coordinates(texture[..., c], places, order=1, mode="grid-wrap")
        depth, which = np.where(hit, z, depth), np.where(hit, index, which)
    return np.rint(color).astype(np.uint8), depth, which


def pixel_rays(K: np.ndarray, width: int, height: int) -> np.ndarray:
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)


def bent_rays(lens: Lens) -> np.ndarray:
    """Camera-space rays of a bent picture's pixels, by fixed-point iteration."""
    u, v = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    wanted = np.stack([u, v], axis=-1)
    rays = (wanted - [lens.cx, lens.cy]) / [lens.fl_x, lens.fl_y]
    for _ in range(100):
        rays = rays - 0.7 * (lens.pixels_of(rays) - wanted) / [lens.fl_x, lens.fl_y]
    return np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1)


def pictures_of(cameras: Cameras, lens: Lens | None = None, slab_at: Any = None) -> tuple[np.ndarray, ...]:
    """(frames, depth, whether the slab is seen) of each camera; `slab_at(share)` is the slab's corner."""
    rays = pixel_rays(cameras.Ks[0], cameras.width, cameras.height) if lens is None else bent_rays(lens)
    rows = []
    for index, pose in enumerate(cameras.camera_to_world):
        planes = STILL if slab_at is None else (*STILL, slab(*slab_at(index / (len(cameras) - 1))))
        color, depth, which = cast(pose, rays, planes)
        rows.append((color, depth, which == len(STILL)))
    frames, depth, moving = (np.stack(part) for part in zip(*rows, strict=True))
    return frames, depth, moving


def opengl(pose: np.ndarray) -> list[list[float]]:
    """camera-to-world in OpenGL camera axes and a world with z up, of a pose in the gate frame; written out by hand."""
    world = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = world @ pose[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    matrix[:3, 3] = world @ pose[:3, 3]
    return matrix.tolist()


def write_posed(folder: Path, frames: np.ndarray, cameras: Cameras, lens: Lens, **fields: Any) -> Path:
    """A folder with pictures and a transforms.json in nerfstudio's convention."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:03d}.png")
        entries.append({"file_path": f"{index:03d}.png", "transform_matrix": opengl(cameras.camera_to_world[index])})
    value: dict[str, Any] = {"w": lens.width, "h": lens.height, "camera_model": "OPENCV"}
    value |= {name: getattr(lens, name) for name in ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")}
    (folder / "transforms.json").write_text(json.dumps({**value, **fields, "frames": entries}))
    return folder


def aligned(found: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale s, turn R and shift t with s R found + t nearest to truth, (N, 3) each (Umeyama 1991)."""
    a, b = found.mean(axis=0), truth.mean(axis=0)
    left, values, right = np.linalg.svd((truth - b).T @ (found - a))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = left @ flip @ right
    scale = float(np.trace(np.diag(values) @ flip) / np.square(found - a).sum())
    return scale, turn, b - scale * turn @ a


def turned_deg(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two rotations, degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(one @ other.T) - 1) / 2, -1.0, 1.0))))
