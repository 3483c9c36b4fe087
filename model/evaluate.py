"""Measures of the networks on held-out clips: reconstruction, velocity loss, clips generated like real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clips.cameras import Cameras
from model.dit import Dit
from model.guidance import guided_velocity
from model.interpolant import interpolate, velocity
from model.rays import plucker_rays
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, seeded_noise, sigma_grid
from model.vae import Vae


class HeldOutClips(Protocol):
    """Clips to measure on (`model.train.data.ClipStore` is one); `rgbd` or `cameras` makes a clip available."""

    frames: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    slots: np.ndarray

    def rgbd(self, index: int) -> Float[Tensor, "4 T H W"]:
        """A clip as `model.rgbd.pack_rgbd` packs it."""
        ...

    def cameras(self, index: int) -> Cameras:
        """The exact cameras of a clip."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How clips are sampled: denoising steps, guidance scale, sigma shift, seed of the first sample."""

    steps: int
    guidance: float
    shift: float
    first_seed: int = 0


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
        figures["object_psnr_db"] = float(-10.0 * np.log10(max(float(np.mean(object_error)), 1e-10)))
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


@torch.inference_mode()
def generate_like(
    networks: tuple[Vae, Dit],
    clips: HeldOutClips,
    count: int,
    sampling: Sampling,
    batch: int = 8,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """One generated clip (frames uint8, depth metres) for each of the first `count` clips.

    Each is told the real clip's slots and exact cameras, nothing else; sample k has seed sampling.first_seed + k.
    """
    vae, dit = networks
    made = []
    for start in range(0, count, batch):
        rows = range(start, min(start + batch, count))
        rays = torch.stack([plucker_rays(clips.cameras(k), vae.config.group_frames, vae.config.patch_px) for k in rows])
        slots = torch.from_numpy(np.array([clips.slots[k] for k in rows]))
        shape = (dit.config.latent_channels, *dit.config.latent_size)
        noise = seeded_noise([sampling.first_seed + k for k in rows], shape)
        flow = guided_velocity(dit, slots, rays, sampling.guidance)
        latents = sample_euler(flow, noise, sigma_grid(sampling.steps, sampling.shift))
        made += [unpack_rgbd(vae.decode(one[None])[0]) for one in latents]
    return made


def mean_clip(clips: HeldOutClips, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Per-pixel mean of the first `count` clips: frames (T, H, W, 3) uint8 and depth (T, H, W) metres.

    Of all clips that know nothing of a prompt, the one with the least squared error.
    """
    clips.rgbd(0)
    frames = np.zeros(clips.frames[0].shape)
    depth = np.zeros(clips.depth[0].shape)
    for index in range(count):
        clips.rgbd(index)
        frames += clips.frames[index]
        depth += clips.depth[index].astype(np.float64)
    return np.round(frames / count).astype(np.uint8), (depth / count).astype(np.float32)
