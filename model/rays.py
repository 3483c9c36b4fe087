"""Pluecker rays: what the transformer is told about the exact cameras."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clips.cameras import Cameras

RAY_CHANNELS = 12


def plucker_rays(cameras: Cameras, group_frames: int, patch_px: int) -> Float[Tensor, "12 t h w"]:
    """Rays of every latent cell (12, t, h, w), float32, in the gate frame.

    Channels 0-5 are the unit direction and the moment (origin x direction, metres) of the ray through the middle
    of the cell at the first frame that the latent frame covers; 6-11 the same at the last one. Both together say
    how the camera moves within a latent frame.
    """
    groups = (len(cameras) - 1) // group_frames
    firsts = np.concatenate([[0], 1 + group_frames * np.arange(groups)])
    lasts = np.concatenate([[0], group_frames * (1 + np.arange(groups))])
    rays = np.concatenate([_rays(cameras, firsts, patch_px), _rays(cameras, lasts, patch_px)], axis=-1)
    return torch.from_numpy(rays.transpose(3, 0, 1, 2).astype(np.float32))


def _rays(cameras: Cameras, frames: np.ndarray, patch_px: int) -> np.ndarray:
    poses, Ks = cameras.camera_to_world[frames], cameras.Ks[frames]
    rows = (np.arange(cameras.height // patch_px) + 0.5) * patch_px
    columns = (np.arange(cameras.width // patch_px) + 0.5) * patch_px
    pixel = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None], 1.0), axis=-1)
    in_camera = np.einsum("tij,hwj->thwi", np.linalg.inv(Ks), pixel)
    direction = np.einsum("tij,thwj->thwi", poses[:, :3, :3], in_camera)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    origin = np.broadcast_to(poses[:, None, None, :3, 3], direction.shape)
    return np.concatenate([direction, np.cross(origin, direction)], axis=-1)
