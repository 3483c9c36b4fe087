"""Demands: which gates are worked for, until when, and what they still need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.ids import ChainId, GateId, PlayerId, SegmentId, SessionId, TaskId
from service.play.event import (
    ChainAbandoned,
    ChainAccepted,
    ContentShown,
    Event,
    GateApproached,
    GateOpened,
    TaskCompleted,
)
from service.play.forecast import forecast_gate
from service.play.session import apply, new_session
from service.quality import Quality
from service.sessions.demand import AWAY_S, DemandFacts, gate_demand, kept_where_equal, wanted_gates
from service.sessions.ladder import Ladders, Rung
from service.sessions.live import LiveSession, SessionFacts
from service.sessions.ring import UpdateRing
from service.sessions.views import ClientProfile, ContentAnnounced, SessionStatus
from service.specs import ModelInfo
from service.store.records import ContentRef
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: two-doors
chains:
  red: {tasks: {fetch_key: {p50_s: 20, p90_s: 60}}}
  blue: {tasks: {dive: {p50_s: 30, p90_s: 90}}}
gates:
  red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1}}
  blue_gate: {chain: blue, content: {prompt: a moss room, seed: 2, qualities: [draft]}}
""")
RED, BLUE = GateId("red_gate"), GateId("blue_gate")
NOW_S = 100.0


def session_after(*kinds, world=WORLD, name="s") -> LiveSession:
    facts = SessionFacts(SessionId(name), world, ClientProfile(), NOW_S)
    state = new_session(world, (PlayerId("p"),), NOW_S)
    for sequence, kind in enumerate(kinds, start=1):
        state, _ = apply(world, state, Event(f"e{sequence}", sequence, NOW_S, "", kind))
    return LiveSession(facts, state, UpdateRing(8))


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        ((), []),
        ((ChainAccepted(ChainId("red")),), [RED]),
        ((ChainAccepted(ChainId("red")), ChainAccepted(ChainId("blue"))), [RED, BLUE]),
        ((ChainAccepted(ChainId("red")), ChainAbandoned(ChainId("red"))), []),
        ((ChainAccepted(ChainId("red")), TaskCompleted(ChainId("red"), TaskId("fetch_key"))), [RED]),
        ((GateApproached(BLUE, 4.0),), [BLUE]),
        ((GateOpened(BLUE),), [BLUE]),
        ((GateOpened(BLUE), ContentShown(BLUE, SegmentId("d"), Quality.DRAFT, 0.0)), []),
        ((GateOpened(RED), ContentShown(RED, SegmentId("d"), Quality.DRAFT, 0.0)), [RED]),
        ((GateOpened(RED), ContentShown(RED, SegmentId("f"), Quality.FULL, 0.0)), []),
    ],
)
def test_gates_are_worked_for_while_somebody_is_on_the_way_or_there(kinds, wanted):
    assert wanted_gates(session_after(*kinds), NOW_S) == wanted


def test_an_open_gate_is_left_alone_when_the_player_is_away_and_a_closed_session_wants_nothing():
    session = session_after(ChainAccepted(ChainId("red")), GateOpened(BLUE))
    session.active_s = NOW_S
    assert wanted_gates(session, NOW_S + AWAY_S - 1) == [RED, BLUE]
    assert wanted_gates(session, NOW_S + AWAY_S + 1) == [RED]
    session.status = SessionStatus.CLOSED
    assert wanted_gates(session, NOW_S) == []


RUNGS = (Rung(Quality.DRAFT, 1, SegmentId("d")), Rung(Quality.FULL, 1, SegmentId("f")))


def facts(done: set[str] = frozenset(), delivery_s: float = 3.0) -> DemandFacts:
    return DemandFacts(NOW_S, lambda rung: rung.segment in done, lambda rung: 7.0, lambda session, missing: delivery_s)


def demand_of(session: LiveSession, gate: GateId = RED, **known):
    return gate_demand(session, forecast_gate(WORLD, session.state, gate, NOW_S), RUNGS, facts(**known))


def test_a_deadline_is_the_forecast_less_the_delivery_and_the_opening_for_an_open_gate():
    session = session_after(ChainAccepted(ChainId("red")))
    demand = demand_of(session)
    p50_s = forecast_gate(WORLD, session.state, RED, NOW_S).p50_s
    assert demand.deadline_s == pytest.approx(NOW_S + p50_s - 3.0)
    assert (demand.opened, demand.have, demand.reach_chance) == (False, None, 1.0)
    opened = demand_of(session_after(GateOpened(RED)))
    assert (opened.deadline_s, opened.opened, opened.reach_chance) == (NOW_S, True, 1.0)


def announce(session: LiveSession, segment: str, quality: Quality) -> None:
    ref = ContentRef(WORLD.world_id, RED, SegmentId(segment), None, quality)
    session.add_content(ContentAnnounced(RED, ref, (), (), reused=True))


@pytest.mark.parametrize(
    ("stand_in", "shown", "have"),
    [
        (None, None, None),
        (Quality.PLACEHOLDER, None, Quality.PLACEHOLDER),
        (Quality.DRAFT, None, Quality.DRAFT),
        (Quality.FULL, None, Quality.DRAFT),
        (Quality.FULL, Quality.FULL, Quality.FULL),
        (Quality.PLACEHOLDER, Quality.DRAFT, Quality.DRAFT),
    ],
)
def test_a_stand_in_replaces_the_draft_and_what_is_on_screen_counts_in_full(stand_in, shown, have):
    session = session_after(GateOpened(RED))
    if stand_in is not None:
        announce(session, "of the pool", stand_in)
    if shown is not None:
        at = replace(session.state.gates[RED], shown=shown)
        session.state = replace(session.state, gates={**session.state.gates, RED: at})
    assert demand_of(session).have is have


def test_a_stand_in_that_the_client_could_not_use_counts_for_nothing():
    session = session_after(GateOpened(RED))
    announce(session, "broken", Quality.FULL)
    at = replace(session.state.gates[RED], failed=frozenset({SegmentId("broken")}))
    session.state = replace(session.state, gates={**session.state.gates, RED: at})
    assert demand_of(session).have is None


def test_demands_that_say_the_same_stay_the_same_object():
    session = session_after(ChainAccepted(ChainId("red")))
    old = demand_of(session)
    before = {RED: old}
    assert kept_where_equal(before, [demand_of(session, delivery_s=3.2)])[RED] is old
    assert kept_where_equal(before, [demand_of(session, delivery_s=5.0)])[RED] is not old
    assert kept_where_equal(before, [demand_of(session, done={"d"})])[RED] is not old
    assert kept_where_equal(before, [replace(old, have=Quality.DRAFT)])[RED] is not old
    assert kept_where_equal({}, [old])[RED] is old


def test_ladders_hold_the_worlds_qualities_and_pools_have_one_member_for_everybody():
    ladders = Ladders(ModelInfo("weights"), size=64)
    sessions = [session_after(name=f"s{index}") for index in range(30)]
    own = [ladders.own(session, RED) for session in sessions]
    assert all([rung.quality for rung in rungs] == [Quality.DRAFT, Quality.FULL] for rungs in own)
    assert [rung.quality for rung in ladders.own(sessions[0], BLUE)] == [Quality.DRAFT]
    pool = {rung.segment for rung in ladders.pool(WORLD, RED)}
    members = {rungs[1].segment for rungs in own}
    assert members <= pool
    assert len(pool) == 16
    assert 4 <= len(members) <= 8
    rung = own[0][1]
    assert ladders.spec(WORLD, RED, rung).key() == rung.segment
    assert Ladders(ModelInfo("other weights")).own(sessions[0], RED)[1].segment != rung.segment
