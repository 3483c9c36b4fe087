"""Clips generated for scenes: each is told the scene's slots and exact cameras, and a blockout or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from clips.dungeon.graybox import graybox_depth
from model.control import CONTROL_OBJECTS, CONTROL_ROOM, control_features
from model.dit import Condition, Dit, slot_indices
from model.guidance import guided_map, guided_velocity
from model.layout import sample_layout
from model.measure.scenes import Scene
from model.rays import plucker_rays
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, sample_map, seeded_noise, sigma_grid
from model.vae import Vae

BATCH = 16


class Blockout(StrEnum):
    """Which blockout a clip is told.

    NONE: prompt and cameras alone. ROOM: the true room's box. OBJECTS: the true room's box and all its proxies.
    LAYOUT: what the layout prior samples from the prompt.
    """

    NONE = "none"
    ROOM = "room"
    OBJECTS = "objects"
    LAYOUT = "layout"


@dataclass(frozen=True)
class Sampling:
    """How clips are sampled.

    Attributes:
        steps: network calls (twice as wide with guidance).
        guidance: scale; 1 is none.
        shift: of the sigma grid.
        interval: sigmas between which guidance acts.
        mapped: jump along the few-step flow map instead of integrating the velocity.
    """

    steps: int
    guidance: float
    shift: float
    interval: tuple[float, float] = (0.0, 1.0)
    mapped: bool = False


@dataclass(frozen=True, eq=False)
class MadeClip:
    """A generated clip: frames (T, H, W, 3) uint8 and depth (T, H, W) float32 metres."""

    frames: UInt8[np.ndarray, "T H W 3"]
    depth: Float32[np.ndarray, "T H W"]


def told(networks: tuple[Vae, Dit], scenes: Sequence[Scene], blockout: Blockout, seeds: Sequence[int]) -> Condition:
    """The condition of these scenes; `seeds` are those of their clips, from which layouts are sampled too."""
    vae, dit = networks
    config = vae.config
    rays = torch.stack([plucker_rays(scene.cameras, config.group_frames, config.patch_px) for scene in scenes])
    slots = torch.stack([slot_indices(dit.config.slots, dict(scene.words)) for scene in scenes])
    if blockout is Blockout.NONE:
        return Condition.plain(slots, rays)
    depths = [blockout_depth(scene, blockout, seed) for scene, seed in zip(scenes, seeds, strict=True)]
    features = [control_features(depth, config.group_frames, config.patch_px) for depth in depths]
    kind = CONTROL_ROOM if blockout is Blockout.ROOM else CONTROL_OBJECTS
    kinds = torch.full((len(scenes),), kind, dtype=torch.int64)
    return Condition(slots, rays, torch.stack(features), kinds, torch.ones(len(scenes), dtype=torch.bool))


@torch.inference_mode()
def generate(
    networks: tuple[Vae, Dit],
    scenes: Sequence[Scene],
    blockout: Blockout,
    sampling: Sampling,
    first_seed: int,
    on_clips: Callable[[int], None] | None = None,
) -> list[MadeClip]:
    """One clip a scene, in batches; scene k has seed first_seed + k, so that the batch changes nothing."""
    vae, dit = networks
    shape = (dit.config.latent_channels, *dit.config.latent_size)
    made: list[MadeClip] = []
    for start in range(0, len(scenes), BATCH):
        part = scenes[start : start + BATCH]
        seeds = [first_seed + start + k for k in range(len(part))]
        condition = told(networks, part, blockout, seeds)
        latents = sample(dit, condition, dit.start_of(seeded_noise(seeds, shape)), sampling)
        made += [MadeClip(*unpack_rgbd(vae.decode(one[None])[0])) for one in latents]
        if on_clips is not None:
            on_clips(len(part))
    return made


def sample(dit: Dit, condition: Condition, noise: Tensor, sampling: Sampling) -> Tensor:
    """Latents from noise (B, C, t, h, w), as `model.generate` samples them."""
    sigmas = sigma_grid(sampling.steps, sampling.shift)
    if sampling.mapped:
        return sample_map(guided_map(dit, condition, sampling.steps, sampling.guidance), noise, sigmas)
    return sample_euler(guided_velocity(dit, condition, sampling.guidance, sampling.interval), noise, sigmas)


def blockout_depth(scene: Scene, blockout: Blockout, seed: int) -> Float32[np.ndarray, "T H W"]:
    """Depth of the blockout that a clip of this seed is told, metres.

    Raises:
        ValueError: blockout is NONE.
        InvalidCameras: no layout keeps clear of the scene's cameras.
    """
    if blockout is Blockout.ROOM:
        return scene.box_depth
    if blockout is Blockout.OBJECTS:
        return scene.object_depth
    if blockout is Blockout.NONE:
        raise ValueError("a clip without a blockout has no depth to be told")
    times = scene.sample.clip.times
    return graybox_depth(sample_layout(scene.words, seed, scene.cameras, times).graybox, scene.cameras, times)
