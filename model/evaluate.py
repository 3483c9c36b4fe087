"""Figures of the networks on held-out clips: reconstruction, velocity loss, FLIP against real clips."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model.dit import Dit
from model.interpolant import interpolate, velocity
from model.rgbd import unpack_rgbd
from model.vae import Vae


class HeldOutClips(Protocol):
    """Clips to measure on (`model.train.data.ClipStore` is one)."""

    frames: np.ndarray
    depth: np.ndarray
    mask: np.ndarray

    def rgbd(self, index: int) -> Float[Tensor, "4 T H W"]:
        """A clip as `model.rgbd.pack_rgbd` packs it."""
        ...


@torch.no_grad()
def reconstruction_figures(vae: Vae, clips: HeldOutClips, count: int) -> dict[str, float]:
    """Means over the first `count` clips: psnr_db, depth_abs_rel, and object_psnr_db inside the motion masks."""
    psnr, abs_rel, object_error = [], [], []
    for index in range(count):
        rgbd = clips.rgbd(index)
        frames, depth = unpack_rgbd(vae.decode(vae.encode(rgbd[None]))[0])
        error = (frames.astype(np.float32) - clips.frames[index]) / 255.0
        true_depth = clips.depth[index].astype(np.float32)
        psnr.append(-10.0 * np.log10(max(float(np.square(error).mean()), 1e-10)))
        abs_rel.append(float((np.abs(depth - true_depth) / true_depth).mean()))
        if clips.mask[index].any():
            object_error.append(float(np.square(error[clips.mask[index]]).mean()))
    figures = {"psnr_db": float(np.mean(psnr)), "depth_abs_rel": float(np.mean(abs_rel))}
    if object_error:
        figures["object_psnr_db"] = float(-10.0 * np.log10(np.mean(object_error)))
    return figures


@torch.no_grad()
def velocity_loss(dit: Dit, latents: Tensor, rays: Tensor, slots: Tensor, batch: int = 16) -> float:
    """Mean squared error of the predicted velocity, every sample at its own fixed noise and sigma.

    The sigmas are spread evenly over (0, 1) and the noise is seeded, so that two networks see the same task.
    """
    random = torch.Generator().manual_seed(20_261_123)
    count = len(latents)
    sigmas = (torch.arange(count) + 0.5) / count
    sigmas = sigmas[torch.randperm(count, generator=random)]
    noise = torch.randn(latents.shape, generator=random)
    errors = []
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        data = latents[part].float()
        point = interpolate(data, noise[part], sigmas[part])
        predicted = dit(point, sigmas[part], slots[part], rays[part].float())
        errors.append((predicted - velocity(data, noise[part])).square().flatten(1).mean(1))
    return float(torch.cat(errors).mean())
