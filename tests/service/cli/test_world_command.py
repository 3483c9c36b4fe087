"""`narthex world`: what it writes, prints and returns."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from clips.camera_path import CameraPath
from clips.clip import Clip, save_clip
from model.revision import DEFAULT_CONTROL
from service.cli.world import world_app
from service.worlds.yaml_file import load_world, parse_world

ROOT = Path(__file__).parents[3]
ABBEY = ROOT / "examples" / "worlds" / "drowned-abbey.yaml"


def call(*arguments):
    return CliRunner().invoke(world_app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_init_writes_a_world_that_is_right_and_a_schema_beside_it(tmp_path):
    result = call("init", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert load_world(tmp_path / "new" / "world.yaml").world_id == "my-world"
    schema = json.loads((tmp_path / "new" / "world.schema.json").read_text())
    assert schema["title"] == "Narthex world"


def test_init_takes_a_file_name_and_does_not_write_over_it(tmp_path):
    file = tmp_path / "abbey.yaml"
    assert call("init", file).exit_code == 0
    file.write_text("mine")
    result = call("init", file)
    assert (result.exit_code, file.read_text()) == (1, "mine")
    assert "exists already; --force" in result.stderr
    assert call("init", file, "--force").exit_code == 0
    assert load_world(file).gates


def test_check_says_ok_or_names_everything_and_fails(tmp_path):
    assert call("check", ABBEY).stdout == f"{ABBEY}: ok: world drowned-abbey: 2 chains, 10 tasks, 4 gates\n"
    bad = tmp_path / "bad.yaml"
    bad.write_text(ABBEY.read_text().replace("seed: 200", "seed: -200").replace("p50_s: 60,", "p50_s: .nan,"))
    result = call("check", bad, ABBEY, tmp_path / "none.yaml")
    assert result.exit_code == 1
    line = bad.read_text().splitlines().index(next(row for row in bad.read_text().splitlines() if ".nan" in row)) + 1
    assert f"{bad}:{line}: chains.bell.tasks.hear_rumour.p50_s: got NaN, allowed a finite number" in result.stderr
    assert "gates.armoury.content.seed: got -200, allowed at least 0" in result.stderr
    assert f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory" in result.stderr
    assert "drowned-abbey: 2 chains" in result.stdout


def test_check_as_json_is_one_object(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"\xff")
    result = call("check", ABBEY, bad, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (1, False)
    good, broken = found["files"]
    assert (good["ok"], good["world"]) == (True, "drowned-abbey")
    assert broken["problems"] == [{"field": "", "message": "line 1: got the byte 0xff at offset 0, allowed UTF-8 text"}]


def test_show_draws_chains_requirements_and_forecasts():
    result = call("show", ABBEY)
    assert result.exit_code == 0
    assert "Ring the drowned bell (chain bell, given up by 35%)" in result.stdout
    assert "take_bell after bargain or fight" in result.stdout
    assert "ring_at_midnight after take_bell and read_psalter" in result.stdout
    assert "expected to open 53 s (p50)" in result.stdout
    assert "pool of 4" in result.stdout


def test_show_as_json_says_the_same():
    found = json.loads(call("show", ABBEY, "--json").stdout)
    assert list(found["chains"]) == ["bell", "ferry"]
    assert found["chains"]["bell"]["tasks"]["take_bell"]["requires"] == {"any": ["bargain", "fight"]}
    bank = found["gates"]["far_bank"]
    assert bank["content"]["pool_size"] == 4
    assert bank["forecast"]["p50_s"] == pytest.approx(53, abs=2)
    assert bank["forecast"]["reach_chance"] == 0.5


def test_show_says_what_steers_a_gates_content():
    blockout = ROOT / "examples" / "worlds" / "blockout.yaml"
    assert "blockout of 5.2 x 3 x 6 m with 2 objects" in " ".join(call("show", blockout).stdout.split())
    control = json.loads(call("show", blockout, "--json").stdout)["gates"]["vault_door"]["content"]["control"]
    assert control["kind"] == "blockout"
    assert [len(proxy["times_s"]) for proxy in control["graybox"]["proxies"]] == [1, 5]
    by_default = json.loads(call("show", ABBEY, "--json").stdout)["gates"]["far_bank"]["content"]["control"]
    assert by_default == {"kind": DEFAULT_CONTROL}


def test_show_of_a_broken_world_fails_with_its_problems(tmp_path):
    (tmp_path / "w.yaml").write_text("world: w\n")
    result = call("show", tmp_path / "w.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "w.yaml:1: chains: got nothing" in result.stderr
    assert call("show", tmp_path / "none.yaml").exit_code == 1


def test_schema_prints_what_is_committed():
    assert call("schema").stdout == (ROOT / "docs" / "world.schema.json").read_text()


def test_pack_writes_one_file_for_a_server(tmp_path):
    clip = Clip(
        np.zeros((1, 4, 6, 3), np.uint8), np.ones((1, 4, 6), np.float32), CameraPath().cameras(1, 6, 4), np.zeros(1)
    )
    save_clip(clip, tmp_path / "mine.npz")
    world = tmp_path / "w.yaml"
    world.write_text(ABBEY.read_text().replace("seed: 100", "seed: 100\n      placeholder: mine.npz"))
    result = call("pack", world, "--out", tmp_path / "packed.yaml")
    assert result.exit_code == 0, result.output
    packed = parse_world((tmp_path / "packed.yaml").read_bytes())
    assert packed.gates["crypt"].content.placeholder == (tmp_path / "mine.npz").read_bytes()
    world.write_text("world: [")
    assert call("pack", world, "--out", tmp_path / "packed.yaml").exit_code == 1
    assert call("pack", tmp_path / "none.yaml", "--out", tmp_path / "packed.yaml").exit_code == 1


@pytest.mark.parametrize("command", ["init", "check", "show", "schema", "pack"])
def test_every_command_has_examples(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"narthex world {command}" in result.stdout


def test_neither_torch_nor_numba_nor_the_wire_is_imported():
    code = (
        "import sys, service.cli.world; "
        "heavy = {'torch', 'numba', 'grpc', 'google.protobuf', 'scipy', 'sqlalchemy'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_check_holds_sizes_against_the_weights_that_are_named(tmp_path):
    file = tmp_path / "world.yaml"
    file.write_text(
        "world: w\nchains: {a: {tasks: {t: {p50_s: 1, p90_s: 2}}}}\n"
        "gates: {g: {chain: a, content: {prompt: x, size: [48, 32], frames: 9}}}\n"
    )
    refused = call("check", file)
    assert refused.exit_code == 1
    assert "gates.g.content.size: got [48, 32], allowed [96, 64]" in refused.stderr
    assert "gates.g.content.frames: got 9, allowed 17 or 33" in refused.stderr
    for name, config in (
        ("vae", {"group_frames": 4, "patch_px": 8}),
        ("dit", {"latent_size": [3, 4, 6]}),
    ):
        weights = {"w": np.zeros(1, np.float32)}
        save_file(weights, tmp_path / f"{name}.safetensors", {"narthex": json.dumps({"config": config})})
    assert call("check", file, "--weights", tmp_path).exit_code == 0
    none = call("check", file, "--weights", tmp_path / "none")
    assert none.exit_code == 1
    assert f"--weights: got {tmp_path / 'none'}, expected a folder with Narthex's vae.safetensors" in none.stderr


def test_show_and_pack_leave_sizes_to_the_server(tmp_path):
    file = tmp_path / "world.yaml"
    file.write_text(
        "world: w\nchains: {a: {tasks: {t: {p50_s: 1, p90_s: 2}}}}\n"
        "gates: {g: {chain: a, content: {prompt: x, size: [48, 32]}}}\n"
    )
    assert "48x32" in call("show", file).stdout
    assert call("pack", file, "--out", tmp_path / "packed.yaml").exit_code == 0
