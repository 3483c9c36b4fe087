"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("clips", "model", "recon", "service", "examples", "benchmarks", "scripts", "tests")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_generated_stubs_are_what_the_protos_make(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "scripts/proto.py", "stale", str(tmp_path)], cwd=ROOT, check=True)
    committed = ROOT / "protos" / "narthex" / "v1"
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "narthex" / "v1").iterdir()}
    kept = {path.name: path.read_bytes() for path in committed.glob("*_pb2*")}
    stale = sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))
    assert stale == [], f"run `make proto`: {stale}"


def test_import_contracts_hold() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_lock_pins_every_dependency_within_its_range() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    locked = {canonicalize_name(name): version for name, version in pins.items()}
    project = PROJECT["project"]
    wanted = project["dependencies"] + [need for extra in project["optional-dependencies"].values() for need in extra]
    for text in wanted:
        need = Requirement(text)
        version = locked.get(canonicalize_name(need.name))
        assert version is not None, f"{need.name} is missing from requirements.lock: run `make lock`"
        assert need.specifier.contains(version), f"{text}, but the lock has {version}"
    assert locked["torch"] == "2.13.0"


@pytest.mark.parametrize("limit", [400])
def test_no_file_outgrows_its_noun(limit: int) -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _sources()}
    assert {path: lines for path, lines in long.items() if lines > limit} == {}


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_no_file_is_named_for_what_it_is_not() -> None:
    vague = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert [str(path) for path in _sources() if path.name in vague] == []


def test_posix_only_modules_stay_in_one_platform_file() -> None:
    pattern = re.compile(r"^\s*(?:import|from)\s+(fcntl|pwd|grp|termios|resource|ctypes)\b", re.MULTILINE)
    functions = re.compile(r"\bos\.(preadv|pwritev|fork|getuid|geteuid|setsid|killpg|mkfifo)\(")
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in _sources() if "tests" not in path.parts}
    users = {name for name, text in texts.items() if pattern.search(text) or functions.search(text)}
    assert users == {"service/work/platform_posix.py"}


def test_every_command_in_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", readme))
    assert {"demo", "test"} <= named <= targets
    from service.cli.app import COMMANDS

    spoken = set(re.findall(r"^\s*(?:\$ )?narthex ([a-z]+)", readme, re.MULTILINE))
    assert spoken <= set(COMMANDS), spoken - set(COMMANDS)


def test_the_wheel_holds_every_committed_file_of_its_packages(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    listed = subprocess.run(["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name.removeprefix("protos/") for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert {"model/weights/dit.safetensors", "examples/vizdoom/world.yaml", "service/sessions/mist/mist.4dgs"} <= wanted
    assert wanted - held == set()
    assert not [name for name in held if name.endswith(".pyc") or name.startswith(("tests/", "out/"))]
