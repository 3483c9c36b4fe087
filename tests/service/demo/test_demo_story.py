from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import event_pb2, operate_service_pb2, session_pb2, world_pb2
from rich.console import Console

from service.demo.report import abandoned_sentence, forecast_rows, gate_sentence, say_session, session_report
from service.demo.story import Story
from service.demo.timeline import Stretch, work_stretches, write_timeline

START_S = 0.0
PLACEHOLDER, DRAFT, FULL = 1, 2, 3
QUEUED, RUNNING, DONE, CANCELLED = 1, 2, 3, 4


def world() -> world_pb2.World:
    chains = [world_pb2.TaskChain(chain=name, title=name.title()) for name in ("red", "yellow")]
    gates = [world_pb2.Gate(gate=f"{name}_gate", title=f"The {name} door", chain=name) for name in ("red", "yellow")]
    return world_pb2.World(name="worlds/keep", title="Keep", chains=chains, gates=gates)


def update(at_s: float, **kind: Any) -> session_pb2.SessionUpdate:
    stamp = Timestamp()
    stamp.FromMicroseconds(round((START_S + at_s) * 1e6))
    return session_pb2.SessionUpdate(update_time=stamp, **kind)


def forecast(at_s: float, p50_s: float, chance: float = 0.9, gate: str = "red_gate") -> session_pb2.SessionUpdate:
    value = session_pb2.GateForecast(gate=gate, p50_s=p50_s, p90_s=2 * p50_s, reach_chance=chance)
    return update(at_s, forecast_changed=value)


def work(at_s: float, state: int, spent_s: float, quality: int = DRAFT, gate: str = "red_gate") -> Any:
    value = session_pb2.WorkChanged(
        gate=gate, quality=quality, state=state, spent_s=spent_s, stage="denoise", chunks_done=2, chunks_total=9
    )
    return update(at_s, work_changed=value)


def announced(at_s: float, quality: int, gate: str = "red_gate") -> session_pb2.SessionUpdate:
    value = session_pb2.ContentAnnounced(gate=gate)
    value.content.quality = quality  # type: ignore[assignment]
    value.content.segment = f"segments/{quality}"
    return update(at_s, content_announced=value)


def chain(at_s: float, name: str, status: int) -> session_pb2.SessionUpdate:
    snapshot = event_pb2.ChainSnapshot(chain=name, status=status)  # type: ignore[arg-type]
    return update(at_s, chain_changed=session_pb2.ChainChanged(chain=snapshot))


def line(at_s: float, what: str, quality: str = "", gate: str = "red_gate", stall_ms: float = 0.0) -> dict[str, Any]:
    return {"what": what, "time_s": START_S + at_s, "gate": gate, "quality": quality, "stall_ms": stall_ms}


def told() -> Story:
    """Red: placeholder shown at 5 s, DRAFT at 7.6, FULL at 12.6. Yellow: abandoned at 9 s with its DRAFT at work."""
    story = Story(world(), START_S)
    handover = session_pb2.Handover(gate="red_gate", duration_s=0.6)
    getattr(handover, "from").quality = PLACEHOLDER
    handover.to.quality = DRAFT  # type: ignore[assignment]
    for item in (
        forecast(0.0, 20.0),
        forecast(2.0, 11.0),
        chain(0.1, "red", event_pb2.CHAIN_STATUS_ACCEPTED),
        announced(0.1, PLACEHOLDER),
        work(1.0, QUEUED, 0.0),
        work(1.5, RUNNING, 0.0),
        work(3.0, RUNNING, 1.4),
        work(7.0, DONE, 5.5),
        announced(7.0, DRAFT),
        update(7.0, handover=handover),
        work(7.1, RUNNING, 0.0, FULL),
        work(12.0, DONE, 4.9, FULL),
        announced(12.0, FULL),
        chain(6.0, "yellow", event_pb2.CHAIN_STATUS_ACCEPTED),
        forecast(6.0, 30.0, 0.4, "yellow_gate"),
        work(7.5, RUNNING, 0.0, DRAFT, "yellow_gate"),
        chain(9.0, "yellow", event_pb2.CHAIN_STATUS_ABANDONED),
        work(9.4, CANCELLED, 1.75, DRAFT, "yellow_gate"),
    ):
        story.take(item)
    for item in (
        line(0.2, "ready", "PLACEHOLDER"),
        line(5.0, "opened"),
        line(5.0, "shown", "PLACEHOLDER"),
        line(7.0, "fade", "DRAFT"),
        line(7.6, "shown", "DRAFT"),
        line(12.6, "shown", "FULL"),
        line(1.0, "session"),
        line(1.0, "ready", "FULL", gate="nowhere"),
    ):
        story.take_line(item)
    return story


def test_a_story_keeps_what_happened_at_each_gate() -> None:
    story = told()
    gate = story.gates["red_gate"]
    assert gate.opened_s == 5.0 and gate.shown_first is not None and gate.shown_first.quality == "PLACEHOLDER"
    assert [item.quality for item in gate.announced] == ["PLACEHOLDER", "DRAFT", "FULL"]
    assert gate.has("ready", "PLACEHOLDER") and not gate.has("ready", "FULL") and gate.has("announced", "FULL")
    assert gate.spent_s() == 5.5 + 4.9
    assert story.chain_times["yellow", event_pb2.CHAIN_STATUS_ABANDONED] == 9.0
    assert story.last_s == 12.6


def test_the_report_says_what_was_shown_and_what_the_abandoned_work_cost() -> None:
    usage = operate_service_pb2.Usage(wasted=operate_service_pb2.UsagePart(device_s=1.75))
    report = session_report(told(), usage)
    red, yellow = report["gates"]
    assert red["shown_at_opening"] == {"quality": "PLACEHOLDER", "stall_ms": 0.0, "hit": True}
    assert [item["quality"] for item in red["shown"]] == ["PLACEHOLDER", "DRAFT", "FULL"]
    assert red["handovers"][0]["from"] == "PLACEHOLDER" and red["handovers"][0]["duration_s"] == 0.6
    assert yellow["opened_s"] is None and yellow["work"]["DRAFT"]["state"] == "CANCELLED"
    (abandoned,) = report["abandoned"]
    assert (abandoned["chain"], abandoned["spent_s"], abandoned["abandoned_s"]) == ("yellow", 1.75, 9.0)
    assert report["usage"]["wasted"]["device_s"] == 1.75
    assert gate_sentence(yellow) == "never opened."
    assert "1.8 s of work lost (DRAFT cancelled)" in abandoned_sentence(abandoned)


def test_a_stall_is_no_hit() -> None:
    story = Story(world(), START_S)
    story.take_line(line(5.0, "opened"))
    story.take_line(line(5.4, "shown", "DRAFT", stall_ms=400.0))
    gate = session_report(story, operate_service_pb2.Usage())["gates"][0]
    assert gate["shown_at_opening"] == {"quality": "DRAFT", "stall_ms": 400.0, "hit": False}
    assert "stall of 400 ms" in gate_sentence(gate)


def test_the_report_is_said_with_markup_in_titles_left_alone() -> None:
    story = told()
    story.gates["red_gate"].title = "[red]odd[/blue] title"
    console = Console(record=True, width=120)
    say_session(console, session_report(story, operate_service_pb2.Usage()))
    text = console.export_text()
    assert "[red]odd[/blue] title: opened at 5.0 s" in text and "wasted" in text


def test_forecasts_are_read_at_intervals_and_not_after_the_opening() -> None:
    gate = told().gates["red_gate"]
    assert [row[0] for row in forecast_rows(gate, 0.0)] == [0.0, 2.0]
    assert [row[0] for row in forecast_rows(gate, 5.0)] == [0.0]


def test_work_is_drawn_in_stretches() -> None:
    story = told()
    red = work_stretches(story.gates["red_gate"].work, 20.0)
    assert red == [Stretch("DRAFT", 1.5, 7.0, "DONE"), Stretch("FULL", 7.1, 12.0, "DONE")]
    assert work_stretches(story.gates["yellow_gate"].work, 20.0) == [Stretch("DRAFT", 7.5, 9.4, "CANCELLED")]
    unfinished = [point for point in story.gates["red_gate"].work if point.offset_s < 4.0]
    assert work_stretches(unfinished, 20.0) == [Stretch("DRAFT", 1.5, 20.0, "RUNNING")]


def test_a_timeline_is_written_for_any_story(tmp_path: Any) -> None:
    for name, story in (
        ("told", told()),
        ("empty", Story(world(), START_S)),
        ("no-gates", Story(world_pb2.World(), 0)),
    ):
        path = tmp_path / f"{name}.png"
        write_timeline(story, path, name)
        assert path.read_bytes()[:4] == b"\x89PNG"


def test_a_replaced_session_and_rejections_are_taken_in() -> None:
    story = Story(world(), START_S)
    snapshot = event_pb2.PlaySnapshot(
        chains=[event_pb2.ChainSnapshot(chain="red", status=event_pb2.CHAIN_STATUS_ACCEPTED)]
    )
    story.take(update(1.0, session_replaced=session_pb2.Session(snapshot=snapshot)))
    story.take(update(2.0, event_rejected=session_pb2.EventRejected(reason="finished chain")))
    story.take(update(3.0, session_closed=session_pb2.SessionClosed()))
    story.take(forecast(3.0, 1.0, gate="unknown"))
    assert story.chains["red"].status == event_pb2.CHAIN_STATUS_ACCEPTED
    assert story.rejected == ["finished chain"] and story.closed
