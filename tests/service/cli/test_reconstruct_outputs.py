"""What narthex reconstruct writes besides the scene: levels, envelope, collision, and the graybox's report."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
import typer
from typer.testing import CliRunner

from clips.clip import save_clip
from recon.envelope import ENVELOPE_KEY, Envelope
from recon.export.fourdgs_file import metadata_4dgs, read_4dgs
from recon.export.glb import read_glb, write_glb
from recon.mesh import Mesh, box, joined
from service.cli.reconstruct import reconstruct
from tests.recon.conftest import cameras_along, render_room

# The test room's own walls, as a box seen from inside.
ROOM = box(np.array([-2.0, -2.6, -3.0]), np.array([2.0, 0.0, 5.0]))


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "room.clip.npz"
    save_clip(render_room(cameras_along(4), np.arange(4) / 8.0, ball=False), path)
    return path


def run(clip_file: Path, out: Path, *arguments: str, code: int = 0):
    app = typer.Typer()
    app.command()(reconstruct)
    done = CliRunner().invoke(app, [str(clip_file), "--out", str(out), "--quality", "draft", *arguments])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def test_levels_and_a_collider_are_written_beside_the_scene(clip_file: Path, tmp_path: Path) -> None:
    out, collider = tmp_path / "scene.4dgs", tmp_path / "collider.glb"
    report = json.loads(run(clip_file, out, "--levels", "--collision", str(collider), "--json").stdout)
    assert [level["level"] for level in report["levels"]] == [2, 1]
    for level in report["levels"]:
        path = tmp_path / f"scene.level{level['level']}.4dgs"
        assert level["out"] == str(path) and level["bytes"] == path.stat().st_size < out.stat().st_size
        assert len(read_4dgs(path)) == level["splats"] < report["splats"] and level["psnr_db"] > 18
        assert metadata_4dgs(path.read_bytes())["level"] == str(level["level"])
    assert report["collision"]["kind"] == "proxy"
    assert read_glb(collider).mesh.is_watertight
    assert len(read_glb(collider).mesh) == report["collision"]["triangles"]
    assert "way" not in report and "graybox" not in report


def test_the_envelope_is_always_in_the_scenes_header(clip_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scene.4dgs"
    done = run(clip_file, out)
    envelope = Envelope.from_json(metadata_4dgs(out.read_bytes())[ENVELOPE_KEY])
    assert envelope.times[-1] == pytest.approx(3 / 8)
    assert "camera envelope" in done.stdout
    assert not list(tmp_path.glob("*level*"))


def graybox_file(path: Path, mesh: Mesh) -> Path:
    write_glb([("room", mesh)], path)
    scene = trimesh.load_scene(path)
    for name, place in (("spawn", [0.0, 0.0, -0.5]), ("exit", [0.5, 0.0, -4.0])):
        scene.graph.update(frame_to=name, matrix=trimesh.transformations.translation_matrix(place))
    scene.export(path)
    return path


def test_a_graybox_is_compared_walked_and_is_the_collider_by_default(clip_file: Path, tmp_path: Path) -> None:
    mesh, collider = graybox_file(tmp_path / "room.glb", ROOM), tmp_path / "collider.glb"
    arguments = ("--graybox", str(mesh), "--collision", str(collider))
    report = json.loads(run(clip_file, tmp_path / "s.4dgs", *arguments, "--json").stdout)
    assert report["collision"]["kind"] == "graybox" and len(read_glb(collider).mesh) == len(ROOM)
    assert report["graybox"]["median_m"] < 0.15 and report["graybox"]["share"] > 0.9
    assert report["way"]["reachable"] and 3.0 < report["way"]["length_m"] < 5.0
    report = json.loads(run(clip_file, tmp_path / "s.4dgs", *arguments, "--proxy", "--json").stdout)
    assert report["collision"]["kind"] == "proxy" and len(read_glb(collider).mesh) > len(ROOM)


def test_a_graybox_that_is_elsewhere_and_walled_off_is_told(clip_file: Path, tmp_path: Path) -> None:
    wall = box(np.array([-2.0, -2.6, 1.9]), np.array([2.0, 0.0, 2.1]))
    mesh = graybox_file(tmp_path / "room.glb", joined([ROOM, wall]))
    done = run(clip_file, tmp_path / "s.4dgs", "--graybox", str(mesh))
    assert "exit from spawn: not reachable: no way leads there" in done.stdout
    arguments = ("--graybox", str(mesh), "--spawn", "0,0,0.5", "--exit", "0,0,1.2", "--json")
    report = json.loads(run(clip_file, tmp_path / "s.4dgs", *arguments).stdout)
    assert report["graybox"]["p95_m"] > 1.0 and report["way"]["reachable"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--spawn", "0,0"], "--spawn"),
        (["--exit", "0,0,nan", "--collision", "c.glb"], "--exit"),
        (["--spawn", "0,0,1"], "without --graybox"),
        (["--proxy"], "--proxy"),
        (["--graybox", "missing.glb"], "missing.glb"),
        (["--collision", "no/such/folder/c.glb"], "no/such/folder"),
    ],
)
def test_what_does_not_go_together_is_said(clip_file: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(clip_file, tmp_path / "s.4dgs", *arguments, code=2)
    assert said in done.stderr
    assert not (tmp_path / "s.4dgs").exists()
