"""`narthex play` against a real server without workers: every call goes over the wire."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.demo.processes import Child

ROOT = Path(__file__).resolve().parents[3]
KEY = "key-of-the-closed-server-0123456789"
TRACE = ROOT / "examples" / "traces" / "drowned-abbey.jsonl"


def narthex(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "service.cli.app", *arguments]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    port_file = data / "port"
    options = ("--data", str(data), "--port", "0", "--port-file", str(port_file), "--workers", "0")
    with Child("server", narthex("serve", *options)) as child:
        while not port_file.exists():
            assert not child.wait(0.05), child.last_lines()
        yield f"127.0.0.1:{port_file.read_text().strip()}"


def play(*arguments: str) -> tuple[int | None, str, str]:
    heard: list[str] = []
    with Child("play", narthex("play", *arguments), heard.append) as child:
        assert child.wait(100.0)
        return child.returncode, "\n".join(heard), child.last_lines()


def test_a_trace_is_replayed_and_reported(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (str(TRACE), "--server", server, "--speed", "30", "--max-wait-s", "0", "--out", str(out), "--json")
    code, said, everything = play(*arguments)
    assert code == 0, everything
    report = json.loads(said)
    gates = {gate["gate"]: gate for gate in report["gates"]}
    assert report["world"] == "worlds/drowned-abbey" and report["events_played"] == 33
    for name in ("far_bank", "crypt", "armoury"):
        assert gates[name]["shown_at_opening"] == {"quality": "PLACEHOLDER", "stall_ms": 0.0, "hit": True}, name
    assert gates["nave"]["opened_s"] is None
    assert [item["chain"] for item in report["abandoned"]] == ["bell"]
    assert all(gate["forecast"] for gate in gates.values()) and report["refused_events"] == []
    assert json.loads((out / "report.json").read_text()) == report
    assert (out / "timeline.png").stat().st_size > 10_000


def test_what_the_server_refuses_is_told_and_the_rest_is_played(server: str, tmp_path: Path) -> None:
    path = tmp_path / "again.jsonl"
    lines = [
        {"world": str(ROOT / "examples" / "worlds" / "first-door.yaml")},
        {"offset_s": 0, "chainAccepted": {"chain": "door"}},
        {"offset_s": 0.1, "chainAbandoned": {"chain": "door"}},
        {"offset_s": 0.2, "taskStarted": {"chain": "door", "task": "pull_lever"}},
        {"offset_s": 0.3, "gateOpened": {"gate": "door"}},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    code, said, everything = play(str(path), "--server", server, "--max-wait-s", "0", "--json")
    assert code == 0, everything
    report = json.loads(said)
    assert len(report["refused_events"]) == 1 and report["gates"][0]["opened_s"] is not None


def test_a_loaded_save_closes_and_opens_gates(server: str, tmp_path: Path) -> None:
    def restored(at_s: float, *gates: str) -> dict[str, object]:
        return {"offset_s": at_s, "stateRestored": {"snapshot": {"openedGates": list(gates)}}}

    path = tmp_path / "saves.jsonl"
    lines = [
        {"world": str(ROOT / "examples" / "worlds" / "drowned-abbey.yaml")},
        {"offset_s": 1.0, "gateOpened": {"gate": "crypt"}},
        restored(1.5, "nave"),
        {"offset_s": 2.0, "gateOpened": {"gate": "crypt"}},
        restored(2.5),
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    code, said, everything = play(str(path), "--server", server, "--max-wait-s", "0", "--json")
    assert code == 0, everything
    report = json.loads(said)
    gates = {gate["gate"]: [shown["quality"] for shown in gate["shown"]] for gate in report["gates"]}
    assert gates == {"crypt": ["PLACEHOLDER"] * 2, "nave": ["PLACEHOLDER"], "armoury": [], "far_bank": []}
    assert report["refused_events"] == report["rejected_events"] == []


def test_wrong_traces_and_servers_are_one_message_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"world": "none.yaml"}\n')
    code, _, said = play(str(path))
    assert code != 0 and "bad.jsonl:1: world: got 'none.yaml'" in said and "Traceback" not in said
    code, _, said = play(str(TRACE), "--speed", "0")
    assert code == 2 and "speed: got 0.0, allowed 0.01 to 1000" in said and "Traceback" not in said


def test_a_server_that_is_not_there_is_said_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc

    from service.cli.play import _check_answers
    from service.errors import Unavailable

    class Never:
        def result(self, timeout: float) -> None:
            raise grpc.FutureTimeoutError

    monkeypatch.setattr(grpc, "channel_ready_future", lambda channel: Never())
    with pytest.raises(Unavailable, match="no server answers on nowhere:1; start one with `narthex serve`"):
        _check_answers(None, "nowhere:1")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that wants a key."""
    data = tmp_path_factory.mktemp("closed")
    port_file = data / "port"
    options = ("--data", str(data), "--port", "0", "--port-file", str(port_file), "--workers", "0")
    with Child("server", narthex("serve", *options), environment={"NARTHEX_AUTH_SERVER_KEYS": KEY}) as child:
        while not port_file.exists():
            assert not child.wait(0.05), child.last_lines()
        yield f"127.0.0.1:{port_file.read_text().strip()}"


def test_a_server_that_wants_a_key_is_given_one(closed_server: str, tmp_path: Path) -> None:
    path = tmp_path / "door.jsonl"
    lines = [
        {"world": str(ROOT / "examples" / "worlds" / "first-door.yaml")},
        {"offset_s": 0, "chainAccepted": {"chain": "door"}},
        {"offset_s": 1.0, "gateOpened": {"gate": "door"}},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    arguments = (str(path), "--server", closed_server, "--max-wait-s", "0", "--json")
    code, _, said = play(*arguments)
    assert code == 1 and "UNAUTHENTICATED" in said and "Traceback" not in said
    code, report, everything = play(*arguments, "--key", KEY)
    assert code == 0, everything
    assert json.loads(report)["gates"][0]["shown_at_opening"]["quality"] == "PLACEHOLDER"


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_played(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, said = play(str(TRACE), "--server", server, "--out", str(tmp_path / "file" / "out"))
    assert code == 2 and "Not a directory" in said and "accepted" not in said
    code, _, said = play(str(TRACE), "--server", "nonsense")
    assert code == 2 and "--server: got 'nonsense', expected HOST:PORT" in said
