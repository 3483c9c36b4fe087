import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.checkpoint import save_checkpoint
from model.measure.judge import JUDGE_FILE, load_judge
from model.train import judge
from model.vae import Vae, VaeConfig
from service.cli.train import train_app

SMALL = VaeConfig(4, 8, 0, 0, 8, 4, 8)


def _run(*arguments: str) -> dict[str, float]:
    result = CliRunner().invoke(train_app, ["judge", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_a_judge_is_trained_resumed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "BATCH", 2)
    save_checkpoint(Vae(SMALL), {}, tmp_path / "vae.safetensors")
    out = tmp_path / "judge"
    options = ("--out", str(out), "--clips", "3", "--held-out", "2", "--vae", str(tmp_path / "vae.safetensors"))
    assert _run(*options, "--steps", "1")["steps"] == 1
    assert _run(*options, "--steps", "2", "--resume")["steps"] == 2
    assert load_judge(out / JUDGE_FILE).config == judge.judge_config()


def test_steps_or_minutes_must_be_given(tmp_path: Path) -> None:
    result = CliRunner().invoke(train_app, ["judge", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "--minutes" in result.output
