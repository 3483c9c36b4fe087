import math

import pytest
import torch

from model.dit import Condition, Dit
from model.measure.velocity import velocity_loss


def _task(dit: Dit, count: int = 40) -> tuple[torch.Tensor, Condition]:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(count, dit.config.latent_channels, *dit.config.latent_size, generator=random)
    slots = torch.zeros(count, len(dit.config.slots), dtype=torch.int64)
    return latents, Condition.plain(slots, torch.zeros(count, 12, *dit.config.latent_size))


def test_a_new_network_loses_what_white_noise_must_and_one_that_carries_nothing_the_whole_velocity(
    small_dit: Dit,
) -> None:
    torch.manual_seed(0)
    new = Dit(small_dit.config).eval()
    assert velocity_loss(new, *_task(small_dit)) == pytest.approx(math.pi / 2, rel=0.05)
    with torch.no_grad():
        new.carry.zero_()
    assert velocity_loss(new, *_task(small_dit)) == pytest.approx(2.0, rel=0.05)


def test_the_task_is_the_same_every_time_and_in_any_batch(small_dit: Dit) -> None:
    latents, condition = _task(small_dit)
    first = velocity_loss(small_dit, latents, condition)
    assert velocity_loss(small_dit, latents, condition) == first
    assert velocity_loss(small_dit, latents, condition, batch=7) == pytest.approx(first, rel=1e-5)
    assert velocity_loss(small_dit, latents.half(), condition) == pytest.approx(first, rel=1e-2)
