"""The sheet that a training of the transformer leaves behind: held-out clips and what is generated for them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from model.control import CONTROL_NONE, CONTROL_OBJECTS
from model.dit import Condition, Dit
from model.guidance import guided_map, guided_velocity
from model.revision import GUIDANCE
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, sample_map, seeded_noise, sigma_grid
from model.train.latents import LatentStore
from model.train.pictures import save_sheet

CLIPS = 4
STEPS = 12
MAP_STEPS = 4
SHIFT = 2.0


@torch.no_grad()
def save_samples(dit: Dit, held_out: LatentStore, path: Path) -> None:
    """Write a PNG: four rows for each of four clips, with the same seeds every time.

    The real clip (through the VAE), generated with the objects' blockout, without control, and with the objects'
    blockout in four steps of the flow map.
    """
    count, frames = min(CLIPS, len(held_out)), dit.config.latent_size[0]
    real = held_out.windows(list(range(count)), [0] * count, [CONTROL_OBJECTS] * count, frames)
    free = held_out.windows(list(range(count)), [0] * count, [CONTROL_NONE] * count, frames).condition
    noise = dit.start_of(seeded_noise(list(range(count)), tuple(real.latents.shape[1:])))
    with dit.rough_products():
        controlled = _sampled(dit, real.condition, noise)
        made = [controlled, _sampled(dit, free, noise), _mapped(dit, real.condition, noise)]
    vae = held_out.coder.vae
    rows = [
        unpack_rgbd(vae.decode(latents[index][None])[0]) for index in range(count) for latents in (real.latents, *made)
    ]
    save_sheet(rows, path)


def _sampled(dit: Dit, condition: Condition, noise: Tensor) -> Tensor:
    return sample_euler(guided_velocity(dit, condition, GUIDANCE), noise, sigma_grid(STEPS, SHIFT))


def _mapped(dit: Dit, condition: Condition, noise: Tensor) -> Tensor:
    return sample_map(guided_map(dit, condition, MAP_STEPS, GUIDANCE), noise, sigma_grid(MAP_STEPS, SHIFT))
