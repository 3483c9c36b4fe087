from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service import doctor
from service.config import Config, load_config


def config(**flags: Any) -> Config:
    return load_config(flags={name.replace("__", "."): value for name, value in flags.items()}).config


def tensors(path: Path, payload: int = 8, said: int = 8) -> None:
    header = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, said]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"x" * payload)


def test_whole_weights_are_fine_and_name_their_revision(tmp_path: Path):
    tensors(tmp_path / "vae.safetensors")
    tensors(tmp_path / "dit.safetensors")
    finding = doctor.check_weights(config(model__weights_dir=str(tmp_path)))
    assert finding.ok
    assert "revision" in finding.found


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda path: None, "missing"),
        (lambda path: tensors(path, payload=4), "its header says"),
        (lambda path: tensors(path, payload=12), "its header says"),
        (lambda path: path.write_bytes(b""), "not a safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), "not a safetensors file"),
        (lambda path: path.write_bytes((4).to_bytes(8, "little") + b"nope"), "cannot be read"),
    ],
)
def test_weights_that_are_missing_or_cut_are_found_with_a_remedy(tmp_path: Path, write: Any, found: str):
    tensors(tmp_path / "vae.safetensors")
    write(tmp_path / "dit.safetensors")
    finding = doctor.check_weights(config(model__weights_dir=str(tmp_path)))
    assert not finding.ok
    assert found in finding.found
    assert "narthex train" in finding.remedy


def test_a_port_in_use_is_found():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = doctor.check_port(config(server__port=taken.getsockname()[1]))
    assert not finding.ok
    assert "--port" in finding.remedy
    assert doctor.check_port(config(server__port=0)).ok


def test_a_folder_that_does_not_exist_yet_is_judged_by_the_one_above(tmp_path: Path):
    finding = doctor.check_disk(config(data__dir=tmp_path / "a" / "b"))
    assert finding.found.endswith(str(tmp_path))


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": 1024})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    finding = doctor.check_disk(config(data__dir=tmp_path))
    assert not finding.ok
    assert "2 GiB" in finding.remedy


def test_clocks_that_make_no_sense_are_found():
    assert doctor.check_clock(Config()).ok
    past = doctor.check_clock(Config(), wall=lambda: 1_000_000.0)
    assert not past.ok
    assert "past" in past.found
    steps = iter(range(10_000))
    drifting = doctor.check_clock(Config(), wall=lambda: 1_800_000_000.0 + next(steps))
    assert not drifting.ok
    assert "drift" in drifting.found


def test_versions_are_held_against_what_narthex_asks_for(monkeypatch: pytest.MonkeyPatch):
    assert doctor.check_versions(Config()).ok
    asked = ["grpcio<1", "no-such-package-at-all>=1", "numpy", "x>1; extra == 'other'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: asked)
    finding = doctor.check_versions(Config())
    assert not finding.ok
    assert "grpcio" in finding.found
    assert "no-such-package-at-all is missing" in finding.found


def test_a_device_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch):
    def answer(returncode: int, out: str = "", err: str = "") -> None:
        done = subprocess.CompletedProcess([sys.executable], returncode, out, err)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: done)

    answer(1, err="Traceback\nModuleNotFoundError: No module named 'torch'\n")
    broken = doctor.check_device(Config())
    assert not broken.ok
    assert "No module named 'torch'" in broken.found
    answer(0, out='noise\n{"version": "2.13.0", "cuda": ["H100"], "threads": 2}\n')
    found = doctor.check_device(Config())
    assert found.ok
    assert found.found == "torch 2.13.0, H100"


def test_a_cache_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert doctor.check_kernel_cache(Config()).ok

    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    finding = doctor.check_kernel_cache(Config())
    assert not finding.ok
    assert "NUMBA_CACHE_DIR" in finding.remedy


def test_the_command_prints_one_object_and_fails_where_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from service.cli import app
    from service.cli import doctor as command

    fine = doctor.Finding("clock", True, "now")
    for findings, code in (([fine], 0), ([fine, doctor.Finding("disk", False, "full", "free some")], 1)):
        monkeypatch.setattr(command, "examine", lambda _, findings=findings: findings)
        with pytest.raises(SystemExit) as caught:
            app.main(["doctor", "--json"])
        assert (caught.value.code or 0) == code
        shown = json.loads(capsys.readouterr().out)
        assert shown["ok"] is (code == 0)
        assert len(shown["findings"]) == len(findings)
