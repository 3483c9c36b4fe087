import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from clips.clip import save_clip
from recon.export.fourdgs_file import read_4dgs
from recon.export.ply import read_ply
from service.cli.reconstruct import reconstruct
from tests.recon.conftest import cameras_along, render_room


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(reconstruct)
    return app


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    path = tmp_path / "room.clip.npz"
    save_clip(render_room(cameras_along(4), np.arange(4) / 8.0, ball=True), path)
    return path


def test_it_writes_the_scene_and_says_what_it_is(app: typer.Typer, clip_file: Path, tmp_path: Path) -> None:
    out, ply, sheet = tmp_path / "scene.4dgs", tmp_path / "scene.ply", tmp_path / "sheet.png"
    arguments = [str(clip_file), "--out", str(out), "--ply", str(ply), "--sheet", str(sheet), "--quality", "draft"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["splats"] == len(read_4dgs(out)) > 500
    assert 0 < len(read_ply(ply)) <= report["splats"]
    assert report["bytes"] == out.stat().st_size and report["ply_bytes"] == ply.stat().st_size
    assert report["psnr_db"] > 25 and report["elapsed_s"] > 0
    assert set(report["stages_s"]) == {"check", "depth", "split", "static", "fill", "motion", "colors", "prune"}
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_it_speaks_to_people_too(app: typer.Typer, clip_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scene.4dgs"
    done = CliRunner().invoke(app, [str(clip_file), "--out", str(out), "--quality", "draft"])
    assert done.exit_code == 0, done.output
    assert "splats" in done.stdout and "PSNR on the clip" in done.stdout and str(out) in done.stdout


@pytest.mark.parametrize("content", [None, b"", b"no clip at all"])
def test_what_is_no_clip_is_named(app: typer.Typer, tmp_path: Path, content: bytes | None) -> None:
    path, out = tmp_path / "bad.npz", tmp_path / "scene.4dgs"
    if content is not None:
        path.write_bytes(content)
    done = CliRunner().invoke(app, [str(path), "--out", str(out)])
    assert done.exit_code == 2
    assert str(path) in done.stderr and "Traceback" not in done.output
    assert not out.exists()


def test_a_missing_folder_is_said_before_any_work(app: typer.Typer, clip_file: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(clip_file), "--out", str(tmp_path / "nowhere" / "scene.4dgs")])
    assert done.exit_code == 2
    assert "there is no folder" in done.stderr


def test_a_folder_as_file_and_no_instant_are_said_before_any_work(
    app: typer.Typer, clip_file: Path, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [str(clip_file), "--out", str(tmp_path)])
    assert done.exit_code == 2 and "is a folder" in done.stderr
    options = ["--out", str(tmp_path / "scene.4dgs"), "--ply", str(tmp_path / "scene.ply"), "--ply-time", "nan"]
    done = CliRunner().invoke(app, [str(clip_file), *options])
    assert done.exit_code == 2 and "--ply-time: got nan" in done.stderr
    assert not (tmp_path / "scene.4dgs").exists()


def test_cameras_that_contradict_depth_are_said_with_the_file(app: typer.Typer, tmp_path: Path) -> None:
    from dataclasses import replace

    from clips.cameras import Cameras

    clip = render_room(cameras_along(4), np.arange(4) / 8.0, ball=False)
    viewmats = clip.cameras.viewmats.copy()
    viewmats[:, :3, 3] *= 50.0
    path = tmp_path / "odd.npz"
    save_clip(replace(clip, cameras=Cameras(viewmats, clip.cameras.Ks, 48, 32)), path)
    done = CliRunner().invoke(app, [str(path), "--out", str(tmp_path / "scene.4dgs")])
    assert done.exit_code == 2
    assert str(path) in done.stderr and "frames" in done.stderr


def test_a_budget_refines_a_draft_and_none_refines_nothing(app: typer.Typer, clip_file: Path, tmp_path: Path) -> None:
    found = {}
    for budget in ("0", "1.5"):
        arguments = [str(clip_file), "--out", str(tmp_path / "scene.4dgs"), "--quality", "draft", "--json"]
        done = CliRunner().invoke(app, [*arguments, "--budget-s", budget])
        assert done.exit_code == 0, done.output
        found[budget] = json.loads(done.stdout)
    assert "refine" not in found["0"]["stages_s"] and found["1.5"]["stages_s"]["refine"] >= 1.4
    assert found["1.5"]["psnr_db"] > found["0"]["psnr_db"]


@pytest.mark.parametrize("budget", ["-1", "nan", "1e9"])
def test_a_budget_that_is_none_is_named(app: typer.Typer, clip_file: Path, tmp_path: Path, budget: str) -> None:
    done = CliRunner().invoke(app, [str(clip_file), "--out", str(tmp_path / "scene.4dgs"), "--budget-s", budget])
    assert done.exit_code == 2
    assert "--budget-s" in done.stderr
