"""Errors of latents as they show in the decoded depth, without decoding in every step."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.vae import Vae

NUDGE = 0.5


@torch.no_grad()
def depth_metric(vae: Vae, size: tuple[int, int, int]) -> Float[Tensor, "2 C C"]:
    """How errors of latent channels show in decoded depth: e^T M e is about their squared error there, mean trace 1.

    The first matrix is that of a clip's first latent frame, the second that of all others.
    """
    channels = vae.config.latent_channels
    zero = torch.zeros(1, channels, *size)
    plain = vae.decode(zero)[:, 3]
    metrics = []
    for frame in (0, min(1, size[0] - 1)):
        changes = []
        for channel in range(channels):
            nudged = zero.clone()
            nudged[0, channel, frame, size[1] // 2, size[2] // 2] = NUDGE
            changes.append((vae.decode(nudged)[:, 3] - plain).flatten())
        change = torch.stack(changes)
        gram = change @ change.T
        metrics.append(gram / gram.diagonal().mean())
    return torch.stack(metrics)


def depth_loss(
    error: Float[Tensor, "B C t h w"], given: Bool[Tensor, "B t"], metric: Float[Tensor, "2 C C"]
) -> Float[Tensor, ""]:
    """Mean squared error as it shows in depth; given frames count nothing."""
    first = torch.einsum("bcthw,cd,bdthw->bthw", error[:, :, :1], metric[0], error[:, :, :1])
    others = torch.einsum("bcthw,cd,bdthw->bthw", error[:, :, 1:], metric[1], error[:, :, 1:])
    cells = torch.cat([first, others], dim=1).mean((2, 3)) / error.shape[1]
    learned = ~given
    return (cells * learned).sum() / learned.sum()
