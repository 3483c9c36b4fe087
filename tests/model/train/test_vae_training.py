"""Training of the VAE: the decoder alone, the encoder's revision, weights of pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_vae
from model.errors import ModelError
from model.train.data import ClipRecipe, ClipStore
from model.train.loop import TrainingPlan
from model.train.vae import train_vae
from model.vae import VaeConfig

SMALL = VaeConfig(
    latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipStore, ClipStore]:
    folder = tmp_path_factory.mktemp("clips")
    sizes = {"frames": 9, "width": 32, "height": 24}
    train = ClipStore(folder / "train", ClipRecipe(clips=4, **sizes))
    return train, ClipStore(folder / "held-out", ClipRecipe(clips=2, held_out=True, **sizes))


def test_a_decoder_trained_on_keeps_its_latents(stores: tuple[ClipStore, ClipStore], tmp_path: Path) -> None:
    train_vae(TrainingPlan(tmp_path / "both", steps=3, warmup_steps=0), stores, False, 4, SMALL)
    both = tmp_path / "both" / "vae.safetensors"
    deeper = dataclasses.replace(SMALL, decoder_blocks=2)
    train_vae(TrainingPlan(tmp_path / "decoder", steps=3, warmup_steps=0), stores, False, 4, deeper, None, both)
    before, after = load_vae(both), load_vae(tmp_path / "decoder" / "vae.safetensors")
    rgbd = stores[1].rgbd(0)[None]
    assert torch.equal(before.encode(rgbd), after.encode(rgbd))
    assert before.encoder_revision == after.encoder_revision
    latents = before.encode(rgbd)
    assert not torch.equal(before.decode(latents), after.decode(latents))


def test_another_encoder_has_another_revision(stores: tuple[ClipStore, ClipStore], tmp_path: Path) -> None:
    train_vae(TrainingPlan(tmp_path / "a", steps=1, warmup_steps=0), stores, False, 4, SMALL)
    train_vae(TrainingPlan(tmp_path / "b", steps=2, warmup_steps=0), stores, False, 4, SMALL)
    first, second = (load_vae(tmp_path / name / "vae.safetensors") for name in "ab")
    assert first.encoder_revision != second.encoder_revision


def test_a_decoder_of_another_architecture_is_refused(stores: tuple[ClipStore, ClipStore], tmp_path: Path) -> None:
    train_vae(TrainingPlan(tmp_path / "a", steps=1), stores, False, 4, SMALL)
    wider = dataclasses.replace(SMALL, width=16)
    plan = TrainingPlan(tmp_path / "b", steps=1)
    with pytest.raises(ModelError, match="another architecture"):
        train_vae(plan, stores, False, 4, wider, None, tmp_path / "a" / "vae.safetensors")
