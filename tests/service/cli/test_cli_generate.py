import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from clips.camera_path import CameraPath
from clips.clip import load_clip
from clips.dungeon.attributes import SLOTS
from clips.dungeon.blockout import Graybox
from clips.dungeon.graybox import graybox_depth
from clips.video import read_mp4
from model.checkpoint import load_dit, save_checkpoint
from model.dit import Dit, DitConfig
from model.lora import Lora, LoraConfig, target_layers
from model.lora_file import save_lora
from model.revision import weights_revision
from model.vae import Vae, VaeConfig
from service.cli.generate import generate
from service.cli.generate_options import _file_and_weight

APP = typer.Typer()
APP.command()(generate)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    vae = Vae(
        VaeConfig(
            latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8
        )
    )
    slots = tuple((name, tuple(map(str, words))) for name, words in SLOTS.items())
    dit = Dit(DitConfig(4, (3, 4, 6), width=32, depth=1, heads=2, patch=2, slots=slots))
    with torch.no_grad():
        for parameter in dit.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
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
        assert sheet.height > 6 * 2 * 32, "frames, depth and control of two clips"
    assert report["controls"] == ["layout", "layout"]
    facts = json.loads((out / "seed-6.json").read_text())
    assert (facts["seed"], facts["sampler"], facts["unknown_terms"]) == (6, "flow map", ["dragon"])
    assert facts["control"]["kind"] == "layout"
    assert Graybox.from_json(facts["control"]["graybox"]).proxies


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
    assert "steered by a layout sampled from the prompt; 1 steps, flow map" in stderr
    assert str(tmp_path / "seed-0.mp4") in stdout


@pytest.mark.parametrize("prompt", ["", "   ", "\u200b\ufeff", "a" * 100_000])
def test_prompts_out_of_range_are_refused_with_a_message(weights: Path, tmp_path: Path, prompt: str) -> None:
    code, _, stderr = _run("--prompt", prompt, "--weights", str(weights), "--out", str(tmp_path))
    assert code == 2
    assert "prompt must have" in stderr and f"got {len(prompt)}" in stderr
    assert "Traceback" not in stderr


def test_missing_weights_are_refused_with_a_message(tmp_path: Path) -> None:
    code, _, stderr = _run("--prompt", "orb", "--weights", str(tmp_path / "none"), "--out", str(tmp_path))
    assert code == 2
    assert "vae.safetensors" in stderr


def _clip(weights: Path, out: Path, *options: str) -> np.ndarray:
    code, _, stderr = _run(
        "--prompt", "a red orb", "--weights", str(weights), "--steps", "1", "--out", str(out), *options
    )
    assert code == 0, stderr
    return load_clip(out / "seed-0.clip.npz").frames


ROOM = (
    "width_m: 5\nheight_m: 3\ndepth_m: 6\nobjects:\n  - {kind: sphere, half_m: [1, 1, 1], position_m: [0, -1, 3.5]}\n"
)


def test_every_control_gives_another_clip_and_a_stored_layout_can_be_given_again(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "room.yaml").write_text(ROOM)
    depth = graybox_depth(Graybox(5.0, 3.0, 6.0), CameraPath().cameras(9, 48, 32), np.arange(9) / 8)
    np.save(tmp_path / "depth.npy", depth)
    clips = {
        "none": _clip(weights, tmp_path / "none", "--control", "none"),
        "layout": _clip(weights, tmp_path / "layout", "--control", "layout"),
        "blockout": _clip(weights, tmp_path / "blockout", "--graybox", str(tmp_path / "room.yaml")),
        "depth": _clip(weights, tmp_path / "depth", "--control-depth", str(tmp_path / "depth.npy")),
    }
    for kind, clip in clips.items():
        assert json.loads((tmp_path / kind / "seed-0.json").read_text())["control"]["kind"] == kind
        assert not any(np.array_equal(clip, clips[other]) for other in clips if other != kind)
    again = _clip(weights, tmp_path / "again", "--graybox", str(tmp_path / "layout" / "seed-0.json"))
    facts = json.loads((tmp_path / "again" / "seed-0.json").read_text())
    first = json.loads((tmp_path / "layout" / "seed-0.json").read_text())
    assert facts["control"]["graybox"] == first["control"]["graybox"]
    assert len(again) == 9


def test_two_windows_and_a_given_first_frame(weights: Path, tmp_path: Path) -> None:
    long = _clip(weights, tmp_path / "long", "--frames", "17", "--camera", "still")
    assert np.array_equal(long[:9], _clip(weights, tmp_path / "short", "--camera", "still"))
    clip = tmp_path / "long" / "seed-0.clip.npz"
    _clip(weights, tmp_path / "given", "--first-frame", str(clip), "--camera", "still")
    facts = json.loads((tmp_path / "given" / "seed-0.json").read_text())
    assert len(facts["first_frame"]) == 64


def test_an_adapter_changes_the_clip_by_its_weight(weights: Path, tmp_path: Path) -> None:
    revision = weights_revision(weights)
    dit = load_dit(weights / "dit.safetensors")
    layers = {name: layer for name, layer in target_layers(dit).items() if "attention_out" in name}
    factors = {
        name: (torch.ones(2, layer.in_features), torch.ones(layer.out_features, 2)) for name, layer in layers.items()
    }
    save_lora(Lora(LoraConfig(rank=2), revision, factors), tmp_path / "style.safetensors")
    plain = _clip(weights, tmp_path / "plain")
    style = str(tmp_path / "style.safetensors")
    assert not np.array_equal(plain, _clip(weights, tmp_path / "full", "--lora", style))
    assert not np.array_equal(
        _clip(weights, tmp_path / "full", "--lora", style), _clip(weights, tmp_path / "half", "--lora", f"{style}:0.5")
    )
    assert np.array_equal(plain, _clip(weights, tmp_path / "zero", "--lora", f"{style}:0"))
    facts = json.loads((tmp_path / "half" / "seed-0.json").read_text())
    assert facts["model_revision"].startswith(f"{revision}+")
    assert facts["loras"] == {"style": 0.5}
    common = ["--prompt", "orb", "--weights", str(weights), "--out", str(tmp_path / "twice")]
    code, _, stderr = _run(*common, "--lora", style, "--lora", f"{style}:0.5")
    assert (code, "two files are named 'style'" in stderr) == (2, True)


def test_what_does_not_fit_the_cameras_is_made_without_and_said(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cli.generate.CameraPath", lambda kind: CameraPath(kind, start_z_m=5.0, distance_m=5.0))
    code, _, stderr = _run("--prompt", "orb", "--weights", str(weights), "--steps", "1", "--out", str(tmp_path))
    assert code == 0
    assert "steered by the prompt alone" in stderr
    assert "no layout fits these cameras, so none is used: no room of the layout prior" in stderr


def test_a_blockout_that_contradicts_the_prompt_is_said(weights: Path, tmp_path: Path) -> None:
    room, out = tmp_path / "room.yaml", tmp_path / "out"
    solid = "half_m: [0.3, 0.4, 0.3], position_m: [0, -0.4, 4.5]"
    room.write_text(f"width_m: 5\nheight_m: 3\ndepth_m: 6\nobjects:\n  - {{kind: cone, {solid}}}\n")
    common = ["--weights", str(weights), "--steps", "1", "--graybox", str(room), "--out", str(out)]
    said = "the blockout contradicts the prompt: no sphere for the orb; no cylinder for the barrel"
    code, _, stderr = _run("--prompt", "an orb and a barrel", *common)
    assert (code, said in stderr) == (0, True)
    code, stdout, _ = _run("--prompt", "an orb and a barrel", *common, "--json")
    assert said in json.loads(stdout)["notes"][0]
    assert said in json.loads((out / "seed-0.json").read_text())["control"]["note"]
    code, stdout, _ = _run("--prompt", "a red cone", *common, "--json")
    assert json.loads(stdout)["notes"] == []


BAD = {
    "two controls": (["--graybox", "room.yaml", "--control", "none"], "give one of them"),
    "two files": (["--graybox", "room.yaml", "--control-depth", "d.npy"], "give one of them"),
    "no file": (["--graybox", "none.yaml"], "No such file"),
    "no mapping": (["--graybox", "list.yaml"], "allowed a mapping with width_m"),
    "wrong field": (["--graybox", "wrong.yaml"], "wrong.yaml:2: heigth_m: got an unknown field, allowed in this file"),
    "wrong stored": (["--graybox", "stored.json"], "got a stored blockout"),
    "narrow": (["--graybox", "narrow.yaml"], "the cameras do not fit the blockout"),
    "no depth": (["--control-depth", "room.yaml"], "not a .npy or .npz"),
    "depth size": (["--control-depth", "d.npy"], "(9, 32, 48), got (9, 32, 40)"),
    "depth NaN": (["--control-depth", "nan.npy"], "frames [1] are not"),
    "frames": (["--frames", "16"], "9 or 17 frames of 48x32, got a spec of 16 frames"),
    "no clip": (["--first-frame", "room.yaml"], "not a readable clip"),
    "no adapter": (["--lora", "room.yaml:2"], "room.yaml: cut short or no safetensors"),
    "seed 2**63": (["--first-seed", str(2**63)], "seed must be within [0, 2**63)"),
    "seed 2**70": (["--first-seed", str(2**70)], "seed must be within [0, 2**63)"),
    "last seed": (["--first-seed", str(2**63 - 1), "--seeds", "2"], "seed must be within [0, 2**63)"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=list(BAD))
def test_wrong_options_are_refused_before_anything_is_made(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("room.yaml").write_text(ROOM)
    Path("narrow.yaml").write_text(ROOM.replace("depth_m: 6", "depth_m: 1").split("objects")[0])
    Path("wrong.yaml").write_text(ROOM.replace("height_m", "heigth_m"))
    Path("list.yaml").write_text("[1, 2]")
    Path("stored.json").write_text('{"control": {"kind": "layout", "graybox": {"width_m": 5, "proxies": []}}}')
    depth = np.ones((9, 32, 48), np.float32)
    np.save("d.npy", depth[:, :, :40])
    depth[1, 0, 0] = np.nan
    np.save("nan.npy", depth)
    common = ["--prompt", "orb", "--weights", str(weights), "--steps", "1", "--out", "out"]
    code, _, stderr = _run(*common, *options)
    assert code == 2, stderr
    assert message in stderr
    assert "Traceback" not in stderr
    assert not list(Path("out").iterdir())


def test_a_negative_seed_is_refused(weights: Path, tmp_path: Path) -> None:
    code, _, stderr = _run("--prompt", "orb", "--weights", str(weights), "--out", str(tmp_path), "--first-seed", "-1")
    assert code == 2
    assert "greater than or equal to 0" in " ".join(stderr.replace("│", " ").split())


@pytest.mark.parametrize("prompt", ["кирпичная комната", "qqq zzz xyzzy", "🔥🔥", "一间石室"])
def test_prompts_in_any_script_are_made(weights: Path, tmp_path: Path, prompt: str) -> None:
    common = ["--prompt", prompt, "--weights", str(weights), "--steps", "1", "--control", "none"]
    code, stdout, stderr = _run(*common, "--out", str(tmp_path), "--json")
    assert code == 0, stderr
    report = json.loads(stdout)
    said = any(value is not None for value in report["slots"].values())
    assert said or report["unknown_terms"], "neither understood nor told of"


@pytest.mark.parametrize("damage", ["truncated", "version", "nan"])
def test_damaged_weights_are_refused_by_name(weights: Path, tmp_path: Path, damage: str) -> None:
    broken = tmp_path / "weights"
    shutil.copytree(weights, broken)
    path = broken / "dit.safetensors"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "version":
        path.write_bytes(re.sub(rb'(schema_version\\":) \d', rb"\1 9", data))
    else:
        path.write_bytes(data[:-64] + b"\xff\x7f" * 32)
    code, _, stderr = _run("--prompt", "orb", "--weights", str(broken), "--out", str(tmp_path / "out"))
    assert code == 2
    assert "dit.safetensors" in stderr
    assert {"truncated": "cut short", "version": "version 9", "nan": "must be finite"}[damage] in stderr


@pytest.mark.parametrize(
    ("written", "file", "weight"),
    [
        ("moss.safetensors", "moss.safetensors", 1.0),
        ("moss.safetensors:0.5", "moss.safetensors", 0.5),
        ("styles:old/moss.safetensors", "styles:old/moss.safetensors", 1.0),
        (":0.5", ":0.5", 1.0),
    ],
)
def test_an_adapter_is_a_file_and_perhaps_a_weight(written: str, file: str, weight: float) -> None:
    assert _file_and_weight(written) == (Path(file), weight)


def test_what_a_killed_run_left_half_written_is_removed(weights: Path, tmp_path: Path) -> None:
    old, new = (tmp_path / f".seed-0.clip.npz.{token}.tmp" for token in ("0123456789ab", "ba9876543210"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (old.stat().st_mtime - 7200,) * 2)
    _clip(weights, tmp_path)
    assert not old.exists()
    assert new.exists(), "another run may be writing it now"


def test_a_clip_that_may_not_be_written_is_one_line_and_leaves_nothing(weights: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        code, _, stderr = _run("--prompt", "orb", "--steps", "1", "--weights", str(weights), "--out", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    assert "File too large" in stderr and "seed-0.clip.npz" in stderr and "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("cores", "options", "threads"),
    [(1, [], 1), (2, [], 2), (64, [], 2), (1, ["--threads", "3"], 3), (64, ["--threads", "8"], 8)],
)
def test_threads_are_the_cores_at_hand_at_most_two_unless_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, options: list[str], threads: int
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    none = ["--prompt", "orb", "--out", str(tmp_path / "out"), "--weights", str(tmp_path / "none")]
    assert CliRunner().invoke(APP, [*none, *options]).exit_code == 2
    assert asked == [threads]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no say in which cores are used")
def test_on_one_core_one_thread_generates(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import torch, typer; from service.cli.generate import generate\n"
        "torch.set_num_threads = lambda threads: print('threads', threads)\n"
        "app = typer.Typer(); app.command()(generate); app()"
    )
    options = ["--prompt", "orb", "--out", str(tmp_path / "out"), "--weights", str(tmp_path / "none")]
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, *options]
    done = subprocess.run(command, cwd=root, env=free, capture_output=True, text=True, check=False)
    assert done.stdout == "threads 1\n", done.stderr
