"""The named diffusion coefficients."""

import math

import pytest
import torch

from model.diffusion import DIFFUSIONS, diffusion
from model.errors import InvalidSpec
from model.interpolant import GVP, LINEAR, PATHS, VP, Path

SIGMAS = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("name", DIFFUSIONS)
def test_every_coefficient_is_finite_and_not_negative(name: str, path: Path) -> None:
    found = diffusion(name, path)(torch.linspace(0.0, 1.0, 101))
    assert found.shape == (101,)
    assert torch.isfinite(found).all()
    assert (found >= 0).all()


def test_the_forms_are_the_papers() -> None:
    root = math.sqrt(0.5)
    for name, path, wanted in (
        ("zero", LINEAR, [0.0, 0.0, 0.0]),
        ("constant", LINEAR, [1.0, 1.0, 1.0]),
        ("sigma", LINEAR, [0.25, 0.5, 0.75]),
        ("decreasing", LINEAR, [0.25 * (1 - root) ** 2, 0.25, 0.25 * (1 + root) ** 2]),
        ("increasing-decreasing", LINEAR, [0.5, 1.0, 0.5]),
        ("kl-optimal", LINEAR, [2 / 3, 2.0, 6.0]),
        ("kl-optimal", VP, [0.1 + 19.9 * sigma for sigma in (0.25, 0.5, 0.75)]),
        ("kl-optimal", GVP, [math.pi * math.tan(0.5 * math.pi * sigma) for sigma in (0.25, 0.5, 0.75)]),
    ):
        assert torch.allclose(diffusion(name, path)(SIGMAS), torch.tensor(wanted, dtype=torch.float64)), name


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_kl_optimal_lets_a_velocity_error_cost_least(path: Path) -> None:
    """An error of the velocity moves the drift by 1 + w c / (2 noise_scale); its square over w is Girsanov's bound."""
    best = diffusion("kl-optimal", path)(SIGMAS)

    def cost(w: torch.Tensor) -> torch.Tensor:
        return (1.0 + 0.5 * w * path.inverse(SIGMAS).c / path.noise_scale(SIGMAS)) ** 2 / w

    assert (cost(best) < cost(1.05 * best)).all()
    assert (cost(best) < cost(0.95 * best)).all()


def test_strength_multiplies() -> None:
    assert torch.equal(diffusion("sigma", GVP, 3.0)(SIGMAS), 3.0 * diffusion("sigma", GVP)(SIGMAS))


def test_unknown_names_and_strengths_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"zero, constant, sigma, .* got 'sbdm'"):
        diffusion("sbdm")
    for strength in (-1.0, math.inf, math.nan):
        with pytest.raises(InvalidSpec, match="strength"):
            diffusion("sigma", strength=strength)
