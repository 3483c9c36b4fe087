"""Paths, their ends, and that velocity, score, noise and data are views of one prediction."""

import math

import pytest
import torch

from model.errors import InvalidSpec
from model.interpolant import (
    END,
    GVP,
    LINEAR,
    PATHS,
    VP,
    Path,
    Vp,
    data_from_velocity,
    interpolate,
    noise_from_velocity,
    score_from_velocity,
    spread_sigmas,
    velocity,
    velocity_from_data,
    velocity_from_noise,
    velocity_from_score,
)

EVERY_PATH = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
INSIDE = torch.tensor([0.02, 0.3, 0.5, 0.7, 0.98])


def _pair(count: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(count, 2, 4, generator=random), torch.randn(count, 2, 4, generator=random)


def _close(found: torch.Tensor, wanted: torch.Tensor, within: float = 1e-5) -> None:
    assert float((found - wanted).abs().max()) <= within * max(1.0, float(wanted.abs().max()))


@EVERY_PATH
def test_sigma_zero_is_data_and_one_is_noise(path: Path) -> None:
    data, noise = _pair()
    assert torch.equal(interpolate(data, noise, torch.zeros(5), path), data)
    left = 0.0 if path != VP else math.exp(-0.25 * (0.1 + 20.0))
    assert torch.allclose(interpolate(data, noise, torch.ones(5), path), left * data + noise, atol=1e-4)


def test_no_trace_of_the_data_is_left_at_sigma_one() -> None:
    data, noise = _pair()
    for path in (LINEAR, GVP):
        assert torch.equal(interpolate(data, noise, torch.ones(5), path), noise)


def test_the_linear_path_is_what_the_shipped_weights_were_trained_on() -> None:
    data, noise = _pair()
    level = INSIDE.view(-1, 1, 1)
    assert torch.equal(interpolate(data, noise, INSIDE), (1.0 - level) * data + level * noise)
    assert torch.equal(velocity(data, noise), noise - data)
    assert torch.equal(velocity(data, noise, INSIDE), noise - data)
    assert torch.equal(data_from_velocity(data, noise, INSIDE), data - level * noise)
    assert torch.equal(noise_from_velocity(data, noise, INSIDE), data + (1.0 - level) * noise)


@EVERY_PATH
def test_velocity_is_the_derivative_of_the_path(path: Path) -> None:
    data, noise = (tensor.double() for tensor in _pair(3))
    sigmas, step = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), 1e-5
    difference = interpolate(data, noise, sigmas + step, path) - interpolate(data, noise, sigmas - step, path)
    assert torch.allclose(difference / (2 * step), velocity(data, noise, sigmas, path), atol=1e-6)


@pytest.mark.parametrize("path", [GVP, VP], ids=["gvp", "vp"])
def test_the_variance_of_whitened_data_is_preserved(path: Path) -> None:
    sigmas = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    assert torch.allclose(path.alpha(sigmas) ** 2 + path.noise_scale(sigmas) ** 2, torch.ones(11, dtype=torch.float64))


@EVERY_PATH
def test_views_are_those_of_the_pair_and_round_trip(path: Path) -> None:
    data, noise = _pair()
    point, flow = interpolate(data, noise, INSIDE, path), velocity(data, noise, INSIDE, path)
    score = -noise / path.noise_scale(spread_sigmas(INSIDE, noise))
    for forward, backward, wanted in (
        (data_from_velocity, velocity_from_data, data),
        (noise_from_velocity, velocity_from_noise, noise),
        (score_from_velocity, velocity_from_score, score),
    ):
        _close(forward(point, flow, INSIDE, path), wanted)
        _close(backward(point, wanted, INSIDE, path), flow)
        _close(backward(point, forward(point, flow, INSIDE, path), INSIDE, path), flow)
        _close(forward(point, backward(point, wanted, INSIDE, path), INSIDE, path), wanted)


@EVERY_PATH
def test_the_coefficients_solve_the_path_for_its_parts(path: Path) -> None:
    sigmas = torch.linspace(0.01, 1.0, 40, dtype=torch.float64)
    divisor = path.alpha(sigmas) * path.noise_slope(sigmas) - path.alpha_slope(sigmas) * path.noise_scale(sigmas)
    parts = (path.noise_slope(sigmas), path.noise_scale(sigmas), path.alpha(sigmas), path.alpha_slope(sigmas))
    for found, part in zip(path.inverse(sigmas), parts, strict=True):
        assert torch.allclose(found, part / divisor, rtol=1e-9)


@EVERY_PATH
def test_every_view_is_finite_at_both_ends(path: Path) -> None:
    point, flow = _pair(2)
    ends = torch.tensor([0.0, 1.0])
    views = (data_from_velocity, noise_from_velocity, score_from_velocity)
    for view in (*views, velocity_from_data, velocity_from_noise, velocity_from_score):
        assert torch.isfinite(view(point, flow, ends, path)).all(), view.__name__
    assert torch.isfinite(velocity(point, flow, ends, path)).all()


@EVERY_PATH
def test_views_that_an_end_determines_are_right_there(path: Path) -> None:
    data, noise = _pair()
    zeros, ones = torch.zeros(5), torch.ones(5)
    assert torch.equal(data_from_velocity(data, noise, zeros, path), data)
    _close(
        noise_from_velocity(interpolate(data, noise, ones, path), velocity(data, noise, ones, path), ones, path), noise
    )
    _close(score_from_velocity(noise, torch.zeros_like(noise), ones, path), -noise, 2 * END)


def test_the_vp_score_at_the_data_is_finite_and_exact() -> None:
    """Normal data stay normal on the VP path: velocity 0 and score -x at every sigma, 0 among them."""
    point, _ = _pair()
    for sigma in (0.0, 0.5, 1.0):
        sigmas = torch.full((5,), sigma)
        _close(score_from_velocity(point, torch.zeros_like(point), sigmas, VP), -point)
        _close(velocity_from_score(point, -point, sigmas, VP), torch.zeros_like(point))


@EVERY_PATH
def test_each_latent_frame_may_have_its_own_sigma(path: Path) -> None:
    random = torch.Generator().manual_seed(3)
    data, noise = torch.randn(2, 6, 3, 4, 5, generator=random), torch.randn(2, 6, 3, 4, 5, generator=random)
    sigmas = torch.tensor([[0.0, 0.4, 1.0], [0.2, 0.2, 0.9]])
    point, flow = interpolate(data, noise, sigmas, path), velocity(data, noise, sigmas, path)
    found = data_from_velocity(point, flow, sigmas, path)
    for frame in range(3):
        alone = (data[:, :, frame], noise[:, :, frame], sigmas[:, frame], path)
        assert torch.equal(point[:, :, frame], interpolate(*alone))
        assert torch.equal(flow[:, :, frame], velocity(*alone))
        assert torch.equal(
            found[:, :, frame], data_from_velocity(point[:, :, frame], flow[:, :, frame], sigmas[:, frame], path)
        )


@pytest.mark.parametrize("shape", [(), (2, 4), (2, 3, 1)])
def test_sigmas_that_fit_neither_samples_nor_frames_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSpec, match=r"\(B,\) or \(B, t\)"):
        spread_sigmas(torch.zeros(shape), torch.zeros(2, 6, 3, 4, 5))


def test_a_curved_path_needs_sigmas_for_its_velocity() -> None:
    with pytest.raises(InvalidSpec, match="gvp depends on sigma"):
        velocity(*_pair(), path=GVP)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (2.0, 1.0), (0.1, math.inf), (math.nan, 1.0)])
def test_betas_of_nothing_are_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidSpec, match="beta_low"):
        Vp(low, high)
