from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clips.errors import UnreadableClip
from model.errors import InvalidSpec, NoRoom, TrainingDiverged, UnreadableCheckpoint, UnsupportedSpec
from recon.errors import Unreconstructable
from service.cli import app
from service.errors import InvalidInput, NotFound, Unavailable


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch | None = None) -> int:
    with pytest.raises(SystemExit) as caught:
        app.main(arguments)
    return int(caught.value.code or 0)


def test_help_lists_every_command_and_imports_nothing_heavy():
    script = (
        "import sys; from service.cli.app import help_text; print(help_text()); "
        "heavy = {'torch', 'numba', 'grpc', 'typer', 'rich', 'sqlalchemy', 'numpy'} & set(sys.modules); "
        "print('heavy:', heavy or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "heavy: none" in done.stdout
    for name in app.COMMANDS:
        assert f"  {name} " in done.stdout


def test_no_command_is_wrong_use_and_help_is_not(capsys: pytest.CaptureFixture[str]):
    assert run() == 2
    assert "Usage: narthex" in capsys.readouterr().err
    assert run("--help") == 0
    assert "Usage: narthex" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("narthex ")


@pytest.mark.parametrize(("name", "hint"), [("serv", "did you mean serve?"), ("zzz", "known are serve, demo")])
def test_unknown_commands_name_the_nearest(name: str, hint: str, capsys: pytest.CaptureFixture[str]):
    assert run(name) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("name", ["serve", "config", "doctor", "train", "generate"])
def test_commands_explain_themselves_with_examples(name: str, capsys: pytest.CaptureFixture[str]):
    arguments = (
        (name, "show", "--help")
        if name == "config"
        else (name, "vae", "--help")
        if name == "train"
        else (name, "--help")
    )
    assert run(*arguments) == 0
    assert "Examples:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["config", "jobs", "train"])
def test_groups_explain_themselves_with_examples(name: str, capsys: pytest.CaptureFixture[str]):
    assert run(name, "--help") == 0
    said = capsys.readouterr().out
    assert "Examples:" in said and f"narthex {name} " in said and "--install-completion" not in said


def test_wrong_options_are_wrong_use(capsys: pytest.CaptureFixture[str]):
    assert run("config", "show", "--nope") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_wrong_settings_are_one_line_and_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "narthex.toml").write_text("[server]\nprot = 1\n")
    assert run("config", "show") == 2
    assert capsys.readouterr().err == "narthex: narthex.toml: unknown key prot in [server]; did you mean port?\n"


def test_a_server_for_others_without_keys_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("serve", "--host", "0.0.0.0", "--data", str(tmp_path / "data")) == 2
    assert "NARTHEX_AUTH_SERVER_KEYS" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_missing_weights_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NARTHEX_MODEL_WEIGHTS_DIR", str(tmp_path / "none"))
    assert run("serve", "--data", str(tmp_path / "data"), "--port", "0") == 2
    error = capsys.readouterr().err
    assert "vae.safetensors" in error
    assert "Traceback" not in error


def test_faults_of_ours_say_so_and_where_to_look(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def broken(name: str, arguments: list[str]) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(app, "_call", broken)
    monkeypatch.delenv("NARTHEX_TRACEBACK", raising=False)
    assert run("serve") == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError: inside" in error
    assert "NARTHEX_TRACEBACK=1" in error
    assert "Traceback (most" not in error
    monkeypatch.setenv("NARTHEX_TRACEBACK", "1")
    assert run("serve") == 1
    assert "Traceback (most" in capsys.readouterr().err


def test_config_show_says_origins(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "narthex.toml").write_text("[work]\nworkers = 2\n")
    monkeypatch.setenv("NARTHEX_SERVER_PORT", "1234")
    assert run("config", "show", "--origin", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["work.workers"]["value"], shown["work.workers"]["origin"]) == (2, "narthex.toml")
    assert (shown["server.port"]["value"], shown["server.port"]["origin"]) == (1234, "NARTHEX_SERVER_PORT")
    assert shown["log.level"]["origin"] == "default"
    assert run("config", "show", "--origin", "--json", "--port", "7", "--workers", "3") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["work.workers"]["value"], shown["work.workers"]["origin"]) == (3, "flag")
    assert (shown["server.port"]["value"], shown["server.port"]["origin"]) == (7, "flag")
    assert run("config", "show", "--origin") == 0
    assert "server.port" in capsys.readouterr().out
    assert run("config", "show", "--json") == 0
    assert "origin" not in json.loads(capsys.readouterr().out)["server.port"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidSpec("x"), 2),
        (UnsupportedSpec("x"), 2),
        (UnreadableCheckpoint("x"), 2),
        (UnreadableClip("x"), 2),
        (InvalidInput("x"), 2),
        (Unreconstructable("x"), 2),
        (TrainingDiverged("x"), 1),
        (NoRoom("x"), 1),
        (Unavailable("x"), 1),
        (NotFound("x"), 1),
        (FileNotFoundError(2, "no such file"), 2),
        (OSError(28, "no space"), 1),
        (PermissionError(13, "not yours"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_command_has_one_rule_of_exit_status(error: Exception, status: int):
    assert app.exit_status(error) == status


def test_sigterm_unwinds_so_that_half_written_files_go(tmp_path: Path):
    code = (
        "import os, signal, sys, time\nfrom pathlib import Path\nfrom clips.atomic_file import replacing\n"
        "from service.cli import app\n"
        "def half(name, arguments):\n"
        "    with replacing(Path(sys.argv[1]) / 'a.npz') as partial:\n"
        "        partial.write_bytes(b'half')\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60.0)\n"
        "app._call = half\napp.main(['serve'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 143
    assert list(tmp_path.iterdir()) == []
