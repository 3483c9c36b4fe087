"""A small store of rendered clips, coded by a small VAE with random weights."""

from __future__ import annotations

import pytest

from model.train.clip_source import DungeonClips
from model.train.data import slot_table
from model.train.latents import LatentCoder, LatentStore
from model.vae import Vae

CLIPS = DungeonClips(3, first_seed=40, frames=17, width=48, height=32)


@pytest.fixture(scope="session")
def coder(small_vae: Vae) -> LatentCoder:
    return LatentCoder(small_vae, "0123456789ab", slot_table())


@pytest.fixture(scope="session")
def small_store(coder: LatentCoder, tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    store = LatentStore(tmp_path_factory.mktemp("latents"), CLIPS, coder)
    store.fill(3)
    return store
