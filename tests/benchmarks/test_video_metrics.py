"""The metrics of the reconstruction benchmark against plain references and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.reconstruction.pictures import (
    depth_abs_rel,
    flip_map,
    masked_mean,
    psnr_db,
    ssim_map,
    ssim_mask,
    unsteadiness,
)


def video(seed: int, frames: int = 2, height: int = 19, width: int = 23) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def plain_ssim(a: np.ndarray, b: np.ndarray, row: int, column: int) -> float:
    """Equation 13 of Wang et al. 2004 on the window around one pixel of one channel, written out."""
    weights = np.array([[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for i in range(-5, 6)] for j in range(-5, 6)])
    weights /= weights.sum()
    x = a[row - 5 : row + 6, column - 5 : column + 6].astype(float)
    y = b[row - 5 : row + 6, column - 5 : column + 6].astype(float)
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    both = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def test_ssim_is_that_of_the_paper_at_every_pixel() -> None:
    truth = video(0)
    noise = np.random.default_rng(1).normal(size=truth.shape) * 30
    frames = np.clip(truth + noise, 0, 255).astype(np.uint8)
    found = ssim_map(frames, truth)
    assert found.shape == (2, 9, 13)
    for row in range(9):
        for column in range(13):
            expected = np.mean([plain_ssim(frames[1, ..., k], truth[1, ..., k], row + 5, column + 5) for k in range(3)])
            assert abs(found[1, row, column] - expected) < 1e-5


def test_equal_videos_score_best() -> None:
    same = video(2)
    assert ssim_map(same, same).min() > 0.99999
    assert flip_map(same, same).max() == 0
    assert unsteadiness(same, same).max() == 0
    assert psnr_db(same, same) > 130


def test_psnr_of_a_known_error_whole_and_inside_a_mask() -> None:
    truth = np.full((2, 4, 4, 3), 100, np.uint8)
    frames = truth.copy()
    frames[0, 0, 0] += 51  # a fifth of the range: 13.98 dB there
    mask = np.zeros((2, 4, 4), bool)
    mask[0, 0, :2] = True
    assert psnr_db(frames, truth, mask) == pytest.approx(10 * math.log10(2 * 25), abs=1e-9)
    assert psnr_db(frames, truth) == pytest.approx(10 * math.log10(32 * 25), abs=1e-9)
    assert math.isnan(psnr_db(frames, truth, np.zeros_like(mask)))


def test_flip_sees_what_changed_and_where() -> None:
    truth = np.full((1, 40, 60, 3), 128, np.uint8)
    frames = truth.copy()
    frames[0, 10:20, 10:20] = (255, 0, 0)
    error = flip_map(frames, truth)[0]
    assert error.shape == (40, 60)
    assert error[12:18, 12:18].min() > 0.3
    assert error[30:, 40:].max() < 1e-3


def test_a_constant_offset_is_steady_and_flicker_is_not() -> None:
    truth = (video(3, 4) // 2).astype(np.uint8)
    assert unsteadiness(truth + np.uint8(40), truth).max() == 0
    flicker = truth.copy()
    flicker[1::2] += 10
    assert unsteadiness(flicker, truth).min() == 10
    assert unsteadiness(flicker, truth).shape == (3, 19, 23)


def test_depth_error_is_relative_and_masked() -> None:
    truth = np.array([[[2.0, 4.0]]], np.float32)
    depth = np.array([[[2.2, 4.0]]], np.float32)
    assert depth_abs_rel(depth, truth) == pytest.approx(0.05, abs=1e-6)
    assert depth_abs_rel(depth, truth, np.array([[[True, False]]])) == pytest.approx(0.1, abs=1e-6)
    assert math.isnan(masked_mean(depth, np.zeros((1, 1, 2), bool)))


def test_ssim_masks_lose_the_border_and_small_pictures_are_refused() -> None:
    mask = np.zeros((1, 19, 23), bool)
    mask[0, 5, 5] = True
    assert ssim_mask(mask).shape == (1, 9, 13)
    assert ssim_mask(mask)[0, 0, 0]
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim_map(video(4, 1, 10, 30), video(4, 1, 10, 30))
