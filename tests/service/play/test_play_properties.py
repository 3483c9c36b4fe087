"""Any sequence of events: the same again gives the same, nothing negative, saves give back what they hold."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import NotApplicable
from service.play import event as events
from service.play.event import ChainStatus, Event, TaskStatus
from service.play.forecast import forecast_gates
from service.play.session import apply, new_session, snapshot
from service.quality import Quality
from service.worlds.world import is_met
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: keep
chains:
  red:
    abandon_chance: 0.2
    tasks:
      a: {p50_s: 2, p90_s: 4}
      b: {requires: a, p50_s: 3, p90_s: 7, chance: 0.6}
      c: {requires: a, p50_s: 3, p90_s: 7, chance: 0.4}
      d: {requires: {any: [b, c]}, p50_s: 3, p90_s: 7}
      e: {requires: {all: [a, {any: [c, d]}]}, p50_s: 1, p90_s: 2}
  blue:
    tasks:
      a: {p50_s: 2, p90_s: 4}
gates:
  mid: {chain: red, requires: {all: [b]}, content: {prompt: x}}
  end: {chain: red, content: {prompt: x}}
  blue: {chain: blue, content: {prompt: x}}
""")
CHAIN_TASKS = [(chain, task) for chain, known in WORLD.chains.items() for task in known.tasks]
chains = st.sampled_from(list(WORLD.chains))
gates = st.sampled_from(list(WORLD.gates))
places = st.sampled_from(CHAIN_TASKS)
shares = st.floats(0, 1)
seconds = st.floats(0, 1e4)
segments = st.sampled_from(["s1", "s2", "s3"])
qualities = st.sampled_from(list(Quality))
kinds = st.one_of(
    st.builds(events.ChainAccepted, chains),
    st.builds(lambda at: events.TaskStarted(*at), places),
    st.builds(lambda at, f: events.TaskProgressed(*at, fraction=f), places, shares),
    st.builds(lambda at, n: events.TaskProgressed(*at, remaining_steps=n), places, st.integers(0, 50)),
    st.builds(lambda at, s: events.TaskProgressed(*at, eta_s=s), places, seconds),
    st.builds(lambda at: events.TaskCompleted(*at), places),
    st.builds(events.ChainAbandoned, chains),
    st.builds(events.GateApproached, gates, seconds),
    st.builds(events.GateOpened, gates),
    st.builds(events.ContentReady, gates, segments, qualities),
    st.builds(events.ContentShown, gates, segments, qualities, seconds),
    st.builds(events.ContentFailed, gates, segments, qualities, st.just("")),
    st.just(events.SessionPaused()),
    st.just(events.SessionResumed()),
    st.builds(events.PartyChanged, st.just(("a", "b"))),
)
histories = st.lists(st.tuples(kinds, st.floats(-5, 60)), max_size=25)


def folded(history, state=None):
    """All states that the history leads through; what cannot be applied leaves the state as it is."""
    states = [state or new_session(WORLD, ("a",), 1000.0)]
    for number, (kind, step_s) in enumerate(history):
        event = Event(str(number), number + 1, states[-1].time_s + step_s, "", kind)
        try:
            states.append(apply(WORLD, states[-1], event)[0])
        except NotApplicable:
            continue
    return states


@given(histories)
@settings(max_examples=120, deadline=None)
def test_the_same_events_give_the_same_states(history):
    assert folded(history) == folded(history)


@given(histories)
@settings(max_examples=120, deadline=None)
def test_times_go_forward_and_progress_stays_in_range(history):
    states = folded(history)
    for before, after in itertools.pairwise(states):
        assert after.time_s >= before.time_s
        assert after.played_s >= before.played_s
        assert after.played_s - before.played_s <= after.time_s - before.time_s + 1e-6
    for chain in states[-1].chains.values():
        for task in chain.tasks.values():
            assert 0 <= task.fraction <= 1
            assert task.elapsed_s(states[-1].played_s) >= 0


@given(histories)
@settings(max_examples=120, deadline=None)
def test_locked_means_that_the_requirement_is_not_met(history):
    state = folded(history)[-1]
    for chain, at in state.chains.items():
        for task, where in at.tasks.items():
            met = is_met(WORLD.chains[chain].tasks[task].requires, lambda t, at=at: at.tasks[t].status == 4)
            if where.status is TaskStatus.LOCKED:
                assert not met
            if where.status is TaskStatus.AVAILABLE:
                assert met
    for gate, at in state.gates.items():
        abandoned = state.chains[WORLD.gates[gate].chain].status is ChainStatus.ABANDONED
        assert at.dead == (abandoned and not at.opened)


@given(histories, histories)
@settings(max_examples=120, deadline=None)
def test_a_save_gives_back_what_it_holds_wherever_it_is_loaded(history, other):
    saved = snapshot(folded(history)[-1])
    at = folded(other)[-1]
    restored, _ = apply(WORLD, at, Event("r", 1, at.time_s, "", saved))
    again, _ = apply(WORLD, restored, Event("r2", 2, at.time_s, "", saved))
    assert _rounded(snapshot(restored)) == _rounded(saved)
    assert _rounded(snapshot(again)) == _rounded(saved)


def _rounded(saved):
    """Elapsed seconds come back through a difference of large numbers."""
    chain_tasks = {
        (chain.chain, task.task): (chain.status, task.status, task.fraction, round(task.elapsed_s, 6))
        for chain in saved.chains
        for task in chain.tasks
    }
    return chain_tasks, sorted(saved.opened_gates)


@given(histories, st.floats(0, 5000))
@settings(max_examples=60, deadline=None)
def test_every_state_has_a_forecast_that_means_something(history, later_s):
    state = folded(history)[-1]
    for gate, forecast in forecast_gates(WORLD, state, state.time_s + later_s).items():
        assert 0 <= forecast.p50_s <= forecast.p90_s < 1e9
        assert 0 <= forecast.reach_chance <= 1
        assert (forecast.reach_chance == 0) == state.gates[gate].dead
        assert forecast.cdf(-1.0) == 0 and forecast.cdf(1e12) == 1
