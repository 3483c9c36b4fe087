"""`narthex demo` hands its options to the demo and says what came of it; the demo itself has tests of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from service.cli.app import main
from service.demo.walk import DemoOptions

USED = {"segments": 2, "minutes": 0.07, "device_s": 12.5, "bytes": 3_000_000}
GATE = {
    "title": "The red door",
    "opened_s": 31.5,
    "shown_at_opening": {"quality": "DRAFT", "stall_ms": 0.0},
    "handovers": [{"from": "DRAFT", "to": "FULL", "at_s": 34.0}],
}
REPORT: dict[str, Any] = {
    "gates": [GATE],
    "abandoned": [],
    "usage": {"generated": USED},
    "rejected_events": [],
    "arrangement": {"red_door_opened": True, "blue_door_had_no_key": False},
    "seconds": {"total": 61.4},
    "peak_memory_mb": 1800,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DemoOptions]:
    """The options that the demo was run with."""
    options: list[DemoOptions] = []

    def run_demo(given: DemoOptions, _console: object) -> dict[str, object]:
        options.append(given)
        return REPORT

    monkeypatch.setattr("service.demo.walk.run_demo", run_demo)
    monkeypatch.setenv("GRPC_VERBOSITY", "ERROR")
    return options


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    return int(ended.value.code or 0)


def test_its_options_are_those_of_the_demo(
    asked: list[DemoOptions], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("--out", str(tmp_path), "--speed", "2", "--seed", "7", "--json") == 0
    assert asked == [DemoOptions(out=tmp_path, speed=2.0, seed=7, live=False)]
    assert json.loads(capsys.readouterr().out) == REPORT


def test_what_was_not_as_arranged_is_said(
    asked: list[DemoOptions], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("--out", str(tmp_path), "--no-live") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The red door: opened at 31.5 s, showed DRAFT" in said
    assert "not as arranged: blue door had no key" in said
    assert "red door opened" not in said
    assert "61 s, 1800 MB at most" in said and "contact.png" in said


def test_sigterm_ends_it_as_an_exit_so_that_its_children_are_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = []

    def interrupted(_given: DemoOptions, _console: object) -> dict[str, object]:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            ended.append("children")
        return REPORT

    monkeypatch.setattr("service.demo.walk.run_demo", interrupted)
    assert _run("--out", str(tmp_path), "--json") == 128 + signal.SIGTERM
    assert ended == ["children"]


def test_a_pace_out_of_range_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--out", str(tmp_path), "--speed", "100") != 0
    said = capsys.readouterr().err
    assert "speed: got 100.0, allowed 0.1 to 20" in said
    assert "Traceback" not in said
