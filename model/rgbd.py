"""What the networks see of a clip: colour and inverse depth as one tensor. The only place that scales depth."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

NEAREST_M = 0.25
FARTHEST_M = 50.0
INVERSE_DEPTH_MEAN = 0.25
INVERSE_DEPTH_SCALE = 0.15


def normalise_depth(depth_m: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Normalised inverse depth (the same shape, no units) of metric depth.

    Inverse depth is linear in the picture over a plane, so walls and floors are easy to code; mean and scale
    are those of a room of some metres, so that the channel weighs about as much as a colour.
    """
    inverse = 1.0 / depth_m.clamp(NEAREST_M, FARTHEST_M)
    return (inverse - INVERSE_DEPTH_MEAN) / INVERSE_DEPTH_SCALE


def metric_depth(normalised: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Depth in metres within [NEAREST_M, FARTHEST_M]: the inverse of `normalise_depth`."""
    inverse = normalised * INVERSE_DEPTH_SCALE + INVERSE_DEPTH_MEAN
    return 1.0 / inverse.clamp(1.0 / FARTHEST_M, 1.0 / NEAREST_M)


def pack_rgbd(frames: UInt8[np.ndarray, "*B T H W 3"], depth_m: np.ndarray) -> Float[Tensor, "*B 4 T H W"]:
    """RGB in [-1, 1] and normalised inverse depth, (..., 4, T, H, W), float32.

    Args:
        frames: sRGB-encoded colour, (..., T, H, W, 3), uint8.
        depth_m: metres along the camera's z axis, (..., T, H, W).
    """
    color = torch.from_numpy(np.ascontiguousarray(frames)).float() / 127.5 - 1.0
    depth = normalise_depth(torch.from_numpy(np.ascontiguousarray(depth_m)).float())
    return torch.cat([color, depth.unsqueeze(-1)], dim=-1).movedim(-1, -4).contiguous()


def unpack_rgbd(
    rgbd: Float[Tensor, "*B 4 T H W"],
) -> tuple[UInt8[np.ndarray, "*B T H W 3"], Float32[np.ndarray, "*B T H W"]]:
    """Frames (..., T, H, W, 3) uint8 and depth (..., T, H, W) float32 metres: the inverse of `pack_rgbd`."""
    channels_last = rgbd.detach().movedim(-4, -1)
    color = ((channels_last[..., :3] + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).contiguous()
    depth = metric_depth(channels_last[..., 3])
    return color.numpy(force=True), depth.float().contiguous().numpy(force=True)
