"""`narthex train vae|latents|dit --footage`: a clip folder trains as rendered rooms do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from clips.dungeon.render import render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage
from model.checkpoint import load_checkpoint
from model.generate import Generator
from model.train.dit import dit_config
from model.train.vae import VAE_CONFIG
from service.cli.app import main
from service.cli.train import train_app

FRAMES, WIDTH, HEIGHT = 17, 48, 32


def footage(seed: int, width: int = WIDTH, height: int = HEIGHT, frames: int = FRAMES) -> Footage:
    sample = render_sample(seed, frames=frames, width=width, height=height)
    return Footage(sample.clip, slots=sample.room.slots, object_mask=sample.object_mask)


def write(folder: Path, first: int, count: int) -> Path:
    clips = ClipFolder.create(folder, our_dataset("halls", WIDTH, HEIGHT, 8.0))
    for seed in range(first, first + count):
        clips.write(f"hall-{seed}", footage(seed))
    return folder


@pytest.fixture(scope="module")
def halls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips, one without its depth."""
    folder = write(tmp_path_factory.mktemp("footage") / "halls", 0, 6)
    (folder / "hall-3" / "depth.npz").unlink()
    return folder


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(VAE_CONFIG, latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, detail_width=4)
    monkeypatch.setattr("model.train.vae.VAE_CONFIG", small)
    monkeypatch.setattr(
        "model.train.dit.dit_config", lambda store: replace(dit_config(store), width=32, depth=1, heads=2)
    )


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(train_app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line in which `narthex train` says no."""
    with pytest.raises(SystemExit) as exited:
        main(["train", *arguments])
    assert exited.value.code != 0
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


@pytest.mark.usefixtures("small_networks")
def test_footage_trains_both_networks_which_then_generate(halls: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    common = ["--out", str(out), "--clips-dir", str(tmp_path / "clips"), "--footage", str(halls)]
    first = run("vae", *common, "--steps", "1")
    assert (first["clips"], first["held_out_clips"], first["steps"]) == (4, 1, 1)
    assert list(first["skipped"]) == ["hall-3"] and "depth" in first["skipped"]["hall-3"]
    assert run("vae", *common, "--steps", "2", "--resume")["steps"] == 2
    recipe = load_checkpoint(out / "vae.safetensors", "vae").recipe
    assert recipe["footage"].startswith("clip folder, 4 clips of 17 frames") and "renderer" not in recipe
    dit = ["--vae", str(out / "vae.safetensors"), "--latents", str(tmp_path / "latents"), "--footage", str(halls)]
    filled = CliRunner().invoke(train_app, ["latents", *dit, "--fill", "3"])
    assert filled.exit_code == 0, filled.output
    assert "4 clips to train on, 1 held out, 1 skipped" in filled.output
    assert "skipped: clip hall-3: depth" in filled.output
    done = sorted(np.load(path).tolist() for path in (tmp_path / "latents").glob("*/footage-*/done.npy"))
    assert done == [[True], [True, True, True, False]]
    trained = run("dit", "--out", str(tmp_path / "dit"), *dit, "--steps", "2")
    assert (trained["clips"], trained["held_out_clips"], list(trained["skipped"])) == (4, 1, ["hall-3"])
    recipe = load_checkpoint(tmp_path / "dit" / "dit.safetensors", "dit").recipe
    assert recipe["clips"] == 4 and recipe["source"].startswith("clip folder, 4 clips")
    shutil.copy(tmp_path / "dit" / "dit.safetensors", out)
    assert str(Generator.load(out).supported) == "17 frames of 48x32"


@pytest.mark.usefixtures("small_networks")
def test_a_vae_looks_at_and_validates_on_fewer_clips_than_it_could_show(
    halls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.train.loop import TrainingPlan

    def plan(out: Path, _minutes: float | None, steps: int | None, **_: object) -> TrainingPlan:
        return TrainingPlan(out, steps=steps, look_every=1, log_every=1)

    monkeypatch.setattr("service.cli.train.training_plan", plan)
    run("vae", "--out", str(tmp_path), "--clips-dir", str(tmp_path), "--footage", str(halls), "--steps", "1")
    assert (tmp_path / "look-000001.png").exists()
    (line,) = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert line["val_psnr_db"] > 0.0


@pytest.mark.usefixtures("small_networks")
def test_a_folder_of_its_own_to_validate_on(halls: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", 20, 2)
    (other / "hall-21" / "cameras.json").write_text("[]")
    folders = ["--footage", str(halls), "--held-out-footage", str(other), "--clips-dir", str(tmp_path / "clips")]
    report = run("vae", "--out", str(tmp_path / "vae"), *folders, "--steps", "1")
    assert (report["clips"], report["held_out_clips"]) == (5, 1)
    assert list(report["skipped"]) == ["hall-3"] and list(report["held_out_skipped"]) == ["hall-21"]
    record = json.loads((tmp_path / "vae" / "footage.json").read_text())
    assert record["held_out"]["clips"] == ["hall-20"] and len(record["train"]["clips"]) == 5
    assert sorted(record["skipped"]) == ["hall-21", "hall-3"]


@pytest.mark.usefixtures("small_networks")
def test_a_training_goes_on_with_the_clips_that_it_was_begun_on(
    halls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--out", str(tmp_path / "vae"), "--clips-dir", str(tmp_path / "clips"), "--resume"]
    copied = shutil.copytree(halls, tmp_path / "halls")
    run("vae", *common, "--footage", str(copied), "--steps", "1")
    error = refused(capsys, "vae", *common, "--clips", "2", "--held-out", "1", "--steps", "2")
    assert "was begun on footage (clip folder, 4 clips" in error and "wanted rendered rooms" in error
    (copied / "hall-1" / "slots.json").unlink()
    (copied / "hall-2" / "slots.json").unlink()
    error = refused(capsys, "vae", *common, "--footage", str(copied), "--steps", "2")
    assert "name another --out, or give it the clips that it was begun on" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--held-out-footage", "x"], "--held-out-footage goes with --footage"),
        (["--frames", "17"], "--frames goes with --footage"),
        (["--footage", "x", "--clips", "5"], "with --footage every usable clip is taken"),
        (["--footage", "x", "--held-out-footage", "y", "--held-out", "2"], "give --held-out or --held-out-footage"),
        (["--footage", "{missing}"], "no such folder"),
        (["--footage", "{empty}"], "has no clip; every clip is a folder in it"),
        (["--footage", "{halls}", "--held-out", "5"], "5 usable clips, and 5 of them held out leave none to train on"),
        (["--footage", "{halls}", "--held-out-footage", "{halls}"], "names the clips that are trained on"),
        (["--footage", "{halls}", "--frames", "33"], "none of its 6 clips can be used"),
        (["--footage", "{halls}", "--frames", "12"], "clips of 12 frames: the networks take"),
        (["--footage", "{odd}"], "clips are 40x30, the networks take multiples of 16 pixels"),
        (["--footage", "{odd}"], "DEST --size 32x16`"),
        (["--footage", "{halls}", "--held-out-footage", "{wide}"], "its clips are 64x32, those of"),
    ],
)
@pytest.mark.parametrize("network", ["vae", "dit"])
def test_what_cannot_train_is_said_before_anything_is_made(
    halls: Path,
    tmp_path: Path,
    network: str,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = {name: tmp_path / name for name in ("missing", "empty", "odd", "wide")}
    ClipFolder.create(folders["empty"], our_dataset("empty", WIDTH, HEIGHT, 8.0))
    for name, width, height in (("odd", 40, 30), ("wide", 64, 32)):
        clips = ClipFolder.create(folders[name], our_dataset(name, width, height, 8.0))
        clips.write("hall", footage(1, width, height))
        clips.write("room", footage(2, width, height))
    given = [text.format(halls=halls, **folders) for text in arguments]
    kept = ["--clips-dir" if network == "vae" else "--latents", str(tmp_path / "kept")]
    monkeypatch.setenv("COLUMNS", "400")
    error = refused(capsys, network, "--out", str(tmp_path / "out"), *kept, "--steps", "1", *given)
    assert message in error
    assert not (tmp_path / "kept").exists() and not (tmp_path / "out").exists()


def test_help_says_how_footage_is_given() -> None:
    for name in ("vae", "latents", "dit"):
        text = CliRunner().invoke(train_app, [name, "--help"], env={"COLUMNS": "200"}).output
        assert "--footage" in text and "--held-out-footage" in text and "--frames" in text
