"""Guidance around the real network with random weights, counting what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from clips.cameras import Cameras
from model.control import CONTROL_CHANNELS, CONTROL_OBJECTS
from model.dit import Condition, Dit
from model.errors import InvalidSpec
from model.guidance import flow_map, guided_map, guided_velocity
from model.rays import plucker_rays
from model.revision import GUIDANCE, MAP_PUSHES, MAP_STEPS
from model.sampler import frame_grid, sample_euler, sample_map, seeded_noise, sigma_grid

SHAPE = (6, 3, 4, 6)


@pytest.fixture
def condition(cameras: Cameras, small_dit: Dit) -> Condition:
    """Three clips with slots, cameras and control."""
    slots = (torch.arange(3)[:, None] + torch.arange(len(small_dit.config.slots))) % 4
    rays = plucker_rays(cameras, 4, 8).expand(3, -1, -1, -1, -1)
    control = torch.randn(3, CONTROL_CHANNELS, *SHAPE[1:], generator=torch.Generator().manual_seed(9))
    return Condition(slots, rays, control, torch.full((3,), CONTROL_OBJECTS), torch.ones(3, dtype=torch.bool))


@pytest.fixture
def batches(small_dit: Dit) -> Iterator[list[int]]:
    """The batch size of every call of the network."""
    seen: list[int] = []
    hook = small_dit.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    yield seen
    hook.remove()


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def _inputs() -> tuple[Tensor, Tensor]:
    return seeded_noise([1, 2, 3], SHAPE), torch.tensor([0.8, 0.5, 0.3])


def test_guidance_at_scale_one_is_none(small_dit: Dit, condition: Condition, batches: list[int]) -> None:
    state, sigmas = _inputs()
    expected = small_dit(state, sigmas, condition)
    batches.clear()
    plain = guided_velocity(small_dit, condition, 1.0)(state, sigmas)
    assert batches == [3]
    assert torch.equal(plain, expected)
    nearly = guided_velocity(small_dit, condition, 1.0 + 1e-7)(state, sigmas)
    assert torch.allclose(plain, nearly, atol=1e-5)


def test_guidance_at_scale_zero_forgets_the_slots_alone(small_dit: Dit, condition: Condition) -> None:
    state, sigmas = _inputs()
    forgot = guided_velocity(small_dit, condition, 0.0)(state, sigmas)
    assert torch.allclose(forgot, small_dit(state, sigmas, condition.without_slots()), atol=1e-5)
    blind = Condition.plain(torch.zeros_like(condition.slots), condition.rays)
    assert not torch.allclose(forgot, small_dit(state, sigmas, blind), atol=1e-3)


def test_guidance_is_linear_in_its_scale(small_dit: Dit, condition: Condition) -> None:
    at = {scale: guided_velocity(small_dit, condition, scale)(*_inputs()) for scale in (0.0, 1.0, 3.0)}
    assert torch.allclose(at[3.0], at[0.0] + 3.0 * (at[1.0] - at[0.0]), atol=1e-4)
    assert (at[3.0] - at[1.0]).abs().max() > 1e-3


def test_outside_the_interval_only_the_conditioned_branch_runs(
    small_dit: Dit, condition: Condition, batches: list[int]
) -> None:
    state, _ = _inputs()
    flow = guided_velocity(small_dit, condition, 3.0, (0.2, 0.7))
    for sigma, size in ((0.9, 3), (0.71, 3), (0.7, 6), (0.4, 6), (0.2, 6), (0.19, 3), (0.0, 3)):
        sigmas = torch.full((3,), sigma)
        batches.clear()
        found = flow(state, sigmas)
        assert batches == [size], sigma
        same = torch.equal(found, small_dit(state, sigmas, condition))
        assert same == (size == 3), sigma


def test_each_clip_of_a_batch_is_inside_or_outside_by_itself(small_dit: Dit, condition: Condition) -> None:
    state, sigmas = _inputs()
    found = guided_velocity(small_dit, condition, 3.0, (0.4, 0.6))(state, sigmas)
    plain = small_dit(state, sigmas, condition)
    everywhere = guided_velocity(small_dit, condition, 3.0)(state, sigmas)
    assert torch.allclose(found[[0, 2]], plain[[0, 2]], atol=1e-5)
    assert torch.equal(found[1], everywhere[1])
    assert not torch.allclose(found[1], plain[1], atol=1e-3)


def test_a_given_frame_leaves_its_clip_in_the_interval(
    small_dit: Dit, condition: Condition, batches: list[int]
) -> None:
    state, _ = _inputs()
    flow = guided_velocity(small_dit, condition, 3.0, (0.4, 0.6))
    flow(state, torch.tensor([[0.0, 0.5, 0.5]]).expand(3, -1))
    flow(state, torch.tensor([[0.5, 0.7, 0.7]]).expand(3, -1))
    assert batches == [6, 3]


@pytest.mark.parametrize("interval", [(-0.1, 1.0), (0.0, 1.1), (0.6, 0.5), (float("nan"), 1.0)])
def test_intervals_of_nothing_are_refused(small_dit: Dit, condition: Condition, interval: tuple[float, float]) -> None:
    with pytest.raises(InvalidSpec, match="guidance interval"):
        guided_velocity(small_dit, condition, 2.0, interval)


def test_a_batch_equals_single_runs(small_dit: Dit, condition: Condition) -> None:
    seeds, sigmas = [11, 12, 13], sigma_grid(5, 2.0)
    batch = sample_euler(guided_velocity(small_dit, condition, 2.0), seeded_noise(seeds, SHAPE), sigmas)
    for i, seed in enumerate(seeds):
        flow = guided_velocity(small_dit, condition.rows(slice(i, i + 1)), 2.0)
        single = sample_euler(flow, seeded_noise([seed], SHAPE), sigmas)
        assert torch.allclose(single[0], batch[i], atol=1e-4)


def test_a_flow_map_is_one_pass_told_where_it_goes(small_dit: Dit, condition: Condition, batches: list[int]) -> None:
    state, sigmas = _inputs()
    there = torch.tensor([0.5, 0.0, 0.3])
    found = flow_map(small_dit, condition)(state, sigmas, there)
    assert batches == [3]
    assert torch.equal(found, small_dit(state, sigmas, condition, there))
    assert not torch.allclose(found[:2], small_dit(state, sigmas, condition)[:2], atol=1e-4)
    batches.clear()
    sample_map(flow_map(small_dit, condition), state, sigma_grid(4, 2.0))
    assert batches == [3] * 4


def test_a_push_of_the_map_goes_on_from_what_is_without_slots(
    small_dit: Dit, condition: Condition, batches: list[int]
) -> None:
    state, sigmas = _inputs()
    there = torch.tensor([0.5, 0.0, 0.3])
    plain = flow_map(small_dit, condition)(state, sigmas, there)
    without = flow_map(small_dit, condition.without_slots())(state, sigmas, there)
    batches.clear()
    pushed = guided_map(small_dit, condition, 2, GUIDANCE)(state, sigmas, there)
    assert batches == [6]
    assert torch.allclose(pushed, plain + MAP_PUSHES[2] * (plain - without), atol=1e-5)
    assert torch.equal(guided_map(small_dit, condition, 2, 1.0)(state, sigmas, there), plain)
    assert torch.equal(guided_map(small_dit, condition, 1, 9.0)(state, sigmas, there), plain)
    assert batches[1:] == [3, 3]


@pytest.mark.parametrize("steps", [0, MAP_STEPS + 1])
def test_the_map_makes_few_steps_only(small_dit: Dit, condition: Condition, steps: int) -> None:
    with pytest.raises(InvalidSpec, match="flow map makes 1 to 4 steps"):
        guided_map(small_dit, condition, steps, 2.0)


def test_given_frames_stay_through_guided_sampling(small_dit: Dit, condition: Condition) -> None:
    state, _ = _inputs()
    given = torch.tensor([[True, False, False]]).expand(3, -1)
    made = sample_euler(guided_velocity(small_dit, condition, 2.0), state, frame_grid(sigma_grid(3, 2.0), given))
    assert torch.equal(made[:, :, 0], state[:, :, 0])
    assert not torch.allclose(made[:, :, 1:], state[:, :, 1:], atol=0.01)
