"""Small networks with random weights: every property that training does not bring can be tested on them."""

from __future__ import annotations

import pytest
import torch

from clips.camera_path import CameraPath
from clips.cameras import Cameras
from clips.dungeon.attributes import SLOTS
from model.dit import Dit, DitConfig
from model.generate import Generator
from model.spec import SegmentSpec
from model.vae import Vae, VaeConfig

SLOT_TABLE = tuple((name, tuple(map(str, words))) for name, words in SLOTS.items())
SMALL_VAE = VaeConfig(
    latent_channels=6, width=16, encoder_blocks=2, decoder_blocks=2, patch_px=8, group_frames=4, detail_width=8
)
SMALL_DIT = DitConfig(latent_channels=6, latent_size=(3, 4, 6), width=32, depth=2, heads=2, patch=2, slots=SLOT_TABLE)
FRAMES, WIDTH, HEIGHT = 9, 48, 32
REVISION = "0123456789ab"


def shaken(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network with every weight moved, so that zero-initialised parts do something."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=random))
    return network.eval()


@pytest.fixture(scope="session")
def cameras() -> Cameras:
    return CameraPath().cameras(FRAMES, WIDTH, HEIGHT)


@pytest.fixture(scope="session")
def small_vae() -> Vae:
    torch.manual_seed(1)
    return shaken(Vae(SMALL_VAE))


@pytest.fixture(scope="session")
def small_dit() -> Dit:
    torch.manual_seed(2)
    return shaken(Dit(SMALL_DIT))


@pytest.fixture(scope="session")
def generator(small_vae: Vae, small_dit: Dit) -> Generator:
    return Generator(small_vae, small_dit, REVISION)


@pytest.fixture
def spec(cameras: Cameras) -> SegmentSpec:
    return SegmentSpec("a red orb in a stone room", 7, cameras, 8.0, 6, 2.0, REVISION)
