import numpy as np
import pytest
import torch

from recon.similarity import ssim


def plain_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Every pixel's window summed by hand over pictures that go on in zeros (H, W, D)."""
    away = np.arange(11) - 5
    window = np.exp(-0.5 * (away[:, None] ** 2 + away[None] ** 2) / 1.5**2)
    window /= window.sum()
    padded_x, padded_y = (np.pad(part, ((5, 5), (5, 5), (0, 0))) for part in (x, y))
    values = []
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            a, b = (part[row : row + 11, column : column + 11] for part in (padded_x, padded_y))
            mean_a, mean_b = ((part * window[..., None]).sum((0, 1)) for part in (a, b))
            variance_a, variance_b, covariance = (
                (part * window[..., None]).sum((0, 1)) - product
                for part, product in ((a * a, mean_a**2), (b * b, mean_b**2), (a * b, mean_a * mean_b))
            )
            top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
            values.append(top / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)))
    return float(np.mean(values))


def test_similarity_is_that_of_windows_summed_by_hand() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(9, 13, 3))
    y = np.clip(x + rng.normal(size=x.shape) * 0.2, 0, 1)
    ours = ssim(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)).item()
    assert ours == pytest.approx(plain_ssim(x, y), abs=1e-5)
    assert 0.2 < ours < 0.95


def test_equal_pictures_are_similar_wholly_and_the_gradient_leads_there() -> None:
    picture = torch.rand(12, 16, 3, generator=torch.Generator().manual_seed(0))
    assert ssim(picture, picture).item() == pytest.approx(1.0, abs=1e-6)
    other = (picture * 0.5).requires_grad_(True)
    worse = ssim(other, picture)
    (gradient,) = torch.autograd.grad(worse, other)
    assert ssim(other.detach() + 2.0 * gradient, picture) > worse
