import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from clips.clip import load_clip
from clips.video import read_mp4
from model.checkpoint import save_checkpoint
from model.dit import Dit, DitConfig
from model.train.data import slot_table
from model.vae import Vae, VaeConfig
from service.cli.generate import generate

APP = typer.Typer()
APP.command()(generate)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    vae = Vae(VaeConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4))
    dit = Dit(DitConfig(4, (3, 4, 6), width=32, depth=1, heads=2, patch=2, slots=slot_table()))
    save_checkpoint(vae, {}, folder / "vae.safetensors")
    save_checkpoint(dit, {}, folder / "dit.safetensors")
    return folder


def _run(*arguments: str) -> tuple[int, str, str]:
    threads = torch.get_num_threads()
    result = CliRunner().invoke(APP, [*arguments, "--threads", str(threads)])
    return result.exit_code, result.stdout, result.stderr


def test_every_seed_leaves_a_clip_and_a_video_and_the_sheet_shows_all(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    common = ["--prompt", "a red orb and a dragon", "--weights", str(weights), "--steps", "2"]
    code, stdout, stderr = _run(*common, "--seeds", "2", "--first-seed", "5", "--sheet", "--out", str(out), "--json")
    assert code == 0, stderr
    report = json.loads(stdout)
    assert report["seeds"] == [5, 6]
    assert report["unknown_terms"] == ["dragon"]
    assert report["slots"]["color"] == "red"
    assert sorted(path.name for path in out.iterdir()) == sorted(Path(file).name for file in report["files"])
    clips = [load_clip(out / f"seed-{seed}.clip.npz") for seed in (5, 6)]
    assert not np.array_equal(clips[0].frames, clips[1].frames)
    assert clips[0].caption == "a red orb and a dragon"
    assert read_mp4(out / "seed-5.mp4")[0].shape == (9, 128, 192, 3)
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.height > 4 * 2 * 32


def test_one_seed_alone_equals_the_same_seed_among_others(weights: Path, tmp_path: Path) -> None:
    common = ["--prompt", "brick", "--weights", str(weights), "--steps", "2", "--json"]
    assert _run(*common, "--seeds", "3", "--out", str(tmp_path / "a"))[0] == 0
    assert _run(*common, "--first-seed", "2", "--out", str(tmp_path / "b"))[0] == 0
    ours, theirs = (load_clip(tmp_path / folder / "seed-2.clip.npz") for folder in ("a", "b"))
    assert np.array_equal(ours.frames, theirs.frames)
    assert np.array_equal(ours.depth, theirs.depth)


def test_people_are_told_what_was_not_understood(weights: Path, tmp_path: Path) -> None:
    code, stdout, stderr = _run(
        "--prompt", "a unicorn", "--weights", str(weights), "--steps", "1", "--camera", "orbit", "--out", str(tmp_path)
    )
    assert code == 0
    assert "not understood: unicorn" in stderr
    assert str(tmp_path / "seed-0.mp4") in stdout


@pytest.mark.parametrize("prompt", ["", "   ", "a" * 100_000])
def test_prompts_out_of_range_are_refused_with_a_message(weights: Path, tmp_path: Path, prompt: str) -> None:
    code, _, stderr = _run("--prompt", prompt, "--weights", str(weights), "--out", str(tmp_path))
    assert code == 1
    assert "prompt must have 1 to 4000 characters" in stderr
    assert "Traceback" not in stderr


def test_missing_weights_are_refused_with_a_message(tmp_path: Path) -> None:
    code, _, stderr = _run("--prompt", "orb", "--weights", str(tmp_path / "none"), "--out", str(tmp_path))
    assert code == 1
    assert "vae.safetensors" in stderr
