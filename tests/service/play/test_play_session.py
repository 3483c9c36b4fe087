"""The state machine of a session: what each event does, and what it refuses."""

import dataclasses
import math

import pytest

from service.errors import InvalidInput, NotApplicable
from service.play import change
from service.play.event import (
    ChainAbandoned,
    ChainAccepted,
    ChainSnapshot,
    ChainStatus,
    ContentFailed,
    ContentReady,
    ContentShown,
    Event,
    GateApproached,
    GateOpened,
    PartyChanged,
    SessionPaused,
    SessionResumed,
    StateRestored,
    TaskCompleted,
    TaskProgressed,
    TaskSnapshot,
    TaskStarted,
    TaskStatus,
)
from service.play.session import apply, new_session, snapshot, snapshot_chain, with_announced
from service.quality import Quality
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: keep
chains:
  red:
    tasks:
      find_key: {p50_s: 20, p90_s: 45}
      find_map: {p50_s: 5, p90_s: 9}
      walk: {requires: {all: [find_key, find_map]}, p50_s: 8, p90_s: 20}
  blue:
    tasks:
      left: {p50_s: 5, p90_s: 9}
      right: {p50_s: 5, p90_s: 9}
      reach: {requires: {any: [left, right]}, p50_s: 5, p90_s: 9}
  idle:
    tasks:
      one: {p50_s: 5, p90_s: 9}
      two: {p50_s: 5, p90_s: 9}
gates:
  hall: {chain: red, requires: find_key, content: {prompt: a hall}}
  red_gate: {chain: red, content: {prompt: a red room}}
  blue_gate: {chain: blue, content: {prompt: a blue room}}
""")
ALL_CHANGES = change.Change.__args__


def play(*kinds, state=None, start_s=100.0, step_s=1.0):
    """The state and the changes of the last event, after events `step_s` apart."""
    state = state or new_session(WORLD, ("p1",), start_s)
    changes = ()
    for number, kind in enumerate(kinds):
        event = Event(f"e{number}", number + 1, state.time_s + step_s, "", kind)
        state, changes = apply(WORLD, state, event)
    return state, changes


def statuses(state, chain):
    return {task: at.status.name for task, at in state.chains[chain].tasks.items()}


def test_a_new_session_offers_every_chain_and_opens_nothing():
    state = new_session(WORLD, ("p1",), 100.0)
    assert {chain.status for chain in state.chains.values()} == {ChainStatus.OFFERED}
    assert statuses(state, "red") == {"find_key": "AVAILABLE", "find_map": "AVAILABLE", "walk": "LOCKED"}
    assert not any(gate.opened or gate.dead for gate in state.gates.values())
    assert state.players == ("p1",)


def test_all_needs_every_task_and_any_needs_one():
    state, _ = play(ChainAccepted("red"), TaskCompleted("red", "find_key"))
    assert statuses(state, "red")["walk"] == "LOCKED"
    state, _ = play(TaskCompleted("red", "find_map"), state=state)
    assert statuses(state, "red")["walk"] == "AVAILABLE"
    state, _ = play(ChainAccepted("blue"), TaskCompleted("blue", "right"))
    assert statuses(state, "blue") == {"left": "AVAILABLE", "right": "COMPLETED", "reach": "AVAILABLE"}


def test_a_chain_is_completed_when_the_requirements_of_all_its_gates_are_met():
    state, _ = play(ChainAccepted("red"), TaskCompleted("red", "find_key"), TaskCompleted("red", "find_map"))
    assert state.chains["red"].status is ChainStatus.ACCEPTED
    state, changes = play(TaskCompleted("red", "walk"), state=state)
    assert state.chains["red"].status is ChainStatus.COMPLETED
    assert changes == (change.ChainChangedTo("red"),)


def test_a_chain_without_gates_is_completed_when_all_its_end_tasks_are():
    state, _ = play(TaskCompleted("idle", "one"))
    assert state.chains["idle"].status is ChainStatus.ACCEPTED
    state, _ = play(TaskCompleted("idle", "two"), state=state)
    assert state.chains["idle"].status is ChainStatus.COMPLETED


def test_a_task_event_accepts_an_offered_chain():
    for kind in (TaskStarted("red", "find_key"), TaskProgressed("red", "find_key", fraction=0.5)):
        state, _ = play(kind)
        assert state.chains["red"].status is ChainStatus.ACCEPTED
        assert state.chains["red"].tasks["find_key"].status is TaskStatus.STARTED


def test_a_locked_task_may_be_started_and_completed_because_the_game_is_right():
    state, _ = play(TaskStarted("red", "walk"))
    assert statuses(state, "red")["walk"] == "STARTED"
    state, _ = play(TaskCompleted("red", "walk"), state=state)
    assert state.chains["red"].status is ChainStatus.COMPLETED


def test_accepting_twice_changes_nothing_but_the_time():
    state, _ = play(ChainAccepted("red"), TaskStarted("red", "find_key"))
    again, changes = play(ChainAccepted("red"), state=state)
    assert changes == ()
    assert again.chains == state.chains


FINISHED = {
    "COMPLETED": (TaskCompleted("red", "walk"),),
    "ABANDONED": (ChainAbandoned("red"),),
}


@pytest.mark.parametrize("status", FINISHED)
@pytest.mark.parametrize(
    "kind",
    [
        TaskStarted("red", "find_map"),
        TaskProgressed("red", "find_map", eta_s=3.0),
        TaskCompleted("red", "find_map"),
        ChainAbandoned("red"),
    ],
)
def test_a_finished_chain_refuses_events_and_says_what_state_it_is_in(status, kind):
    before = (TaskCompleted("red", "find_key"), *FINISHED[status])
    state, _ = play(*before)
    with pytest.raises(NotApplicable) as error:
        play(kind, state=state)
    assert f"'red' is {status}" in error.value.message
    assert error.value.reason == f"CHAIN_{status}"
    assert error.value.metadata == {"chain": "red", "status": status}


def test_a_completed_chain_cannot_be_accepted_again():
    state, _ = play(TaskCompleted("red", "find_key"), TaskCompleted("red", "walk"))
    with pytest.raises(NotApplicable, match="COMPLETED: it cannot be accepted"):
        play(ChainAccepted("red"), state=state)


@pytest.mark.parametrize(
    "kind",
    [TaskStarted("red", "find_key"), TaskProgressed("red", "find_key", fraction=1.0), TaskCompleted("red", "find_key")],
)
def test_a_completed_task_refuses_events(kind):
    state, _ = play(TaskCompleted("red", "find_key"))
    with pytest.raises(NotApplicable, match="task 'find_key' of chain 'red' is COMPLETED") as error:
        play(kind, state=state)
    assert error.value.reason == "TASK_COMPLETED"


def test_abandoning_kills_closed_gates_only_and_accepting_again_revives_them():
    state, changes = play(GateOpened("hall"), ChainAccepted("red"), ChainAbandoned("red"))
    assert changes == (change.ChainChangedTo("red"), change.GateDied("red_gate"))
    assert (state.gates["hall"].dead, state.gates["red_gate"].dead) == (False, True)
    state, changes = play(ChainAccepted("red"), state=state)
    assert changes == (change.ChainChangedTo("red"), change.GateRevived("red_gate"))
    assert not state.gates["red_gate"].dead


def test_a_chain_accepted_again_keeps_what_was_completed_and_begins_anew_what_was_begun():
    state, _ = play(TaskCompleted("red", "find_key"), TaskStarted("red", "find_map"), ChainAbandoned("red"))
    state, _ = play(ChainAccepted("red"), state=state, step_s=50.0)
    assert statuses(state, "red") == {"find_key": "COMPLETED", "find_map": "AVAILABLE", "walk": "LOCKED"}
    assert state.chains["red"].tasks["find_map"].began_s == state.played_s


def test_a_gate_may_open_at_any_time_and_a_dead_one_comes_back_by_it():
    state, changes = play(GateOpened("red_gate"))
    assert changes == (change.GateOpenedNow("red_gate"),)
    assert state.gates["red_gate"].opened_s == 101.0
    state, _ = play(ChainAbandoned("blue"), state=state)
    state, changes = play(GateOpened("blue_gate"), state=state)
    assert changes == (change.GateRevived("blue_gate"), change.GateOpenedNow("blue_gate"))
    state, changes = play(GateOpened("blue_gate"), state=state)
    assert changes == ()


def test_content_is_what_the_client_says():
    state, changes = play(ContentReady("hall", "s1", Quality.DRAFT))
    assert changes == (change.ContentReadyNow("hall", "s1", Quality.DRAFT),)
    state, changes = play(ContentShown("hall", "s1", Quality.DRAFT, 12.5), state=state)
    assert changes == (change.ContentShownNow("hall", "s1", Quality.DRAFT, 12.5),)
    state, _ = play(ContentShown("hall", "s2", Quality.FULL, 0.0), state=state)
    gate = state.gates["hall"]
    assert (gate.shown, gate.shown_segment, gate.stall_ms) == (Quality.FULL, "s2", 12.5)
    assert gate.ready == {Quality.DRAFT: "s1", Quality.FULL: "s2"}
    assert gate.ready_quality is Quality.FULL
    state, changes = play(ContentFailed("hall", "s2", Quality.FULL, "out of memory"), state=state)
    assert changes == (change.ContentFailedNow("hall", "s2", Quality.FULL, "out of memory"),)
    assert state.gates["hall"].ready_quality is Quality.DRAFT
    assert state.gates["hall"].failed == {"s2"}
    state, _ = play(ContentReady("hall", "s2", Quality.FULL), state=state)
    assert state.gates["hall"].failed == frozenset()


def test_announcements_are_kept_by_quality():
    state = new_session(WORLD, (), 0.0)
    announced = with_announced(with_announced(state, "hall", Quality.DRAFT, "d"), "hall", Quality.PLACEHOLDER, "")
    assert announced.gates["hall"].announced == {Quality.DRAFT: "d", Quality.PLACEHOLDER: ""}
    assert announced.gates["hall"].announced_quality is Quality.DRAFT
    assert state.gates["hall"].announced_quality is None


def test_pauses_do_not_count_as_play():
    state, _ = play(TaskStarted("red", "find_key"), step_s=0.0)
    state, changes = play(SessionPaused(), state=state, step_s=10.0)
    assert changes == (change.PausedNow(),)
    assert play(SessionPaused(), state=state)[1] == ()
    state, changes = play(SessionResumed(), state=state, step_s=1000.0)
    assert changes == (change.ResumedNow(),)
    assert play(SessionResumed(), state=state)[1] == ()
    state, _ = play(GateApproached("hall", 3.0), state=state, step_s=5.0)
    assert state.played_s == 15.0
    assert state.chains["red"].tasks["find_key"].elapsed_s(state.played_s) == 15.0
    assert (state.played_at(state.time_s + 4), state.played_at(0.0)) == (19.0, 15.0)


def test_time_never_goes_back():
    state, _ = play(TaskStarted("red", "find_key"))
    event = Event("late", 9, 3.0, "", TaskCompleted("red", "find_key"))
    after, _ = apply(WORLD, state, event)
    assert after.time_s == state.time_s
    assert after.chains["red"].tasks["find_key"].elapsed_s(after.played_s) == 0.0


def test_progress_by_fraction_steps_and_estimate():
    state, _ = play(TaskProgressed("red", "find_key", remaining_steps=8))
    assert state.chains["red"].tasks["find_key"].fraction == 0.0
    state, _ = play(TaskProgressed("red", "find_key", remaining_steps=2), state=state)
    assert state.chains["red"].tasks["find_key"].fraction == 0.75
    state, _ = play(TaskProgressed("red", "find_key", eta_s=7), state=state)
    task = state.chains["red"].tasks["find_key"]
    assert (task.eta_s, task.fraction, task.reported_s) == (7.0, 0.75, state.played_s)
    state, _ = play(TaskProgressed("red", "find_key", fraction=0.8), state=state)
    task = state.chains["red"].tasks["find_key"]
    assert (task.eta_s, task.fraction) == (None, 0.8)
    state, _ = play(TaskProgressed("red", "find_map", remaining_steps=0), state=state)
    assert state.chains["red"].tasks["find_map"].fraction == 1.0


def test_a_party_changes():
    state, changes = play(PartyChanged(("p1", "p2")))
    assert (state.players, changes) == (("p1", "p2"), (change.PlayersChanged(),))
    assert play(PartyChanged(("p1", "p2")), state=state)[1] == ()
    assert play(PartyChanged(()), state=state)[0].players == ()


BAD = [
    (ChainAccepted("rad"), "chain_accepted.chain", "did you mean 'red'?"),
    (ChainAbandoned("x"), "chain_abandoned.chain", "a chain of world 'keep'"),
    (TaskStarted("x", "find_key"), "task_started.chain", "a chain"),
    (TaskStarted("red", "find_keys"), "task_started.task", "did you mean 'find_key'?"),
    (TaskCompleted("red", "left"), "task_completed.task", "a task of chain 'red'"),
    (TaskProgressed("red", "x", fraction=0.5), "task_progressed.task", "a task"),
    (TaskProgressed("red", "find_key"), "task_progressed.progress", "exactly one"),
    (TaskProgressed("red", "find_key", fraction=0.5, eta_s=1.0), "task_progressed.progress", "exactly one"),
    (TaskProgressed("red", "find_key", fraction=math.nan), "task_progressed.fraction", "0 to 1"),
    (TaskProgressed("red", "find_key", fraction=1.01), "task_progressed.fraction", "0 to 1"),
    (TaskProgressed("red", "find_key", eta_s=-1.0), "task_progressed.eta_s", "0 or more"),
    (TaskProgressed("red", "find_key", eta_s=math.inf), "task_progressed.eta_s", "finite"),
    (TaskProgressed("red", "find_key", remaining_steps=-1), "task_progressed.remaining_steps", "0 or more"),
    (GateOpened("red_gat"), "gate_opened.gate", "did you mean 'red_gate'?"),
    (GateApproached("x", 1.0), "gate_approached.gate", "a gate"),
    (GateApproached("hall", math.nan), "gate_approached.distance_m", "metres"),
    (GateApproached("hall", -0.1), "gate_approached.distance_m", "got -0.1"),
    (ContentReady("x", "s", Quality.FULL), "content_ready.gate", "a gate"),
    (ContentReady("hall", "", Quality.FULL), "content_ready.segment", "empty only for a placeholder"),
    (ContentShown("hall", "s", Quality.FULL, -1.0), "content_shown.stall_ms", "milliseconds"),
    (ContentShown("hall", "s" * 300, Quality.FULL, 1.0), "content_shown.segment", "at most 256 characters"),
    (ContentFailed("hall", "s", Quality.FULL, "x" * 4001), "content_failed.reason", "at most 4000"),
    (PartyChanged(("a", "a")), "party_changed.players[1]", "once"),
    (PartyChanged(("",)), "party_changed.players[0]", "not empty"),
    (PartyChanged(tuple(map(str, range(300)))), "party_changed.players", "at most 256"),
    (
        StateRestored((ChainSnapshot("x", ChainStatus.ACCEPTED, ()),), ()),
        "state_restored.snapshot.chains[0].chain",
        "x",
    ),
    (StateRestored((), ("hall", "x")), "state_restored.snapshot.opened_gates[1]", "a gate"),
]


@pytest.mark.parametrize(("kind", "field", "words"), BAD)
def test_wrong_fields_are_named(kind, field, words):
    with pytest.raises(InvalidInput) as error:
        play(kind)
    (problem,) = error.value.fields
    assert problem.field == field
    assert words in problem.message
    assert "got " in problem.message and "allowed " in problem.message


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -1.0])
def test_an_event_needs_a_time(time_s):
    with pytest.raises(InvalidInput) as error:
        apply(WORLD, new_session(WORLD, (), 0.0), Event("e", 1, time_s, "", SessionPaused()))
    assert error.value.fields[0].field == "event_time"


def _saved(**task):
    saved = dataclasses.replace(TaskSnapshot("find_key", TaskStatus.STARTED, 0.5, 3.0), **task)
    return StateRestored((ChainSnapshot("red", ChainStatus.ACCEPTED, (saved,)),), ())


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (_saved(task="left"), "tasks[0].task"),
        (_saved(fraction=2.0), "tasks[0].fraction"),
        (_saved(fraction=math.nan), "tasks[0].fraction"),
        (_saved(elapsed_s=-1.0), "tasks[0].elapsed_s"),
        (StateRestored(_saved().chains * 2, ()), "chain"),
        (
            StateRestored((ChainSnapshot("red", ChainStatus.ACCEPTED, _saved().chains[0].tasks * 2),), ()),
            "tasks[1].task",
        ),
    ],
)
def test_a_broken_save_is_refused_whole(kind, end):
    with pytest.raises(InvalidInput) as error:
        play(kind)
    assert error.value.fields[0].field.startswith("state_restored.snapshot.chains[")
    assert error.value.fields[0].field.endswith(end)


def test_a_save_may_take_everything_back():
    early, _ = play(TaskStarted("red", "find_key"), ContentReady("hall", "s", Quality.DRAFT), step_s=4.0)
    late, _ = play(
        TaskCompleted("red", "find_key"),
        TaskCompleted("red", "find_map"),
        TaskCompleted("red", "walk"),
        GateOpened("red_gate"),
        ContentShown("red_gate", "s", Quality.FULL, 0.0),
        ChainAbandoned("blue"),
        state=early,
    )
    restored, changes = play(snapshot(early), state=late)
    assert snapshot(restored).opened_gates == ()
    assert snapshot_chain(restored, "blue").status is ChainStatus.OFFERED
    assert snapshot_chain(restored, "red") == snapshot_chain(early, "red")
    assert changes[0] == change.Restored()
    assert set(changes[1:]) == {
        change.GateRevived("blue_gate"),
        change.GateClosedNow("red_gate"),
        change.ChainChangedTo("red"),
        change.ChainChangedTo("blue"),
    }
    gate = restored.gates["red_gate"]
    assert (gate.shown, gate.ready) == (None, {Quality.FULL: "s"})


def test_a_save_kills_and_opens_gates():
    saved = StateRestored((ChainSnapshot("red", ChainStatus.ABANDONED, ()),), ("hall",))
    restored, changes = play(saved)
    assert change.GateDied("red_gate") in changes
    assert change.GateOpenedNow("hall") in changes
    assert restored.gates["hall"].opened and not restored.gates["hall"].dead


def test_every_change_that_an_event_can_make_is_listed():
    assert {kind.__name__ for kind in ALL_CHANGES} == {
        name for name, value in vars(change).items() if dataclasses.is_dataclass(value)
    }


def test_what_did_not_change_is_shared():
    state, _ = play(ChainAccepted("red"))
    after, _ = play(TaskStarted("red", "find_key"), state=state)
    assert after.gates is state.gates
    assert after.chains["blue"] is state.chains["blue"]
    assert after.chains["red"].tasks["walk"] is state.chains["red"].tasks["walk"]
    assert state.chains["red"].tasks["find_key"].status is TaskStatus.AVAILABLE
