from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from narthex.v1 import event_pb2, quality_pb2, session_pb2

from service.api.convert.session import session_message, to_profile, update_message
from service.errors import InvalidInput
from service.play.event import ChainSnapshot, ChainStatus, TaskSnapshot, TaskStatus
from service.quality import Quality
from service.sessions import views
from service.store.records import FOURDGS, MP4, AssetRecord, ContentRef
from service.work.job import JobState

CHAIN = ChainSnapshot("c", ChainStatus.ACCEPTED, (TaskSnapshot("t", TaskStatus.STARTED, 0.25, 3.0),))
DRAFT = ContentRef("w", "g", "s1", "c1", Quality.DRAFT)
FULL = ContentRef("w", "g", "s2", "c2", Quality.FULL)
VIDEO = AssetRecord("a" * 64, 10, MP4, 0.0, 2.0)
SCENE = AssetRecord("b" * 64, 20, FOURDGS, 0.0, 2.0, 0, 99)
VIEW = views.SessionView(
    session_id="p1",
    world_id="w",
    world_revision="rev",
    profile=views.ClientProfile((MP4,), 1, 2, 3),
    players=("ann",),
    status=views.SessionStatus.PAUSED,
    applied_sequence=5,
    cursor=9,
    create_s=4.0,
    chains=(CHAIN,),
    opened_gates=("h",),
    gates=(
        views.GateView("g", False, views.ForecastView(1.0, 2.0, 0.5), Quality.FULL, Quality.DRAFT, None),
        views.GateView("h", True, None, None, None, None),
    ),
)
UPDATES: list[tuple[str, views.UpdateKind, dict[str, Any]]] = [
    ("chain_changed", views.ChainChanged(CHAIN), {"chain.chain": "c", "chain.status": 2}),
    ("forecast_changed", views.ForecastChanged("g", views.ForecastView(1.0, 2.0, 0.5)), {"gate": "g", "p90_s": 2.0}),
    (
        "content_announced",
        views.ContentAnnounced("g", DRAFT, (VIDEO,), (SCENE,), True),
        {"gate": "g", "content.segment": "segments/s1", "scene.complete": True, "reused": True},
    ),
    (
        "handover",
        views.HandoverStarted("g", DRAFT, FULL, 0.1, 0.6, views.Curve.SMOOTHSTEP),
        {"from.segment": "segments/s1", "to.segment": "segments/s2", "duration_s": 0.6, "curve": 2},
    ),
    (
        "work_changed",
        views.WorkChanged("g", Quality.DRAFT, JobState.RUNNING, "denoise", 1, 5, 2.0, 1.0),
        {"quality": 2, "state": 2, "stage": "denoise", "left_s": 2.0, "spent_s": 1.0},
    ),
    ("event_rejected", views.EventRejected("e", 3, "no"), {"event_id": "e", "sequence": 3, "reason": "no"}),
    ("session_closed", views.SessionClosed(), {}),
    ("session_replaced", views.SessionReplaced(VIEW), {"name": "sessions/p1", "cursor": 9}),
]


@pytest.mark.parametrize(("field", "kind", "expected"), UPDATES, ids=[name for name, _, _ in UPDATES])
def test_every_update_has_its_place_on_the_wire(field: str, kind: views.UpdateKind, expected: dict[str, Any]):
    message = update_message(views.Update(7, 2.5, "ab" * 16, kind))
    assert (message.cursor, message.trace_id, message.WhichOneof("kind")) == (7, "ab" * 16, field)
    assert message.update_time.ToNanoseconds() == 2_500_000_000
    for path, value in expected.items():
        part: Any = getattr(message, field)
        for name in path.split("."):
            part = getattr(part, name)
        assert part == value


def test_every_update_of_the_contract_is_tried_here():
    names = {field.name for field in session_pb2.SessionUpdate.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert names == {name for name, _, _ in UPDATES}


def test_a_session_says_all_it_has():
    message = session_message(VIEW)
    missing = set(session_pb2.Session.DESCRIPTOR.fields_by_name) - {field.name for field, _ in message.ListFields()}
    assert missing == set()
    assert (message.name, message.world, message.state) == ("sessions/p1", "worlds/w", session_pb2.SESSION_STATE_PAUSED)
    assert message.snapshot.chains[0].tasks[0] == event_pb2.TaskSnapshot(
        task="t", status=3, fraction=0.25, elapsed_s=3.0
    )
    assert message.gates[0].forecast.reach_chance == 0.5
    assert (message.gates[0].announced, message.gates[0].ready, message.gates[0].shown) == (3, 2, 0)
    assert message.gates[1].opened
    assert not message.gates[1].HasField("forecast")


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Quality, quality_pb2.Quality, "QUALITY_"),
        (ChainStatus, event_pb2.ChainStatus, "CHAIN_STATUS_"),
        (TaskStatus, event_pb2.TaskStatus, "TASK_STATUS_"),
        (views.SessionStatus, session_pb2.SessionState, "SESSION_STATE_"),
        (JobState, session_pb2.WorkState, "WORK_STATE_"),
    ],
)
def test_enums_have_the_wires_numbers(ours: type[IntEnum], theirs: Any, prefix: str):
    expected = {f"{prefix}{item.name}": item.value for item in ours} | {f"{prefix}UNSPECIFIED": 0}
    assert dict(theirs.items()) == expected


def test_profiles_are_checked():
    message = session_pb2.ClientProfile(formats=[MP4], max_splats=1, max_bytes=2, bandwidth_bps=3)
    assert to_profile(message, "p") == views.ClientProfile((MP4,), 1, 2, 3)
    for wrong, path in (
        (session_pb2.ClientProfile(max_splats=-1), "p.max_splats"),
        (session_pb2.ClientProfile(bandwidth_bps=-1), "p.bandwidth_bps"),
        (session_pb2.ClientProfile(formats=["mp4"]), "p.formats[0]"),
        (session_pb2.ClientProfile(formats=["a/" + "b" * 1000]), "p.formats[0]"),
        (session_pb2.ClientProfile(formats=[MP4] * 33), "p.formats"),
    ):
        with pytest.raises(InvalidInput) as caught:
            to_profile(wrong, "p")
        assert caught.value.fields[0].field == path
