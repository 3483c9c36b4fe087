import math

import numpy as np
import pytest
import torch

from model.measure.distribution import median_distance, mmd_over, mmd_squared, random_features, sampling_noise


def _normal(count: int, mean: float, seed: int) -> torch.Tensor:
    return mean + torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_mmd_is_that_of_the_plain_double_sum() -> None:
    ours, theirs = _normal(5, 0.0, 0), _normal(4, 1.0, 1)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return math.exp(-float((a - b).double().square().sum()) / (2 * 1.5**2))

    within = sum(kernel(a, b) for i, a in enumerate(ours) for j, b in enumerate(ours) if i != j) / 20
    within += sum(kernel(a, b) for i, a in enumerate(theirs) for j, b in enumerate(theirs) if i != j) / 12
    across = sum(kernel(a, b) for a in ours for b in theirs) / 20
    assert mmd_squared(ours, theirs, 1.5) == pytest.approx(within - 2 * across, abs=1e-9)
    with pytest.raises(ValueError, match="at least two"):
        mmd_squared(ours[:1], theirs, 1.0)


def test_equal_distributions_are_within_the_sampling_noise_and_shifted_ones_are_not() -> None:
    ours, same, shifted = _normal(120, 0.0, 0), _normal(120, 0.0, 1), _normal(120, 0.7, 2)
    width = median_distance(ours)
    noise = sampling_noise(ours, width)
    assert mmd_squared(ours, same, width) < noise < mmd_squared(ours, shifted, width)


def test_ratios_of_distances_below_the_noise_are_one() -> None:
    assert mmd_over(-0.001, 0.0005, 0.001) == 1.0
    assert mmd_over(0.04, 0.01, 0.001) == pytest.approx(2.0)
    assert mmd_over(0.04, -0.1, 0.01) == pytest.approx(2.0)


def test_features_are_fixed_and_tell_bright_clips_from_dark_ones() -> None:
    random = np.random.default_rng(0)
    dark = [random.integers(0, 80, (5, 32, 48, 3), dtype=np.uint8) for _ in range(6)]
    bright = [clip + 120 for clip in dark]
    features = random_features(dark)
    assert torch.equal(features, random_features(dark, batch=4))
    assert features.shape == (6, 3 * 2 * (24 + 48 + 96))
    width = median_distance(features)
    assert mmd_squared(features, random_features(bright), width) > 0.5
