"""On distributions whose velocity is known in closed form, the samplers must arrive at their moments."""

import pytest
import torch

from model.errors import InvalidSpec
from model.sampler import sample_euler, sample_heun, seeded_noise, sigma_grid

MEANS = torch.tensor([[-2.0, 1.0], [1.5, 0.5]])
SHARES = torch.tensor([0.3, 0.7])
DEVIATION = 0.4


def mixture_velocity(state: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """E[noise - data | x] of a mixture of two Gaussians of one deviation under x = (1-s) data + s noise."""
    level = sigmas[:, None]
    keep = 1.0 - level
    variance = keep**2 * DEVIATION**2 + level**2
    offset = state[:, None] - keep[:, None] * MEANS
    log_share = SHARES.log() - offset.square().sum(-1) / (2 * variance)
    share = log_share.softmax(-1)[..., None]
    slope = (level - keep * DEVIATION**2) / variance
    return (share * (slope[:, None] * offset - MEANS)).sum(1)


@pytest.mark.parametrize(("sample", "steps", "near"), [(sample_euler, 200, 0.03), (sample_heun, 40, 0.03)])
def test_samplers_reach_the_moments_of_a_mixture(sample, steps: int, near: float) -> None:  # type: ignore[no-untyped-def]
    noise = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(1))
    made = sample(mixture_velocity, noise, sigma_grid(steps, 2.0))
    mean = (SHARES[:, None] * MEANS).sum(0)
    spread = MEANS - mean
    covariance = DEVIATION**2 * torch.eye(2) + torch.einsum("k,ki,kj->ij", SHARES, spread, spread)
    assert torch.allclose(made.mean(0), mean, atol=near)
    centred = made - made.mean(0)
    assert torch.allclose(centred.T @ centred / len(made), covariance, atol=near * float(covariance.max()))
    assert abs(float((made[:, 0] < -0.4).float().mean()) - 0.3) < 0.01


def test_heun_is_second_order_and_euler_first() -> None:
    start = torch.tensor([[1.0, -0.5]])
    exact = sample_heun(mixture_velocity, start, sigma_grid(800, 1.0))
    errors = {
        name: [float((sample(mixture_velocity, start, sigma_grid(n, 1.0)) - exact).norm()) for n in (20, 40)]
        for name, sample in (("euler", sample_euler), ("heun", sample_heun))
    }
    assert 1.6 < errors["euler"][0] / errors["euler"][1] < 2.6
    assert errors["heun"][0] / errors["heun"][1] > 3.0


def test_a_broken_run_equals_an_unbroken_one() -> None:
    sigmas = sigma_grid(7, 2.0)
    start = torch.randn(5, 2, generator=torch.Generator().manual_seed(2))
    seen: list[int] = []
    whole = sample_euler(mixture_velocity, start, sigmas, lambda step, _: seen.append(step))
    half = sample_euler(mixture_velocity, start, sigmas[:4])
    assert torch.equal(sample_euler(mixture_velocity, half, sigmas[3:]), whole)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def test_sigma_grid_runs_from_noise_to_data() -> None:
    for shift in (0.5, 1.0, 3.0):
        grid = sigma_grid(9, shift)
        assert len(grid) == 10
        assert grid[0] == 1.0
        assert grid[-1] == 0.0
        assert (grid.diff() < 0).all()
    assert torch.allclose(sigma_grid(4, 1.0), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))
    assert sigma_grid(4, 3.0)[2] > 0.7


@pytest.mark.parametrize(("steps", "shift"), [(0, 1.0), (4, 0.0), (4, float("nan"))])
def test_grids_of_nothing_are_refused(steps: int, shift: float) -> None:
    with pytest.raises(InvalidSpec, match="sigma grid"):
        sigma_grid(steps, shift)


def test_every_sample_has_its_own_noise() -> None:
    batch = seeded_noise([3, 2**62, 5], (2, 4))
    assert torch.equal(batch[1], seeded_noise([2**62], (2, 4))[0])
    assert not torch.equal(batch[0], batch[2])
