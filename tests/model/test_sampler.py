"""On distributions whose velocity is known in closed form, every sampler must arrive at their moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from benchmarks.sampling import TWO
from model.diffusion import DIFFUSIONS, diffusion
from model.errors import InvalidSpec
from model.interpolant import GVP, LINEAR, PATHS, Path
from model.sampler import (
    frame_grid,
    sample_euler,
    sample_heun,
    sample_map,
    sample_sde,
    sample_sde_heun,
    seeded_noise,
    sigma_grid,
    step_noise,
)

EVERY_PATH = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
SDES = pytest.mark.parametrize("sample", [sample_sde, sample_sde_heun])
STEPS = {"linear": (128, 14), "gvp": (24, 12), "vp": (24, 20)}
"""First- and second-order steps that bring each path within 3 %."""
SEEDS = [5, 6, 7, 8]


def _start(count: int = 2_000) -> Tensor:
    return seeded_noise([11, 12, 13, 14], (count, 2))


def _solvers(path: Path) -> dict[str, Callable[[Tensor, Tensor, int], Tensor]]:
    """Every sampler as (state, slice of the grid, number of its first step) to the state."""
    flow = TWO.velocity(path.name)
    table: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
        "euler": lambda state, sigmas, _: sample_euler(flow, state, sigmas),
        "heun": lambda state, sigmas, _: sample_heun(flow, state, sigmas),
    }
    for name in DIFFUSIONS:
        for label, sample in (("sde", sample_sde), ("sde-heun", sample_sde_heun)):
            w = diffusion(name, path)
            table[f"{label} {name}"] = partial(_run_sde, sample, flow, w, path)
    return table


def _run_sde(sample, flow, w, path, state, sigmas, first):  # type: ignore[no-untyped-def]
    return sample(flow, state, sigmas, w, SEEDS, path, first)


SOLVERS = pytest.mark.parametrize("name", list(_solvers(LINEAR)))


@EVERY_PATH
@SOLVERS
def test_every_sampler_reaches_the_moments_of_a_mixture(name: str, path: Path) -> None:
    steps = STEPS[path.name]["heun" in name]
    made = _solvers(path)[name](_start(), sigma_grid(steps, 1.0), 0)
    assert TWO.error(made.reshape(-1, 2)) < 0.03


@EVERY_PATH
@SOLVERS
def test_a_broken_run_equals_an_unbroken_one(name: str, path: Path) -> None:
    sigmas, solve = sigma_grid(5, 2.0), _solvers(path)[name]
    start = _start(3)
    whole = solve(start, sigmas, 0)
    for stop in range(6):
        half = solve(start, sigmas[: stop + 1], 0)
        assert torch.equal(solve(half, sigmas[stop:], stop), whole), f"stopped after {stop} steps"


def test_the_mixture_of_these_tests_is_measured_rightly() -> None:
    random = torch.Generator().manual_seed(0)
    points = TWO.draw(200_000, random)
    assert TWO.error(points) < 0.01
    assert TWO.error(points + torch.tensor([0.06, 0.0])) > 0.03
    assert TWO.error(1.03 * points) > 0.03
    assert TWO.error(points[points[:, 0] < 0.9]) > 0.03


@EVERY_PATH
def test_heun_is_second_order_and_euler_first(path: Path) -> None:
    flow, start = TWO.velocity(path.name), seeded_noise([1], (50, 2)).double()
    # In float64, whose grid halves without rounding; the ends' velocities are exact on every path.
    grids = {steps: torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64) for steps in (100, 200, 1_000)}
    exact = sample_heun(flow, start, grids[1_000])
    for sample, low, high in ((sample_euler, 1.8, 2.2), (sample_heun, 3.6, 4.4)):
        coarse, fine = (float((sample(flow, start, grids[steps]) - exact).norm()) for steps in (100, 200))
        assert low < coarse / fine < high, sample.__name__


@EVERY_PATH
def test_without_diffusion_the_sde_is_the_ode(path: Path) -> None:
    flow, start, sigmas = TWO.velocity(path.name), _start(20), sigma_grid(9, 2.0)
    none = diffusion("zero", path)
    assert torch.equal(sample_sde(flow, start, sigmas, none, SEEDS, path), sample_euler(flow, start, sigmas))
    assert torch.equal(sample_sde_heun(flow, start, sigmas, none, SEEDS, path), sample_heun(flow, start, sigmas))


@SDES
def test_narrow_data_and_large_w_stay_stable(sample) -> None:  # type: ignore[no-untyped-def]
    """A step of w = 100 beside data 0.01 wide would multiply offsets by thousands were w not held back."""
    width = 0.01

    def flow(points: Tensor, sigmas: Tensor) -> Tensor:
        level = sigmas.view(-1, 1, 1)
        variance = (1.0 - level) ** 2 * width**2 + level**2
        return (level - (1.0 - level) * width**2) / variance * points

    made = sample(flow, _start(), sigma_grid(40, 1.0), diffusion("constant", strength=100.0), SEEDS)
    assert 0.5 * width < float(made.std()) < 2.0 * width


def test_fresh_noise_is_never_left_in_the_data() -> None:
    """All data are one point: whatever noise was added before, the last step adds none and removes all."""
    w, ends = diffusion("constant"), torch.tensor([1.0, 0.6, 0.2, 0.0])
    made = sample_sde(lambda points, sigmas: (points - 0.7) / sigmas.view(-1, 1, 1), _start(10), ends, w, SEEDS)
    assert torch.allclose(made, torch.full_like(made, 0.7), atol=1e-6)


@SDES
def test_samples_of_an_sde_are_their_own_seeds(sample) -> None:  # type: ignore[no-untyped-def]
    flow, start, sigmas = TWO.velocity("linear"), _start(20), sigma_grid(6, 1.0)
    w = diffusion("sigma")
    batch = sample(flow, start, sigmas, w, SEEDS)
    assert torch.allclose(sample(flow, start[2:3], sigmas, w, SEEDS[2:3])[0], batch[2], atol=1e-6)
    other = sample(flow, start[2:3], sigmas, w, [99])[0]
    assert (other - batch[2]).abs().max() > 0.01


@pytest.mark.parametrize("w", [-1.0, float("nan")])
@SDES
def test_a_negative_diffusion_is_refused(sample, w: float) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidSpec, match="must not be negative"):
        sample(TWO.velocity("linear"), _start(2), sigma_grid(2, 1.0), lambda sigmas: w * torch.ones_like(sigmas), SEEDS)


@EVERY_PATH
@pytest.mark.parametrize("jumps", [1, 2, 4])
def test_a_few_jumps_of_an_exact_flow_map_end_exactly(path: Path, jumps: int) -> None:
    """A Gaussian keeps its offsets in units of its own deviation, so where a point ends is known in closed form."""
    mean, width = torch.tensor([0.4, -1.1], dtype=torch.float64), torch.tensor([0.3, 1.7], dtype=torch.float64)

    def moments(sigmas: Tensor) -> tuple[Tensor, Tensor]:
        level = sigmas.double().view(-1, 1, 1)
        return path.alpha(level) * mean, ((path.alpha(level) * width) ** 2 + path.noise_scale(level) ** 2).sqrt()

    def exact_map(points: Tensor, sigmas: Tensor, sigma_next: Tensor) -> Tensor:
        (centre, spread), (centre_next, spread_next) = moments(sigmas), moments(sigma_next)
        arrived = centre_next + spread_next / spread * (points - centre)
        return (arrived - points) / (sigma_next - sigmas).double().view(-1, 1, 1)

    start, ones = _start(30).double(), torch.ones(4)
    centre, spread = moments(ones)
    wanted = mean + width / spread * (start - centre)
    made = sample_map(exact_map, start, sigma_grid(jumps, 2.0))
    assert torch.allclose(made, wanted, atol=1e-6)
    unbroken = sample_map(exact_map, sample_map(exact_map, start, sigma_grid(4, 2.0)[:3]), sigma_grid(4, 2.0)[2:])
    assert torch.equal(unbroken, sample_map(exact_map, start, sigma_grid(4, 2.0)))


def test_euler_with_one_step_misses_where_the_flow_map_does_not() -> None:
    one = sample_euler(TWO.velocity("linear"), _start(), sigma_grid(1, 1.0))
    assert TWO.error(one.reshape(-1, 2)) > 0.5


@SOLVERS
def test_given_frames_never_change_and_the_others_go_on(name: str) -> None:
    """With a sigma a frame, given frames stay as they are and the others do what they do alone."""
    given = torch.tensor([[True, False, False], [False, False, True]])
    sigmas, random = sigma_grid(4, 2.0), torch.Generator().manual_seed(4)
    state = torch.randn(2, 6, 3, 4, 5, generator=random)
    seen: list[tuple[int, ...]] = []

    def flow(points: Tensor, levels: Tensor) -> Tensor:
        seen.append(tuple(levels.shape))
        return points * (0.5 + levels if levels.ndim == 1 else 0.5 + levels[:, None])[..., None, None].view(
            *((2, 1, 1) if levels.ndim == 1 else (2, 1, 3)), 1, 1
        )

    kind, _, w = name.partition(" ")
    sample = {"euler": sample_euler, "heun": sample_heun, "sde": sample_sde, "sde-heun": sample_sde_heun}[kind]
    told = (diffusion(w, GVP), [1, 2], GVP) if w else ()
    whole = sample(flow, state, sigmas, *told)
    assert set(seen) == {(2,)}
    seen.clear()
    made = sample(flow, state, frame_grid(sigmas, given), *told)
    assert set(seen) == {(2, 3)}
    frames, held = made.transpose(1, 2), given
    assert torch.equal(frames[held], state.transpose(1, 2)[held])
    assert torch.allclose(frames[~held], whole.transpose(1, 2)[~held], atol=1e-6)
    assert (frames[~held] - state.transpose(1, 2)[~held]).abs().max() > 0.1


@pytest.mark.parametrize("sample", [sample_euler, sample_heun])
def test_steps_are_told_as_they_are_made(sample) -> None:  # type: ignore[no-untyped-def]
    seen: list[tuple[int, Tensor]] = []
    made = sample(TWO.velocity("linear"), _start(3), sigma_grid(4, 2.0), lambda step, state: seen.append((step, state)))
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    assert torch.equal(seen[-1][1], made)


@SDES
def test_steps_of_a_slice_keep_their_numbers(sample) -> None:  # type: ignore[no-untyped-def]
    seen: list[int] = []
    sigmas, w = sigma_grid(6, 2.0), diffusion("sigma")
    sample(
        TWO.velocity("linear"), _start(3), sigmas[3:], w, SEEDS, first_step=3, on_step=lambda step, _: seen.append(step)
    )
    assert seen == [4, 5, 6]


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


def test_every_step_has_its_own_noise() -> None:
    of_steps = [step_noise([3, 2**63 - 1, -4], step, (2, 4)) for step in range(3)]
    assert torch.equal(step_noise([2**63 - 1], 1, (2, 4))[0], of_steps[1][1])
    drawn = torch.cat([seeded_noise([3], (2, 4)), *of_steps]).flatten(1)
    assert len(drawn.unique(dim=0)) == 10
