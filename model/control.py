"""Depth control: what a blockout of the scene (boxes, spheres, ...) tells the transformer, per latent cell."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import InvalidSpec
from model.rgbd import normalise_depth

CONTROL_CELLS = 4
CONTROL_FRAMES = 4
CONTROL_CHANNELS = CONTROL_FRAMES * CONTROL_CELLS**2
CONTROL_NONE, CONTROL_ROOM, CONTROL_OBJECTS = 0, 1, 2
CONTROL_KINDS = 3


def control_features(depth_m: np.ndarray, group_frames: int, patch_px: int) -> Float[Tensor, "64 t h w"]:
    """Normalised inverse depth of every latent cell in 4 frames x 4 rows x 4 columns, (64, t, h, w), float32.

    A value is the mean over its block of patch_px / 4 pixels squared. The first latent frame has one frame, which
    is repeated four times; a group that has more than four frames gives four of them, evenly.

    Args:
        depth_m: depth along the camera's z axis of a blockout, (T, H, W), metres.
        group_frames, patch_px: of the VAE.

    Raises:
        InvalidSpec: frames or sides do not fit the VAE's groups and patches.
    """
    frames, height, width = depth_m.shape
    fits = (frames - 1) % group_frames == 0 and height % patch_px == 0 and width % patch_px == 0
    if not fits or patch_px % CONTROL_CELLS or group_frames < CONTROL_FRAMES:
        raise InvalidSpec(
            f"control depth must be (1 + k * {group_frames}, l * {patch_px}, m * {patch_px}) with patches of k * "
            f"{CONTROL_CELLS} pixels and groups of {CONTROL_FRAMES} frames or more, got {depth_m.shape}"
        )
    block = patch_px // CONTROL_CELLS
    inverse = normalise_depth(torch.from_numpy(np.ascontiguousarray(depth_m)).float())
    means = inverse.view(frames, height // block, block, width // block, block).mean((2, 4))
    within = np.linspace(0, group_frames - 1, CONTROL_FRAMES).round().astype(int)
    starts = 1 + group_frames * np.arange((frames - 1) // group_frames)
    chosen = np.concatenate([np.zeros((1, CONTROL_FRAMES), int), starts[:, None] + within])
    shape = (len(chosen), CONTROL_FRAMES, height // patch_px, CONTROL_CELLS, width // patch_px, CONTROL_CELLS)
    cells = means[torch.from_numpy(chosen.reshape(-1))].view(shape)
    return cells.permute(1, 3, 5, 0, 2, 4).reshape(CONTROL_CHANNELS, len(chosen), *cells.shape[2:5:2])
