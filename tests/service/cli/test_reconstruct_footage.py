"""narthex reconstruct with what is no clip: a video, a folder of pictures, a folder with a transforms.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from clips.footage.lens import Lens
from clips.video import write_mp4
from recon.export.fourdgs_file import read_4dgs
from service.cli.reconstruct import reconstruct
from tests.recon.capture.textured_place import FOCAL, HEIGHT, WIDTH, pictures_of, walking, write_posed

COUNT = 6


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(reconstruct)
    return app


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return pictures_of(walking(COUNT))[0]


def test_a_video_becomes_a_scene_and_what_is_not_known_is_said(
    app: typer.Typer, frames: np.ndarray, tmp_path: Path
) -> None:
    video, out = tmp_path / "walk.mp4", tmp_path / "walk.4dgs"
    write_mp4(frames, video, 10.0)
    arguments = [str(video), "--out", str(out), "--quality", "draft", "--size", "200", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    capture = report["capture"]
    assert capture["frames"] == COUNT and (capture["width"], capture["height"]) == (200, 133)
    assert capture["sparse_points"] > 50 and not capture["is_metric"] and not capture["has_depth"]
    assert any("scale: unknown" in note and "--scale-m" in note for note in capture["notes"])
    assert report["splats"] == len(read_4dgs(out)) > 1000 and report["moving_splats"] == 0
    assert report["psnr_db"] > 15.0
    assert {"features", "matches", "mapping", "stereo", "seeds", "colors"} <= set(report["stages_s"])


def test_posed_pictures_become_a_scene(app: typer.Typer, frames: np.ndarray, tmp_path: Path) -> None:
    lens = Lens(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    folder, out = write_posed(tmp_path / "cap", frames, walking(COUNT), lens), tmp_path / "cap.4dgs"
    arguments = [str(folder), "--out", str(out), "--quality", "draft", "--scale-m", "3.2", "--size", "160"]
    done = CliRunner().invoke(app, [*arguments, "--sheet", str(tmp_path / "sheet.png")])
    assert done.exit_code == 0, done.output
    assert "scale: first and last camera are 3.2 m apart, as told" in done.stdout
    assert len(read_4dgs(out)) > 1000 and (tmp_path / "sheet.png").exists()


def folder_of(tmp_path: Path, sizes: list[tuple[int, int]]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, size in enumerate(sizes):
        Image.new("RGB", size).save(folder / f"{index}.jpg")
    return folder


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([], "neither transforms.json nor pictures"),
        ([(8, 8)], "has 1 pictures"),
        ([(8, 8), (8, 8), (8, 9)], "mixed sizes: 0.jpg is 8x8, 2.jpg 8x9"),
        ([(64, 48)] * 3, "too little texture (0.jpg, 1.jpg, 2.jpg; 0 features"),
    ],
)
def test_folders_that_cannot_be_used_are_named(
    app: typer.Typer, tmp_path: Path, sizes: list[tuple[int, int]], message: str
) -> None:
    folder, out = folder_of(tmp_path, sizes), tmp_path / "x.4dgs"
    done = CliRunner().invoke(app, [str(folder), "--out", str(out)])
    assert done.exit_code == 2, done.output
    assert str(folder) in done.stderr and message in done.stderr and "Traceback" not in done.output
    assert not out.exists()


@pytest.mark.parametrize(("content", "message"), [(b"\0" * 500, "not a readable video"), (None, "no such file")])
def test_a_video_that_cannot_be_read_is_named(
    app: typer.Typer, tmp_path: Path, content: bytes | None, message: str
) -> None:
    video = tmp_path / "v.mp4"
    if content is not None:
        video.write_bytes(content)
    done = CliRunner().invoke(app, [str(video), "--out", str(tmp_path / "x.4dgs")])
    assert done.exit_code == 2 and str(video) in done.stderr and message in done.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--scale-m", "-1"], "scale_m must be within"),
        (["--size", "3"], "long_side_px must be within"),
        (["--max-frames", "2"], "max_frames must be within"),
        (["--fps", "0"], "--fps: got 0"),
    ],
)
def test_options_out_of_range_are_named(app: typer.Typer, tmp_path: Path, option: list[str], message: str) -> None:
    folder = folder_of(tmp_path, [(8, 8)] * 3)
    done = CliRunner().invoke(app, [str(folder), "--out", str(tmp_path / "x.4dgs"), *option])
    assert done.exit_code == 2 and message in done.stderr
