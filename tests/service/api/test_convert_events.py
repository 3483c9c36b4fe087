from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import event_pb2, quality_pb2

from service.api.convert.events import MAX_EVENTS, to_events
from service.errors import InvalidInput
from service.play import event
from service.quality import Quality

NOW_S = 1_800_000_000.5
CONTENT = {"gate": "g", "segment": "segments/s1", "quality": quality_pb2.QUALITY_DRAFT}

EVERY_KIND: list[tuple[dict[str, Any], event.EventKind]] = [
    ({"chain_accepted": {"chain": "c"}}, event.ChainAccepted("c")),
    ({"task_started": {"chain": "c", "task": "t"}}, event.TaskStarted("c", "t")),
    (
        {"task_progressed": {"chain": "c", "task": "t", "fraction": 0.0}},
        event.TaskProgressed("c", "t", fraction=0.0),
    ),
    (
        {"task_progressed": {"chain": "c", "task": "t", "remaining_steps": 4}},
        event.TaskProgressed("c", "t", remaining_steps=4),
    ),
    ({"task_progressed": {"chain": "c", "task": "t", "eta_s": 2.5}}, event.TaskProgressed("c", "t", eta_s=2.5)),
    ({"task_completed": {"chain": "c", "task": "t"}}, event.TaskCompleted("c", "t")),
    ({"chain_abandoned": {"chain": "c"}}, event.ChainAbandoned("c")),
    ({"gate_approached": {"gate": "g", "distance_m": 2.0}}, event.GateApproached("g", 2.0)),
    ({"gate_opened": {"gate": "g"}}, event.GateOpened("g")),
    ({"content_ready": CONTENT}, event.ContentReady("g", "s1", Quality.DRAFT)),
    ({"content_shown": {**CONTENT, "stall_ms": 8.0}}, event.ContentShown("g", "s1", Quality.DRAFT, 8.0)),
    ({"content_failed": {**CONTENT, "reason": "no"}}, event.ContentFailed("g", "s1", Quality.DRAFT, "no")),
    ({"session_paused": {}}, event.SessionPaused()),
    ({"session_resumed": {}}, event.SessionResumed()),
    ({"party_changed": {"players": ["a", "b"]}}, event.PartyChanged(("a", "b"))),
    (
        {
            "state_restored": {
                "snapshot": {
                    "chains": [
                        {
                            "chain": "c",
                            "status": event_pb2.CHAIN_STATUS_ACCEPTED,
                            "tasks": [
                                {"task": "t", "status": event_pb2.TASK_STATUS_STARTED, "fraction": 0.5, "elapsed_s": 9}
                            ],
                        }
                    ],
                    "opened_gates": ["g"],
                }
            }
        },
        event.StateRestored(
            (
                event.ChainSnapshot(
                    "c",
                    event.ChainStatus.ACCEPTED,
                    (event.TaskSnapshot("t", event.TaskStatus.STARTED, 0.5, 9.0),),
                ),
            ),
            ("g",),
        ),
    ),
]


def message(**fields: Any) -> event_pb2.Event:
    return event_pb2.Event(**({"event_id": "e", "sequence": 1} | fields))


@pytest.mark.parametrize(
    ("fields", "kind"), EVERY_KIND, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_every_kind_becomes_its_domain_event(fields: dict[str, Any], kind: event.EventKind):
    (made,) = to_events([message(**fields)], NOW_S)
    assert made.kind == kind
    assert (made.event_id, made.sequence, made.time_s) == ("e", 1, NOW_S)


def test_every_kind_of_the_contract_is_tried_here():
    names = {field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert names == {next(iter(fields)) for fields, _ in EVERY_KIND}


def test_times_and_traces_are_taken_or_made():
    taken = Timestamp(seconds=int(NOW_S) - 12, nanos=500_000_000)
    given = message(gate_opened={"gate": "g"}, event_time=taken, trace_id="ab" * 16)
    fresh = message(gate_opened={"gate": "g"})
    first, second, third = to_events([given, fresh, fresh], NOW_S)
    assert (first.time_s, first.trace_id) == (NOW_S - 12, "ab" * 16)
    assert len(second.trace_id) == 32
    assert second.trace_id != third.trace_id
    assert to_events([fresh], NOW_S, "cd" * 16)[0].trace_id == "cd" * 16


@pytest.mark.parametrize("ahead_s", [-3_000_000, -61, 1, 10_000_000])
def test_a_clock_that_is_off_is_shifted_to_the_servers(ahead_s: int):
    seconds = int(NOW_S) + ahead_s
    calls = [message(gate_opened={"gate": "g"}, event_time=Timestamp(seconds=seconds - back)) for back in (5, 0)]
    undated = message(gate_opened={"gate": "g"})
    events = to_events([*calls, undated], NOW_S)
    assert [one.time_s for one in events] == pytest.approx([NOW_S - 5, NOW_S, NOW_S])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"event_id": ""}, "events[1].event_id"),
        ({"event_id": "x" * 129}, "events[1].event_id"),
        ({"sequence": 0}, "events[1].sequence"),
        ({"sequence": -5}, "events[1].sequence"),
        ({"trace_id": "xyz"}, "events[1].trace_id"),
        ({"event_time": Timestamp(seconds=-1)}, "events[1].event_time"),
        ({"event_time": Timestamp(seconds=1, nanos=-1)}, "events[1].event_time"),
        ({"event_time": Timestamp(seconds=2**60)}, "events[1].event_time"),
        ({"gate_opened": None}, "events[1].kind"),
        ({"task_progressed": {"chain": "c", "task": "t"}}, "events[1].task_progressed.progress"),
        ({"content_ready": {"gate": "g", "segment": "segments/s"}}, "events[1].content_ready.quality"),
        ({"content_ready": {**CONTENT, "quality": 9}}, "events[1].content_ready.quality"),
        ({"content_shown": {**CONTENT, "segment": "s1"}}, "events[1].content_shown.segment"),
        ({"content_failed": {**CONTENT, "segment": "segments/a/b"}}, "events[1].content_failed.segment"),
        (
            {"state_restored": {"snapshot": {"chains": [{"chain": "c"}]}}},
            "events[1].state_restored.snapshot.chains[0].status",
        ),
        (
            {"state_restored": {"snapshot": {"chains": [{"chain": "c", "status": 2, "tasks": [{"task": "t"}]}]}}},
            "events[1].state_restored.snapshot.chains[0].tasks[0].status",
        ),
    ],
)
def test_a_malformed_event_is_named_by_its_path(fields: dict[str, Any], path: str):
    good = message(gate_opened={"gate": "g"})
    with pytest.raises(InvalidInput) as caught:
        to_events([good, message(**({"gate_opened": {"gate": "g"}} | fields))], NOW_S)
    assert caught.value.fields[0].field == path
    assert "got" in caught.value.fields[0].message


@pytest.mark.parametrize("count", [0, MAX_EVENTS + 1])
def test_calls_carry_1_to_256_events(count: int):
    with pytest.raises(InvalidInput, match=f"got {count} events, allowed 1 .. 256"):
        to_events([message(gate_opened={"gate": "g"})] * count, NOW_S)


def test_numbers_pass_as_they_are_for_the_play_state_to_judge():
    (made,) = to_events([message(gate_approached={"gate": "g", "distance_m": math.nan})], NOW_S)
    assert isinstance(made.kind, event.GateApproached)
    assert math.isnan(made.kind.distance_m)


def test_a_long_reason_is_cut():
    (made,) = to_events([message(content_failed={**CONTENT, "reason": "x" * 50_000})], NOW_S)
    assert isinstance(made.kind, event.ContentFailed)
    assert len(made.kind.reason) == 1_000
