"""Events: repeats, gaps, conflicts and what cannot be applied."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Conflict, InvalidInput, NotApplicable, NotFound, OutOfWindow
from service.ids import ChainId, GateId, SegmentId, SessionId, TaskId
from service.play.event import (
    ChainAbandoned,
    ChainAccepted,
    ContentReady,
    Event,
    GateApproached,
    GateOpened,
    SessionPaused,
    SessionResumed,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
)
from service.play.session import new_session
from service.quality import Quality
from service.sessions.intake import take
from service.sessions.live import LiveSession, SessionFacts
from service.sessions.ring import UpdateRing
from service.sessions.step import Step
from service.sessions.views import ClientProfile, EventRejected
from service.work.job import JobState
from service.worlds.world import World
from service.worlds.yaml_file import parse_world

RED = ChainId("red")
RED_GATE = GateId("red_gate")
KEY, WALK = TaskId("fetch_key"), TaskId("walk_back")
WORLD = """
world: two-doors
chains:
  red: {tasks: {fetch_key: {p50_s: 20, p90_s: 60}, walk_back: {requires: fetch_key, p50_s: 10, p90_s: 20}}}
  blue: {tasks: {dive: {p50_s: 30, p90_s: 90}}}
gates:
  red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1}}
  blue_gate: {chain: blue, content: {prompt: a moss room in witchlight, seed: 2}}
"""


async def test_repeats_are_acknowledged_and_applied_once(stage):
    play = await stage.play()
    events = [play.event(ChainAccepted(RED)), play.event(TaskStarted(RED, KEY))]
    first = await stage.director.report(play.session_id, events)
    cursor = (await play.updates())[-1].cursor
    again = await stage.director.report(play.session_id, events)
    assert (first.applied_sequence, first.duplicates, first.held) == (2, 0, 0)
    assert (again.applied_sequence, again.duplicates, again.held) == (2, 2, 0)
    assert (await play.updates())[-1].cursor == cursor


async def test_early_events_are_held_until_the_gap_is_filled(stage):
    play = await stage.play()
    one, two, three = (
        play.event(kind) for kind in (ChainAccepted(RED), TaskStarted(RED, KEY), TaskCompleted(RED, KEY))
    )
    result = await stage.director.report(play.session_id, [three, two])
    assert (result.applied_sequence, result.held) == (0, 2)
    again = await stage.director.report(play.session_id, [three])
    assert (again.applied_sequence, again.duplicates, again.held) == (0, 1, 0)
    result = await stage.director.report(play.session_id, [one])
    assert (result.applied_sequence, result.held) == (3, 0)
    view = await stage.director.session(play.session_id)
    assert view.applied_sequence == 3


async def test_an_event_far_ahead_is_refused_with_what_is_expected(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    ok = play.event(TaskStarted(RED, KEY), sequence=2 + 256)
    assert (await stage.director.report(play.session_id, [ok])).held == 1
    with pytest.raises(OutOfWindow) as caught:
        await stage.director.report(play.session_id, [play.event(TaskStarted(RED, KEY), sequence=2 + 257)])
    assert caught.value.metadata == {"expected_sequence": "2", "applied_sequence": "1"}
    assert caught.value.fields[0].field == "events[0].sequence"


async def test_a_known_number_with_another_id_is_a_conflict_also_while_held_or_rejected(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    held = play.event(TaskStarted(RED, KEY), sequence=4)
    await stage.director.report(play.session_id, [held])
    for sequence in (1, 4):
        with pytest.raises(Conflict) as caught:
            other = play.event(ChainAccepted(RED), sequence=sequence, event_id="someone-else")
            await stage.director.report(play.session_id, [other])
        assert caught.value.metadata["applied_sequence"] == "1"


async def test_an_id_that_another_number_has_is_a_conflict_and_spends_nothing(stage):
    play = await stage.play()
    await stage.director.report(play.session_id, [play.event(ChainAccepted(RED), sequence=1, event_id="one")])
    with pytest.raises(Conflict, match="is that of sequence number 1") as caught:
        await stage.director.report(play.session_id, [play.event(TaskStarted(RED, KEY), sequence=2, event_id="one")])
    assert caught.value.reason == "EVENT_ID_USED"
    assert caught.value.metadata["applied_sequence"] == "1"
    again = await stage.director.report(play.session_id, [play.event(TaskStarted(RED, KEY), sequence=2)])
    assert again.applied_sequence == 2


@pytest.mark.parametrize("after_restart", [False, True])
async def test_what_cannot_be_applied_spends_its_number_and_fails_again_when_repeated(stage, after_restart):
    play = await stage.play()
    events = [
        play.event(ChainAccepted(RED)),
        play.event(GateOpened(GateId("no_such_gate"))),
        play.event(TaskStarted(RED, KEY)),
    ]
    with pytest.raises(InvalidInput) as caught:
        await stage.director.report(play.session_id, events)
    assert caught.value.fields[0].field == "events[1].gate_opened.gate"
    assert caught.value.metadata["applied_sequence"] == "2"
    assert (await stage.director.session(play.session_id)).applied_sequence == 2
    if after_restart:
        await stage.restart()
    with pytest.raises(InvalidInput) as again:
        await stage.director.report(play.session_id, events)
    assert again.value.fields == caught.value.fields
    assert again.value.message == caught.value.message
    result = await stage.director.report(play.session_id, events[2:])
    assert result.applied_sequence == 3


async def test_a_held_event_that_fails_when_its_turn_comes_is_told_of(stage):
    play = await stage.play()
    kinds = (ChainAccepted(RED), GateOpened(GateId("nowhere")), TaskStarted(RED, KEY))
    one, bad, three = (play.event(kind) for kind in kinds)
    await stage.director.report(play.session_id, [bad, three])
    result = await stage.director.report(play.session_id, [one])
    assert result.applied_sequence == 3
    (rejected,) = await play.told(EventRejected)
    assert (rejected.event_id, rejected.sequence) == (bad.event_id, 2)
    assert "nowhere" in rejected.reason
    for _ in range(2):
        with pytest.raises(InvalidInput):
            await stage.director.report(play.session_id, [bad])
        await stage.restart()


async def test_an_event_for_a_finished_chain_is_not_applicable(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED), ChainAbandoned(RED))
    with pytest.raises(NotApplicable) as caught:
        await play.report(TaskStarted(RED, KEY))
    assert caught.value.metadata["applied_sequence"] == "3"


async def test_unknown_sessions_and_bad_numbers_are_refused(stage):
    play = await stage.play()
    with pytest.raises(NotFound):
        await stage.director.report(SessionId("nobody"), [play.event(ChainAccepted(RED), sequence=1)])
    with pytest.raises(InvalidInput, match="starts at 1"):
        await stage.director.report(play.session_id, [play.event(ChainAccepted(RED), sequence=0)])
    with pytest.raises(InvalidInput) as caught:
        await play.report(TaskProgressed(RED, KEY, fraction=float("nan")))
    assert caught.value.fields[0].field.startswith("events[0].task_progressed")


async def test_repeats_that_are_long_past_are_told_from_the_table(stage, monkeypatch):
    monkeypatch.setattr("service.sessions.live.RECENT_EVENTS", 8)
    play = await stage.play()
    events = [play.event(ChainAccepted(RED))]
    events += [play.event(GateApproached(RED_GATE, float(step))) for step in range(60)]
    for event in events:
        await stage.director.report(play.session_id, [event])
    session = stage.director._registry.loaded(play.session_id)
    assert 1 not in session.event_ids
    assert (await stage.director.report(play.session_id, events[:3])).duplicates == 3
    with pytest.raises(Conflict):
        other = play.event(ChainAccepted(RED), sequence=2, event_id="someone-else")
        await stage.director.report(play.session_id, [other])


def script() -> list[object]:
    segment = SegmentId("5" * 64)
    return [
        ChainAccepted(RED),
        TaskStarted(RED, KEY),
        TaskProgressed(RED, KEY, fraction=0.4),
        GateApproached(GateId("blue_gate"), 3.0),
        SessionPaused(),
        SessionResumed(),
        TaskCompleted(RED, KEY),
        GateOpened(GateId("nowhere")),
        ContentReady(RED_GATE, segment, Quality.DRAFT),
        TaskCompleted(RED, WALK),
        GateOpened(RED_GATE),
        ChainAbandoned(ChainId("blue")),
        TaskStarted(ChainId("blue"), TaskId("dive")),
    ]


def scripted_events() -> list[Event]:
    return [Event(f"e{index}", index, 10.0 + index, "ab" * 16, kind) for index, kind in enumerate(script(), start=1)]


def shuffled_events(seed: int) -> list[Event]:
    draw, events = random.Random(seed), scripted_events()
    mixed = draw.sample(events, len(events)) + draw.choices(events, k=5)
    draw.shuffle(mixed)
    return mixed


@cache
def the_world() -> World:
    return parse_world(WORLD.encode())


def folded(calls: list[list[Event]]) -> tuple[object, ...]:
    """What some calls make of a session that nobody stores."""
    world = the_world()
    facts = SessionFacts(SessionId("pure"), world, ClientProfile(), 1.0)
    session = LiveSession(facts, new_session(world, (), 1.0), UpdateRing(64))
    for call in calls:
        take(Step(session, 2.0, ring_updates=64), call, {})
    return session.state, session.applied_sequence, dict(session.held), set(session.rejected), session.status


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), size=st.integers(1, 6))
def test_any_order_with_repeats_gives_the_same_state_as_in_order(seed, size):
    # Calls of one event each at the end bring what a failed call left out.
    mixed = shuffled_events(seed)
    calls = [mixed[start : start + size] for start in range(0, len(mixed), size)] + [[event] for event in mixed]
    plain = folded([[event] for event in scripted_events()])
    assert folded(calls) == plain
    assert plain[1] == len(script())
    assert plain[2] == {}
    assert plain[3] == {8, 13}


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_stored_in_any_order_is_read_as_in_order(stage, seed):
    await stage.play("mixed")
    for event in shuffled_events(seed):
        with suppress(InvalidInput, NotApplicable):
            await stage.director.report(SessionId("mixed"), [event])
    before = await stage.director._registry.get(SessionId("mixed"))
    await stage.restart()
    after = await stage.director._registry.get(SessionId("mixed"))
    assert after is not before
    assert (after.state, after.applied_sequence) == (before.state, len(script()))
    assert set(after.rejected) == {8, 13}
    assert after.state.gates[RED_GATE].ready == {Quality.DRAFT: SegmentId("5" * 64)}


async def test_a_closed_session_takes_no_more_events(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    assert len(stage.live_jobs()) == 2
    await stage.director.close_session(play.session_id)
    closed = await stage.director.close_session(play.session_id)
    assert closed.status == 3
    with pytest.raises(NotApplicable) as caught:
        await play.report(TaskStarted(RED, KEY))
    assert caught.value.reason == "SESSION_CLOSED"
    await stage.turn()
    assert {job.state for job in stage.all_jobs()} == {JobState.CANCELLED}
    last = (await play.updates())[-1]
    assert [update.cursor for update in await play.updates(last.cursor)] == [last.cursor]
