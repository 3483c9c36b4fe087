import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model.checkpoint import load_checkpoint
from model.generate import Generator
from model.train.dit import dit_config
from model.train.vae import VAE_CONFIG
from service.cli.train import train_app


def _run(*arguments: str) -> dict[str, float]:
    result = CliRunner().invoke(train_app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(VAE_CONFIG, latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, detail_width=4)
    monkeypatch.setattr("model.train.vae.VAE_CONFIG", small)
    monkeypatch.setattr(
        "model.train.dit.dit_config", lambda store: replace(dit_config(store), width=32, depth=1, heads=2)
    )


@pytest.mark.usefixtures("small_networks")
def test_vae_then_transformer_train_resume_and_generate(tmp_path: Path) -> None:
    vae = tmp_path / "vae"
    data = ["--clips", "6", "--clips-dir", str(tmp_path / "clips"), "--held-out", "2"]
    assert _run("vae", "--out", str(vae), "--steps", "1", *data)["steps"] == 1
    figures = _run("vae", "--out", str(vae), "--steps", "2", "--resume", *data)
    assert figures["steps"] == 2
    assert figures["psnr_db"] > 12.0
    dit = tmp_path / "dit"
    latents = ["--latents", str(tmp_path / "latents"), "--clips", "6", "--held-out", "2"]
    latents += ["--vae", str(vae / "vae.safetensors")]
    filled = CliRunner().invoke(train_app, ["latents", *latents, "--fill", "4"])
    assert filled.exit_code == 0, filled.output
    (store,) = (tmp_path / "latents").glob("*/train-6")
    assert np.load(store / "done.npy").tolist() == [True] * 4 + [False] * 2
    common = ["dit", "--out", str(dit), *latents, "--few-step-share", "0.5", "--pool-start", "5"]
    assert _run(*common, "--steps", "1")["steps"] == 1
    figures = _run(*common, "--steps", "2", "--resume")
    assert figures["steps"] == 2
    recipe = load_checkpoint(dit / "dit.safetensors", "dit").recipe
    assert (recipe["clips"], recipe["steps"]) == (6, 2)
    assert recipe["untrained_val_loss"] == pytest.approx(figures["untrained_val_loss"], abs=1e-3)
    (dit / "vae.safetensors").write_bytes((vae / "vae.safetensors").read_bytes())
    assert str(Generator.load(dit).supported) == "17 frames of 96x64"


@pytest.mark.parametrize("ends", [[], ["--steps", "1", "--minutes", "1"]])
def test_a_training_without_one_end_is_refused(tmp_path: Path, ends: list[str]) -> None:
    result = CliRunner().invoke(train_app, ["vae", "--out", str(tmp_path), *ends])
    assert result.exit_code == 2
    assert "--minutes or --steps" in result.output
