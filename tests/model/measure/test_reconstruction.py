import numpy as np
import pytest
import torch

from model.measure.reconstruction import reconstruction_figures
from model.vae import Vae


class OffByAGrey(Vae):
    """Codes nothing and returns colours that are 51 steps of 255 too bright inside, depth 10 % too near."""

    def encode(self, rgbd: torch.Tensor) -> torch.Tensor:
        return rgbd

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        wrong = latents.clone()
        wrong[:, :3, :, :4] += 0.4
        return wrong


class Perfect(OffByAGrey):
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


def _clips() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    frames = np.full((5, 8, 8, 3), 100, dtype=np.uint8)
    depth = np.full((5, 8, 8), 3.0, dtype=np.float32)
    mask = np.zeros((5, 8, 8), dtype=bool)
    mask[:, :4] = True
    return [(frames, depth, mask), (frames, depth, np.zeros_like(mask))]


def test_errors_are_in_decibels_over_the_picture_and_over_the_object(small_vae: Vae) -> None:
    found = reconstruction_figures(OffByAGrey(small_vae.config), _clips())
    assert found["object_psnr_db"] == pytest.approx(-10 * np.log10(0.2**2), abs=0.01)
    assert found["psnr_db"] == pytest.approx(-10 * np.log10(0.2**2 / 2), abs=0.01)
    assert found["depth_abs_rel"] < 1e-3


def test_a_perfect_one_has_no_error_and_nothing_measured_has_no_figure(small_vae: Vae) -> None:
    perfect = Perfect(small_vae.config)
    assert reconstruction_figures(perfect, _clips())["psnr_db"] == 100.0
    assert "object_psnr_db" not in reconstruction_figures(perfect, _clips()[1:])
    assert reconstruction_figures(perfect, []) == {}


def test_a_network_with_random_weights_is_far_off(small_vae: Vae) -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    depth = random.uniform(2.0, 5.0, (5, 16, 16)).astype(np.float32)
    assert reconstruction_figures(small_vae, [(frames, depth, depth > 3.0)])["psnr_db"] < 20.0
