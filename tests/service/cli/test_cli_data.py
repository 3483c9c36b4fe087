"""`narthex data`: what it writes, prints and returns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clips.clip import save_clip
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from service.cli.app import COMMANDS
from service.cli.data import data_app
from tests.clips.footage.footage_samples import make_footage, raw_clip, write_dataset

SMALL = ("--size", "24x16", "--frames", "5")


def call(*arguments: object):
    return CliRunner().invoke(data_app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "clips"
    result = call("render", "--out", folder, "--clips", 3, "--first-seed", 40, *SMALL, "--flow")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"3 clips written to {folder}, 0 were there\n"
    return folder


def test_the_group_is_a_command_and_every_command_has_examples() -> None:
    assert COMMANDS["data"].module == "service.cli.data"
    for name in ("render", "import", "inspect", "card"):
        shown = call(name, "--help").stdout
        assert "Examples" in shown and f"narthex data {name}" in shown


def test_rendered_clips_are_those_of_their_seeds(rendered: Path) -> None:
    from clips.dungeon.render import render_sample

    folder = ClipFolder.open(rendered)
    assert folder.names() == ["seed-000040", "seed-000041", "seed-000042"]
    got, sample = folder.read("seed-000041"), render_sample(41, False, 5, 24, 16)
    np.testing.assert_array_equal(got.clip.frames, sample.clip.frames)
    np.testing.assert_array_equal(got.clip.depth, sample.clip.depth)
    np.testing.assert_array_equal(got.object_mask, sample.object_mask)
    np.testing.assert_array_equal(got.flow, sample.flow)
    assert got.clip.cameras.digest() == sample.clip.cameras.digest()
    assert got.slots == sample.room.slots and got.clip.caption == sample.clip.caption
    assert got.source == {"seed": 41, "held_out": False, "camera_path": str(sample.path.kind)}
    assert got.room_depth is not None and got.objects_depth is not None
    assert (got.room_depth >= got.objects_depth - 1e-4).all(), "objects only hide the room"


def test_rendering_goes_on_where_it_stopped(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (rendered / "seed-000041").rglob("*")}
    arguments = ("--out", rendered, "--clips", 4, "--first-seed", 40, *SMALL, "--flow", "--json")
    result = call("render", *arguments)
    assert json.loads(result.stdout) == {"out": str(rendered), "clips": 4, "written": 1, "kept": 3}
    assert {path: path.stat().st_mtime_ns for path in (rendered / "seed-000041").rglob("*")} == before


def test_another_recipe_is_not_mixed_in(rendered: Path) -> None:
    result = call("render", "--out", rendered, "--clips", 1, *SMALL)
    assert result.exit_code == 2
    assert "narthex data render:" in result.stderr and "holds another data set: source is" in result.stderr


def test_rooms_with_held_out_pairs_say_which(tmp_path: Path) -> None:
    result = call("render", "--out", tmp_path, "--clips", 2, "--pairs", "--held-out-paths", *SMALL, "--no-blockout")
    assert result.exit_code == 0, result.output
    for _, footage in ClipFolder.open(tmp_path).read_all():
        (first, a), (second, b) = footage.source["pair"]
        assert (footage.slots[first], footage.slots[second]) == (a, b)
        assert footage.source["held_out"] is True and footage.room_depth is None


def test_inspect_lists_counts_and_draws(rendered: Path, tmp_path: Path) -> None:
    result = call("inspect", rendered, "--sheet", tmp_path / "sheet.png", "--sheet-clips", 2)
    assert result.exit_code == 0, result.output
    assert "seed-000042" in result.stdout and "clips can be used, 0 cannot" in result.stdout
    assert re.search(r"frames  5 100 %\n\s+size  24x16 100 %\n\s+camera  ", result.stdout)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 5 * 48 and sheet.height > 2 * 6 * 32


def test_inspect_as_json_and_of_one_clip(rendered: Path) -> None:
    report = json.loads(call("inspect", rendered / "seed-000041", "--json").stdout)
    (row,) = report["clips"]
    assert row["name"] == "seed-000041" and row["frames"] == 5 and report["skipped"] == []
    assert row["knows"] == ["room_depth", "objects_depth", "flow"]
    assert 0 < row["depth_m"][0] < row["depth_m"][1] < row["depth_m"][2] < 20


def test_inspect_of_a_generated_clip(tmp_path: Path) -> None:
    save_clip(make_footage().clip, tmp_path / "seed-0.clip.npz")
    result = call("inspect", tmp_path / "seed-0.clip.npz", "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert "a red orb" in result.stdout and (tmp_path / "sheet.png").exists()


def test_inspect_names_a_bad_clip_and_fails(tmp_path: Path) -> None:
    folder = ClipFolder.create(tmp_path / "set", our_dataset("test", 10, 6, 8.0))
    for name in ("a", "b"):
        folder.write(name, make_footage())
    (tmp_path / "set" / "a" / "depth.npz").unlink()
    result = call("inspect", tmp_path / "set")
    assert result.exit_code == 1
    assert "clip a: depth: no depth.npz, depth.npy or depth/ is there" in result.stderr
    assert "1 clips can be used, 1 cannot" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "none"), "narthex data inspect: none: no such folder"),
        (("render", "--out", "x", "--size", "96"), "--size: got '96', expected WIDTHxHEIGHT"),
        (("render", "--out", "x", "--size", "0x0"), "--size: got '0x0', expected WIDTHxHEIGHT"),
        (("render", "--out", "x", "--depth-units-per-m", "0"), "--depth-units-per-m: got 0.0"),
        (("import", "none", "y"), "none: neither dataset.json nor transforms.json is there"),
        (("import", "none", "y", "--source-fps", "30", "--system", "godot"), "--system: system: got 'godot'"),
        (("card", "none"), "none: no such folder"),
        (("card", "--clips", "1", "--size", "24x16", "--picture", "p.gif"), "--picture: got 'p.gif'"),
    ],
)
def test_wrong_input_is_one_line(arguments, message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_import_brings_captures_to_the_size_of_training(tmp_path: Path) -> None:
    footage = make_footage(frames=12, width=40, height=20)
    source = write_dataset(tmp_path / "raw", width=None, height=None, fps=8, cameras={"system": "narthex"})
    cameras = {"camera_to_world": footage.clip.cameras.camera_to_world.tolist(), "fov_x_deg": 75}
    raw_clip(source / "my hall", footage, cameras)
    short = make_footage(frames=2)
    cameras = {"camera_to_world": short.clip.cameras.camera_to_world.tolist(), "fov_x_deg": 75}
    raw_clip(source / "short", short, cameras)
    raw_clip(source / "bad", short, {**cameras, "fov_x_deg": 0})
    result = call("import", source, tmp_path / "out", *SMALL)
    assert result.exit_code == 0, result.output
    assert "2 clips written" in result.stdout and "2 skipped, 2 frames at the ends" in result.stdout
    assert "skipped: clip bad: cameras.json: fov_x_deg" in result.stderr
    assert "skipped: clip short: is 0.25 s long (2 frames), 0.62 s are needed" in result.stderr
    folder = ClipFolder.open(tmp_path / "out")
    assert folder.names() == ["my-hall-00", "my-hall-01"]
    got = folder.read("my-hall-01")
    assert got.clip.frames.shape == (5, 16, 24, 3) and got.clip.caption == "a red orb"
    assert got.source == {"capture": "my hall", "part": 1}
    assert got.clip.cameras.Ks[0, 0, 0] == pytest.approx(footage.clip.cameras.Ks[0, 0, 0] * 16 / 20)
    np.testing.assert_allclose(got.clip.cameras.viewmats, footage.clip.cameras.viewmats[5:10], atol=1e-12)
    again = json.loads(call("import", source, tmp_path / "out", *SMALL, "--json").stdout)
    assert (again["written"], again["kept"], len(again["skipped"])) == (0, 2, 2)


@pytest.mark.parametrize("more", [(), ("--json",), ("--sheet", "sheet.png")])
def test_inspect_of_a_data_set_without_clips_says_so_and_fails(tmp_path: Path, monkeypatch, more: tuple) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "set")
    result = call("inspect", "set", *more)
    assert result.exit_code == 1
    assert result.stderr == (
        "narthex data inspect: set: has no clips; each is a folder of its own in it, as docs/clip-folders.md shows\n"
    )
    assert not (tmp_path / "sheet.png").exists()
    if more == ("--json",):
        assert json.loads(result.stdout)["clips"] == []


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ((), "set: has no clips; each is a folder of its own in it"),
        (("empty", "bare"), "set: none of its clips can be used (2 there); `narthex data inspect set` says why"),
    ],
)
def test_a_data_set_without_clips_has_no_card_and_is_no_import(tmp_path: Path, monkeypatch, clips, message) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "set")
    for name in clips:
        (tmp_path / "set" / name).mkdir()
    card = call("card", "set", "--out", "card.md", "--picture", "card.png")
    assert (card.exit_code, card.stdout) == (2, "")
    assert f"narthex data card: {message}" in card.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"], "nothing is written"
    for more in ((), ("--json",)):
        brought = call("import", "set", "out", *more)
        assert brought.exit_code == 1
        assert f"narthex data import: {message}" in brought.stderr


def test_a_sheet_of_clips_that_cannot_be_used_is_none_and_their_problems_are_told(tmp_path: Path) -> None:
    (write_dataset(tmp_path / "set") / "empty").mkdir()
    result = call("inspect", tmp_path / "set", "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert "clip empty: no frames/ folder and no rgb.mp4" in result.stderr
    assert "0 clips can be used, 1 cannot" in result.stdout and "sheet.png" not in result.stdout


def test_an_import_of_nothing_usable_fails(tmp_path: Path) -> None:
    source = write_dataset(tmp_path / "raw")
    (source / "empty").mkdir()
    result = call("import", source, tmp_path / "out")
    assert result.exit_code == 1
    assert "skipped: clip empty: no frames/ folder and no rgb.mp4; write one of them" in result.stderr


def test_two_captures_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    footage = make_footage(frames=5)
    source = write_dataset(tmp_path / "raw")
    cameras = {"camera_to_world": footage.clip.cameras.camera_to_world.tolist(), "fov_x_deg": 75}
    for name in ("a b", "a-b"):
        raw_clip(source / name, footage, cameras)
    result = call("import", source, tmp_path / "out", "--size", "10x6", "--frames", "5")
    assert "clip a-b: capture 'a b' has that name already; rename 'a-b'" in result.stderr
    assert "1 clips written" in result.stdout


def test_a_card_of_a_folder(rendered: Path, tmp_path: Path) -> None:
    result = call("card", rendered, "--out", tmp_path / "card.md", "--picture", tmp_path / "card.webp")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "card.md").read_text()
    clips = len(ClipFolder.open(rendered).names())
    assert f"- clips: {clips}\n" in text and "5 frames of 24x16 at 8 frames per second" in text
    with Image.open(tmp_path / "card.webp") as picture:
        assert "](card.webp)" in text and picture.width > 100
    assert f"narthex data card {rendered} --out {tmp_path / 'card.md'}" in text


def test_a_full_disk_while_rendering_is_said_plainly(tmp_path: Path, monkeypatch) -> None:
    import errno

    from clips.footage import clip_folder

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clip_folder, "write_cameras", full)
    result = call("render", "--out", tmp_path / "set", "--clips", 2, *SMALL)
    assert result.exit_code == 1
    assert "narthex data render: clip seed-000000: the disk is full; free some space" in result.stderr
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["dataset.json"]
