from __future__ import annotations

import json
from pathlib import Path

import pytest
from narthex.v1 import event_pb2

from service.demo import trace as trace_module
from service.demo.trace import read_trace
from service.errors import InvalidInput, NotFound, TooMuch

WORLD = """\
world: tiny
chains:
  door:
    tasks:
      pull_lever: {p50_s: 15, p90_s: 40}
gates:
  door:
    chain: door
    content:
      prompt: a brick room in daylight with a sand floor, a green cone that stands still
"""
ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, *lines: object, world: str = WORLD) -> Path:
    (folder / "world.yaml").write_text(world)
    path = folder / "trace.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in ({"world": "world.yaml"}, *lines)]
    path.write_text("\n".join(texts) + "\n")
    return path


def event(offset_s: object, **kind: object) -> dict[str, object]:
    return {"offset_s": offset_s, **kind}


def refused(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_trace(path)
    return str(caught.value)


def test_a_trace_is_read_in_both_spellings(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        event(0, chainAccepted={"chain": "door"}),
        event(0.5, task_progressed={"chain": "door", "task": "pull_lever", "remainingSteps": "12"}),
        "",
        event(1.5, gateOpened={"gate": "door"}, eventId="x", sequence="7", eventTime="2026-01-01T00:00:00Z"),
        event(1.5, sessionPaused={}),
    )
    trace = read_trace(path)
    assert [item.offset_s for item in trace.events] == [0.0, 0.5, 1.5, 1.5]
    assert [type(item.happened).__name__ for item in trace.events] == [
        "ChainAccepted",
        "TaskProgressed",
        "GateOpened",
        "SessionPaused",
    ]
    progressed = trace.events[1].happened
    assert isinstance(progressed, event_pb2.TaskProgressed) and progressed.remaining_steps == 12
    assert [item.line for item in trace.events] == [2, 3, 5, 6] and trace.world.world.world_id == "tiny"


def test_what_the_recorded_client_said_is_left_out_and_counted(tmp_path: Path) -> None:
    ready = {"gate": "door", "segment": "segments/1", "quality": "QUALITY_DRAFT"}
    path = write(
        tmp_path, event(0, contentReady=ready), event(1, content_shown=ready), event(2, gateOpened={"gate": "door"})
    )
    trace = read_trace(path)
    assert (len(trace.events), trace.skipped) == (1, 2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not json", "line: got not json, allowed one JSON object"),
        ("[1, 2]", "line: got [1, 2], allowed one JSON object"),
        (event("soon", gateOpened={"gate": "door"}), 'offset_s: got "soon", allowed a number of seconds'),
        (event(True, gateOpened={"gate": "door"}), "offset_s: got true"),
        ('{"offset_s": NaN, "gateOpened": {"gate": "door"}}', "offset_s: got nan, allowed 0 to 604800 seconds"),
        ('{"offset_s": 1e400, "gateOpened": {"gate": "door"}}', "offset_s: got inf"),
        (event(-1, gateOpened={"gate": "door"}), "offset_s: got -1, allowed 0 to"),
        ({"gateOpened": {"gate": "door"}}, "offset_s: got null"),
        (event(1), "event: got no event, allowed exactly one kind"),
        (event(1, gateOpened={"gate": "door"}, sessionPaused={}), "event: got gateOpened, sessionPaused"),
        (event(1, gateOpend={"gate": "door"}), "gateOpend: got an unknown field, allowed offset_s and one of"),
        (
            event(1, gateOpened={"gate": "dor"}),
            "GateOpened.gate: got 'dor', which the world does not have; did",
        ),
        (event(1, gateOpened={"door": "door"}), 'gateOpened: got {"door": "door"}: Message type'),
        (event(1, gateOpened={"gate": 5}), "gateOpened: got"),
        (event(1, gateOpened="door"), "gateOpened: got"),
        (event(1, gateOpened=None), "gateOpened: got null, allowed an object"),
        (event(1, taskStarted={"chain": "door", "task": "nap"}), "TaskStarted.task: got 'nap'"),
        (event(1, chainAccepted={"chain": "x" * 500}), "ChainAccepted.chain: got 'xxx"),
        (
            '{"offset_s": 1, "gateApproached": {"gate": "door", "distanceM": "NaN"}}',
            "gateApproached.distance_m: got nan",
        ),
        (
            event(1, taskProgressed={"chain": "door", "task": "pull_lever", "etaS": -3}),
            "taskProgressed.eta_s: got -3.0",
        ),
        ("[" * 100_000, "line: got [[["),
    ],
)
def test_a_wrong_line_is_named_with_field_and_what_is_allowed(tmp_path: Path, line: object, expected: str) -> None:
    path = write(tmp_path, event(0, chainAccepted={"chain": "door"}), line)
    text = refused(path)
    assert text.startswith(f"{path}:3: ") and expected in text


def test_all_wrong_lines_are_named_at_once_but_not_endlessly(tmp_path: Path) -> None:
    path = write(tmp_path, *(event(index, gateOpened={"gate": "nowhere"}) for index in range(80)))
    text = refused(path)
    assert text.count("GateOpened.gate") == 50 and text.endswith("and 30 problems more")


def test_time_does_not_go_back(tmp_path: Path) -> None:
    path = write(tmp_path, event(5, chainAccepted={"chain": "door"}), event(4.5, gateOpened={"gate": "door"}))
    assert ":3: offset_s: got 4.5, allowed 5.0 or more" in refused(path)


def test_a_restored_state_must_name_what_the_world_has(tmp_path: Path) -> None:
    chains = [{"chain": "door", "status": "CHAIN_STATUS_ACCEPTED", "tasks": [{"task": "nap"}]}]
    path = write(tmp_path, event(0, stateRestored={"snapshot": {"chains": chains, "openedGates": ["dor"]}}))
    assert "StateRestored.snapshot.chains[0].tasks[0].task: got 'nap'" in refused(path)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("{}", "world: got {}"),
        ('{"world": 5}', 'world: got {"world": 5}'),
        ('{"more": 1}', 'world: got {"more": 1}'),
        ("world.yaml", "line: got world.yaml"),
    ],
)
def test_the_first_line_must_name_the_world(tmp_path: Path, first: str, expected: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(first)
    assert expected in refused(path)


def test_the_first_line_may_say_more_and_name_a_world_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "tiny.yaml").write_text(WORLD)
    path = tmp_path / "trace.jsonl"
    path.write_text('{"game": "MiniGrid", "world": "tiny.yaml"}\n')
    with pytest.raises(NotFound, match="nor here"):
        read_trace(path)
    monkeypatch.chdir(tmp_path / "here")
    assert read_trace(path).world.world.world_id == "tiny"


def test_a_missing_trace_or_world_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        read_trace(tmp_path / "none.jsonl")
    path = tmp_path / "trace.jsonl"
    path.write_text('{"world": "../no/world.yaml"}\n')
    with pytest.raises(NotFound, match=r":1: world: got '\.\./no/world.yaml'"):
        read_trace(path)
    path.write_text('{"world": "a\\u0000b"}\n')
    with pytest.raises(NotFound, match="no file beside the trace"):
        read_trace(path)
    path.write_text(json.dumps({"world": "x" * 5000}))
    with pytest.raises(NotFound, match=r"x\.\.\., which is no file beside the trace"):
        read_trace(path)


def test_a_wrong_world_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, world=WORLD.replace("p50_s: 15", "p50_s: -15"))
    assert "world.yaml:5" in refused(path)


def test_binary_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"\x7fELF\xff\xfe\x00\x01" * 100)
    assert "allowed UTF-8 text" in refused(path)
    path.write_bytes(b'{"world": "' + b"x" * 2**21 + b'"}')
    with pytest.raises(TooMuch, match="got a line of"):
        read_trace(path)
    monkeypatch.setattr(trace_module, "MAX_TRACE_BYTES", 1000)
    with pytest.raises(TooMuch, match="a trace has at most 1,000"):
        read_trace(path)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "traces").glob("*.jsonl")), ids=lambda path: path.name)
def test_the_example_traces_are_right(path: Path) -> None:
    trace = read_trace(path)
    kinds = {type(item.happened).__name__ for item in trace.events}
    assert {"ChainAccepted", "TaskStarted", "GateOpened", "ChainAbandoned"} <= kinds
