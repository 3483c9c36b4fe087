import pytest
import torch
from torch import Tensor, nn

from model.dit import Condition
from model.interpolant import interpolate
from model.sampler import sample_map, sigma_grid
from model.train.few_step import GRIDS, SHIFT, segment_targets
from model.train.latents import Windows

DATA = 0.7


class ToAPoint(nn.Module):
    """The exact velocity and flow map of data that is one point, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor | None, Condition]] = []

    def forward(self, state: Tensor, sigmas: Tensor, told: Condition, sigma_next: Tensor | None = None) -> Tensor:
        self.asked.append((sigmas, sigma_next, told))
        levels = sigmas[:, None, :, None, None]
        return torch.where(levels > 0, (state - DATA) / levels.clamp_min(1e-6), 0.0)

    def rough_products(self) -> "ToAPoint":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _windows(count: int = 6) -> Windows:
    told = Condition.plain(torch.ones(count, 2, dtype=torch.int64), torch.zeros(count, 12, 3, 2, 2))
    return Windows(torch.full((count, 4, 3, 2, 2), DATA), told, torch.zeros(count, 3, 2, 2))


def _given(count: int = 6) -> Tensor:
    given = torch.zeros(count, 3, dtype=torch.bool)
    given[::2, 0] = True
    return given


@pytest.mark.parametrize("seed", range(12))
def test_targets_of_a_straight_flow_are_its_velocity(seed: int) -> None:
    teacher, windows, given = ToAPoint(), _windows(), _given()
    taught = segment_targets(teacher, windows, given, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    assert torch.equal(taught.sigmas == 0.0, given)
    assert torch.equal(taught.points[::2, :, 0], windows.latents[::2, :, 0])
    exact = (taught.points - DATA) / taught.sigmas[:, None, :, None, None]
    noisy = ~given[:, None, :, None, None].expand(exact.shape)
    assert torch.allclose(taught.targets[noisy], exact[noisy], atol=1e-4)
    arrived = taught.points + (taught.sigma_next - taught.sigmas)[:, None, :, None, None] * taught.targets
    assert torch.isfinite(arrived).all()
    noise = (taught.points - (1 - taught.sigmas[:, None, :, None, None]) * DATA)[noisy]
    noise = noise / taught.sigmas[:, None, :, None, None].expand(exact.shape)[noisy]
    there = interpolate(
        torch.tensor(DATA), noise.view(-1), taught.sigma_next[:, None, :, None, None].expand(exact.shape)[noisy]
    )
    assert torch.allclose(arrived[noisy], there, atol=1e-4)


def test_segments_are_those_of_the_samplers_grids_and_halves_are_half_steps() -> None:
    seen = set()
    for seed in range(40):
        teacher, given = ToAPoint(), torch.zeros(6, 3, dtype=torch.bool)
        taught = segment_targets(teacher, _windows(), given, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
        pairs = {(float(a), float(b)) for a, b in zip(taught.sigmas[:, 0], taught.sigma_next[:, 0], strict=True)}
        grids = [
            n for n in GRIDS if pairs <= set(zip(*[sigma_grid(n, SHIFT).tolist()[k:] for k in (0, 1)], strict=False))
        ]
        assert len(grids) >= 1
        steps = grids[0]
        seen.add(steps)
        (first, first_next, told), (second, second_next, _) = teacher.asked
        if len(first) == 6:
            assert first_next is not None and second_next is not None
            assert torch.equal(first_next, second) and torch.equal(second_next, taught.sigma_next)
            assert steps != GRIDS[0]
        else:
            assert first_next is None and second_next is None
            assert len(first) == 12 and not told.slots[:6].any() and told.slots[6:].all()
    assert seen == set(GRIDS)


def test_grids_nest_so_that_every_segment_has_its_halves() -> None:
    for steps in GRIDS:
        assert torch.allclose(sigma_grid(2 * steps, SHIFT)[::2], sigma_grid(steps, SHIFT), atol=1e-7)


def test_a_map_that_was_learned_lands_in_one_step() -> None:
    noise = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    exact = ToAPoint()
    told = _windows(2).condition

    def mapped(state: Tensor, sigmas: Tensor, there: Tensor) -> Tensor:
        return exact(state, sigmas[:, None].expand(2, 3), told, there)

    landed = sample_map(mapped, noise, sigma_grid(1, SHIFT))
    assert torch.allclose(landed, torch.full_like(landed, DATA), atol=1e-5)
