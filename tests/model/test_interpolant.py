import torch

from model.interpolant import data_from_velocity, interpolate, noise_from_velocity, velocity


def _pair() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(3, 2, 4, generator=random), torch.randn(3, 2, 4, generator=random)


def test_sigma_zero_is_data_and_one_is_noise() -> None:
    data, noise = _pair()
    assert torch.equal(interpolate(data, noise, torch.zeros(3)), data)
    assert torch.equal(interpolate(data, noise, torch.ones(3)), noise)


def test_velocity_is_the_derivative_of_the_path() -> None:
    data, noise = (tensor.double() for tensor in _pair())
    sigmas, step = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), 1e-4
    difference = interpolate(data, noise, sigmas + step) - interpolate(data, noise, sigmas - step)
    assert torch.allclose(difference / (2 * step), velocity(data, noise), atol=1e-9)


def test_data_and_noise_are_views_of_the_velocity() -> None:
    data, noise = _pair()
    sigmas = torch.tensor([0.0, 0.3, 1.0])
    point, flow = interpolate(data, noise, sigmas), velocity(data, noise)
    assert torch.allclose(data_from_velocity(point, flow, sigmas), data, atol=1e-6)
    assert torch.allclose(noise_from_velocity(point, flow, sigmas), noise, atol=1e-6)
