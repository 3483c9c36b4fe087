import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.checkpoint import load_checkpoint
from model.dit import DitConfig
from model.generate import Generator
from model.train.data import slot_table
from model.vae import VaeConfig
from service.cli.train import train_app


def _run(*arguments: str) -> dict[str, float]:
    result = CliRunner().invoke(train_app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = VaeConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4)
    monkeypatch.setattr("model.train.vae.VAE_CONFIG", small)
    monkeypatch.setattr(
        "model.train.dit.dit_config",
        lambda channels, size: DitConfig(channels, size, width=32, depth=1, heads=2, patch=2, slots=slot_table()),
    )


@pytest.mark.usefixtures("small_networks")
def test_vae_then_transformer_train_resume_and_generate(tmp_path: Path) -> None:
    data = ["--clips", "6", "--clips-dir", str(tmp_path / "clips"), "--held-out", "2"]
    vae = tmp_path / "vae"
    assert _run("vae", "--out", str(vae), "--steps", "1", *data)["steps"] == 1
    figures = _run("vae", "--out", str(vae), "--steps", "2", "--resume", *data)
    assert figures["steps"] == 2
    assert figures["psnr_db"] > 12.0
    dit = tmp_path / "dit"
    common = ["dit", "--out", str(dit), "--vae", str(vae / "vae.safetensors"), *data]
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
