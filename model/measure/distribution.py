"""How far one set of clips lies from another: maximum mean discrepancy over features of a fixed random network."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

FEATURE_SEED = 20_261_123
WIDTHS = (24, 48, 96)


def random_features(clips: list[UInt8[np.ndarray, "T H W 3"]], batch: int = 16) -> Float[Tensor, "N F"]:
    """Mean and deviation of what three convolutions of fixed random weights see, first, middle and last frame.

    Random weights know nothing of the judge nor of the data (random-feature FID: arXiv 2103.11521, section 3).
    """
    random = torch.Generator().manual_seed(FEATURE_SEED)
    weights, inputs = [], 3
    for width in WIDTHS:
        weights.append(torch.randn((width, inputs, 4, 4), generator=random) * (2.0 / (16 * inputs)) ** 0.5)
        inputs = width
    rows = []
    for start in range(0, len(clips), batch):
        frames = np.stack([clip[_spread(len(clip))] for clip in clips[start : start + batch]])
        rows.append(_features(torch.from_numpy(frames), weights))
    return torch.cat(rows)


def mmd_squared(ours: Float[Tensor, "N F"], theirs: Float[Tensor, "M F"], bandwidth: float) -> float:
    """Unbiased estimate (Gretton 2012, lemma 6) with a Gaussian kernel; about 0, or below, for equal distributions.

    Raises:
        ValueError: fewer than two clips on a side.
    """
    if min(len(ours), len(theirs)) < 2:
        raise ValueError(f"mmd needs at least two clips on each side, got {len(ours)} and {len(theirs)}")
    within = _off_diagonal_mean(ours, bandwidth) + _off_diagonal_mean(theirs, bandwidth)
    return within - 2.0 * float(_kernel(ours, theirs, bandwidth).mean())


def median_distance(features: Float[Tensor, "N F"]) -> float:
    """Median distance between different rows: the usual bandwidth of the kernel."""
    return float(torch.pdist(features.double()).median())


def sampling_noise(features: Float[Tensor, "N F"], bandwidth: float, splits: int = 40) -> float:
    """95 % quantile of MMD^2 between random halves of one set: what a distance of nothing looks like."""
    random = torch.Generator().manual_seed(0)
    half = len(features) // 2
    found = []
    for _ in range(splits):
        order = torch.randperm(len(features), generator=random)
        found.append(mmd_squared(features[order[:half]], features[order[half : 2 * half]], bandwidth))
    return float(np.quantile(found, 0.95))


def mmd_over(ours: float, theirs: float, noise: float) -> float:
    """Ratio of two MMDs (roots of MMD^2), each at least what sampling noise makes of nothing."""
    floor = max(noise, 1e-12)
    return float(np.sqrt(max(ours, floor) / max(theirs, floor)))


def _spread(frames: int) -> list[int]:
    return [0, frames // 2, frames - 1]


def _features(frames: UInt8[Tensor, "B K H W 3"], weights: list[Tensor]) -> Float[Tensor, "B F"]:
    batch, count = frames.shape[:2]
    seen = frames.flatten(0, 1).movedim(-1, 1).float() / 127.5 - 1.0
    parts = []
    for weight in weights:
        seen = functional.leaky_relu(functional.conv2d(seen, weight, stride=2, padding=1), 0.2)
        parts += [seen.mean((2, 3)), seen.std((2, 3))]
    return torch.cat(parts, dim=1).view(batch, count, -1).flatten(1)


def _kernel(ours: Tensor, theirs: Tensor, bandwidth: float) -> Tensor:
    squared = torch.cdist(ours.double(), theirs.double()).square()
    return torch.exp(-squared / (2.0 * bandwidth**2))


def _off_diagonal_mean(rows: Tensor, bandwidth: float) -> float:
    kernel = _kernel(rows, rows, bandwidth)
    count = len(rows)
    return float((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1)))
