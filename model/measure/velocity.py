"""How well a transformer predicts the velocity of noisy latents that it never trained on."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from model.dit import Condition, Dit
from model.interpolant import interpolate, velocity

SEED = 20_261_123


@torch.no_grad()
def velocity_loss(dit: Dit, latents: Float[Tensor, "N C t h w"], condition: Condition, batch: int = 16) -> float:
    """Mean squared error of the predicted velocity, every sample at its own fixed noise and sigma.

    The sigmas are spread evenly over (0, 1) and the noise is seeded, so that two networks see the same task.

    Args:
        latents: whitened latents of N clips, any float type.
        condition: what the network is told of the N clips.
    """
    random = torch.Generator().manual_seed(SEED)
    count = len(latents)
    sigmas = (torch.arange(count) + 0.5) / count
    sigmas = sigmas[torch.randperm(count, generator=random)]
    noise = torch.randn(latents.shape, generator=random)
    errors = []
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        data = latents[part].float()
        point = interpolate(data, noise[part], sigmas[part])
        predicted = dit(point, sigmas[part], condition.rows(part))
        errors.append((predicted - velocity(data, noise[part])).square().flatten(1).mean(1))
    return float(torch.cat(errors).mean())
