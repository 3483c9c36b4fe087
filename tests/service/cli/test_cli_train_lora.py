import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from clips.dungeon.attributes import SLOTS
from clips.dungeon.render import render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage
from model.checkpoint import load_dit, save_checkpoint
from model.dit import Dit, DitConfig
from model.generate import Generator
from model.lora import WornLoras
from model.lora_file import load_lora
from model.revision import weights_revision
from model.vae import Vae, VaeConfig
from service.cli.app import main
from service.cli.generate_options import put_on_loras
from service.cli.train import train_app


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks that make 9 frames of 24x16."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    vae = VaeConfig(4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=4)
    slots = tuple((name, tuple(map(str, words))) for name, words in SLOTS.items())
    save_checkpoint(Vae(vae), {}, folder / "vae.safetensors")
    dit = DitConfig(4, (3, 2, 3), width=32, depth=1, heads=2, patch=1, slots=slots)
    save_checkpoint(Dit(dit), {}, folder / "dit.safetensors")
    return folder


def _bytes(generator: Generator) -> list[bytes]:
    return [tensor.numpy(force=True).tobytes() for tensor in generator.dit.state_dict().values()]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-one clips, one of them damaged, one without a word."""
    folder = ClipFolder.create(tmp_path_factory.mktemp("clips") / "set", our_dataset("style", 24, 16, 8.0))
    sample = render_sample(5, frames=9, width=24, height=16)
    footage = Footage(sample.clip, slots=sample.room.slots)
    for index in range(21):
        folder.write(f"clip-{index:02d}", footage)
    (folder.folder / "clip-03" / "cameras.json").write_text("[]")
    (folder.folder / "clip-04" / "slots.json").unlink()
    (folder.folder / "clip-04" / "captions.json").unlink()
    return folder.folder


def _run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(train_app, ["lora", *arguments, "--json"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_an_adapter_is_trained_resumed_and_fits_its_base(weights: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "ink"
    common = ["--clips", str(clips), "--weights", str(weights), "--out", str(out), "--rank", "2"]
    first = _run(*common, "--steps", "20")
    assert (first["clips"], first["uncaptioned"], first["steps"]) == (20, 1, 20)
    assert list(first["skipped"]) == ["clip-03"]
    assert "cameras.json" in first["skipped"]["clip-03"]
    assert _run(*common, "--steps", "22", "--resume")["steps"] == 22
    lora = load_lora(Path(first["adapter"]))
    assert (lora.config.rank, lora.config.alpha) == (2, 4.0)
    assert lora.base_revision == weights_revision(weights)
    assert {"clips": 20, "skipped": 1, "uncaptioned": 1, "steps": 22}.items() <= dict(lora.recipe).items()
    WornLoras(load_dit(weights / "dit.safetensors"), weights_revision(weights)).put_on("style", lora)
    assert {path.name for path in out.iterdir()} >= {"ink.safetensors", "log.jsonl", "curve.png", "state.pt"}


def test_without_json_the_skipped_clip_is_said(weights: Path, clips: Path, tmp_path: Path) -> None:
    common = ["--clips", str(clips), "--weights", str(weights), "--out", str(tmp_path)]
    result = CliRunner().invoke(train_app, ["lora", *common, "--steps", "1", "--prior-rows", "0"])
    assert result.exit_code == 0, result.output
    assert "skipped: clip clip-03: cameras.json" in result.output
    assert "1 clips say none of the model's words" in result.output
    assert "val_loss" in result.stdout


def test_layers_are_chosen_by_pattern(weights: Path, clips: Path, tmp_path: Path) -> None:
    common = ["--clips", str(clips), "--weights", str(weights), "--out", str(tmp_path / "out"), "--steps", "1"]
    report = _run(*common, "--rank", "2", "--alpha", "3", "--layer", "final", "--layer", "embed_latents")
    lora = load_lora(Path(report["adapter"]))
    assert set(lora.factors) == {"final", "embed_latents"}
    assert (lora.config.targets, lora.config.alpha) == (("final", "embed_latents"), 3.0)


def test_two_adapters_are_worn_at_once_and_taken_off_to_the_byte(weights: Path, clips: Path, tmp_path: Path) -> None:
    # Of networks that nothing has trained, the last layer alone has a gradient.
    common = ["--clips", str(clips), "--weights", str(weights), "--layer", "final", "--steps", "2", "--prior-rows", "0"]
    files = [Path(_run(*common, "--out", str(tmp_path / name))["adapter"]) for name in ("ink", "chalk")]
    generator = Generator.load(weights)
    plain, before = generator.revision, _bytes(generator)
    put_on_loras(generator, [f"{files[0]}:0.8", f"{files[1]}:-0.5"])
    assert generator.loras.weights == {"ink": 0.8, "chalk": -0.5}
    assert generator.revision != plain and _bytes(generator) != before
    generator.loras.take_off("ink")
    assert generator.loras.weights == {"chalk": -0.5}
    generator.loras.take_off("chalk")
    assert generator.revision == plain and _bytes(generator) == before
    worn = ["--lora", f"{files[0]}:0.8", "--lora", str(files[1])]
    with pytest.raises(SystemExit) as exited:
        main(["generate", "--prompt", "an orb", "--weights", str(weights), "--out", str(tmp_path / "both"), *worn])
    assert exited.value.code == 0
    facts = json.loads((tmp_path / "both" / "seed-0.json").read_text())
    assert facts["loras"] == {"ink": 0.8, "chalk": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--clips", "nowhere"], "narthex: nowhere: no such folder"),
        (["--steps", "1", "--out", "{out}", "--clips", "{few}"], "an adapter needs 20 or more; --few"),
        (["--weights", "nowhere"], "nowhere/vae.safetensors: no such file"),
        (["--few", "--clips", "{two}", "--layer", "nothing.*"], "pattern 'nothing.*' chooses no linear layer"),
        (["--few", "--clips", "{two}", "--alpha", "nan"], "alpha must be within"),
        (["--minutes", "1"], "give --minutes or --steps, one of them"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(
    weights: Path, tmp_path: Path, change: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ClipFolder.create(tmp_path / "few", our_dataset("few", 24, 16, 8.0))
    two = ClipFolder.create(tmp_path / "two", our_dataset("two", 24, 16, 8.0))
    clip = Footage(render_sample(5, frames=9, width=24, height=16).clip)
    for folder, name in ((few, "clip"), (two, "first"), (two, "second")):
        folder.write(name, clip)
    given = [text.format(out=tmp_path / "out", few=few.folder, two=two.folder) for text in change]
    arguments = ["--clips", str(few.folder), "--weights", str(weights), "--out", str(tmp_path / "out"), "--steps", "1"]
    with pytest.raises(SystemExit) as exited:
        main(["train", "lora", *arguments, *given])
    assert exited.value.code in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
