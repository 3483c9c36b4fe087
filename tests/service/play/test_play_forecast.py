"""Forecasts of gates: longest ways, branches, and what is left as a session goes on."""

import numpy as np
import pytest

from service.play.event import (
    ChainAbandoned,
    ChainAccepted,
    Event,
    GateOpened,
    SessionPaused,
    SessionResumed,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
)
from service.play.forecast import ACCEPT_CHANCE, forecast_gate, forecast_gates
from service.play.session import apply, new_session
from service.play.ways import CHANGED_MIND
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: keep
chains:
  one:
    tasks:
      only: {p50_s: 20, p90_s: 45}
  line:
    abandon_chance: 0.36
    tasks:
      a: {p50_s: 10, p90_s: 15}
      b: {requires: a, p50_s: 10, p90_s: 15}
  split:
    tasks:
      start: {p50_s: 10, p90_s: 12}
      fast: {requires: start, p50_s: 5, p90_s: 6, chance: 0.75}
      slow: {requires: start, p50_s: 50, p90_s: 60, chance: 0.25}
  both:
    tasks:
      short: {p50_s: 5, p90_s: 6}
      long: {p50_s: 50, p90_s: 60}
  rare:
    tasks:
      never: {p50_s: 5, p90_s: 6, chance: 0.001}
gates:
  one: {chain: one, content: {prompt: x}}
  line: {chain: line, content: {prompt: x}}
  line_a: {chain: line, requires: a, content: {prompt: x}}
  fast: {chain: split, requires: fast, content: {prompt: x}}
  slow: {chain: split, requires: slow, content: {prompt: x}}
  either: {chain: split, requires: {any: [fast, slow]}, content: {prompt: x}}
  two: {chain: split, requires: {all: [fast, slow]}, content: {prompt: x}}
  all: {chain: both, content: {prompt: x}}
  any: {chain: both, requires: {any: [short, long]}, content: {prompt: x}}
  free: {chain: both, requires: {all: []}, content: {prompt: x}}
  rare: {chain: rare, content: {prompt: x}}
""")


def after(*steps):
    """The state after (seconds since the session began, event) pairs."""
    state = new_session(WORLD, ("p",), 1000.0)
    for number, (at_s, kind) in enumerate(steps):
        state, _ = apply(WORLD, state, Event(f"e{number}", number + 1, 1000.0 + at_s, "", kind))
    return state


def forecast(state, gate, at_s=0.0):
    return forecast_gate(WORLD, state, gate, 1000.0 + at_s)


def test_one_task_is_its_own_distribution():
    found = forecast(after((0, ChainAccepted("one"))), "one")
    assert found.p50_s == pytest.approx(20, rel=0.01)
    assert found.p90_s == pytest.approx(45, rel=0.02)
    assert found.cdf(20) == pytest.approx(0.5, abs=0.01)
    assert found.cdf(45) == pytest.approx(0.9, abs=0.01)
    assert (found.cdf(0), found.cdf(1e9)) == (0, 1)
    assert found.reach_chance == 1.0


def test_an_offered_chain_may_never_be_accepted():
    assert forecast(after(), "one").reach_chance == ACCEPT_CHANCE


def test_two_tasks_in_a_row_take_the_sum():
    found = forecast(after((0, ChainAccepted("line"))), "line")
    draws = np.random.default_rng(0).lognormal(np.log(10), np.log(1.5) / 1.28155, (2, 200_000)).sum(axis=0)
    assert found.p50_s == pytest.approx(np.quantile(draws, 0.5), rel=0.03)
    assert found.p90_s == pytest.approx(np.quantile(draws, 0.9), rel=0.05)


def test_all_waits_for_the_longest_and_any_for_the_shortest():
    state = after((0, ChainAccepted("both")))
    assert forecast(state, "all").p50_s == pytest.approx(50, rel=0.01)
    assert forecast(state, "any").p50_s == pytest.approx(5, rel=0.01)
    assert forecast(state, "free").p90_s == 0.0


def test_branches_are_taken_by_their_odds():
    state = after((0, ChainAccepted("split")))
    chances = {gate: forecast(state, gate).reach_chance for gate in ("fast", "slow", "either", "two")}
    assert chances == pytest.approx({"fast": 0.75, "slow": 0.25, "either": 1.0, "two": 0.0}, abs=0.01)
    either = forecast(state, "either")
    assert either.cdf(40) == pytest.approx(0.75, abs=0.02)
    assert forecast(state, "slow").p50_s == pytest.approx(60, rel=0.05)
    assert forecast(state, "two").p50_s == pytest.approx(60, rel=0.05), "even what is unlikely has a time"


def test_a_branch_that_was_begun_is_the_one_that_is_taken():
    state = after((0, TaskCompleted("split", "start")), (1, TaskStarted("split", "slow")))
    assert forecast(state, "slow", 1).reach_chance > 0.9
    assert forecast(state, "fast", 1).reach_chance == pytest.approx(0.75 * CHANGED_MIND, abs=0.01)


def test_what_hardly_anybody_reaches_still_has_a_forecast():
    found = forecast(after((0, ChainAccepted("rare"))), "rare")
    assert found.p50_s == pytest.approx(5, rel=0.02)
    assert 0 < found.reach_chance < 0.01


def test_done_opened_and_abandoned():
    done = after((0, TaskCompleted("one", "only")))
    assert (forecast(done, "one").p90_s, forecast(done, "one").reach_chance) == (0.0, 1.0)
    assert forecast(done, "one").cdf(0.0) == 1
    opened = after((0, ChainAbandoned("one")), (1, GateOpened("one")))
    assert (forecast(opened, "one").p90_s, forecast(opened, "one").reach_chance) == (0.0, 1.0)
    assert forecast(after((0, ChainAbandoned("one"))), "one").reach_chance == 0.0


def test_the_chance_to_give_up_shrinks_with_what_is_left():
    begun = forecast(after((0, ChainAccepted("line"))), "line").reach_chance
    half = forecast(after((0, TaskCompleted("line", "a"))), "line").reach_chance
    assert begun == pytest.approx(0.64, abs=0.01)
    assert half == pytest.approx(0.8, abs=0.01)
    most = forecast(after((0, TaskProgressed("line", "a", fraction=0.5))), "line").reach_chance
    assert most == pytest.approx(0.64**0.75, abs=0.01)


def test_time_that_passes_brings_the_gate_nearer_then_tells_that_the_player_has_left():
    state = after((0, ChainAccepted("one")), (0, TaskStarted("one", "only")))
    found = [forecast(state, "one", at_s) for at_s in (0, 5, 10, 40, 100, 1_000, 10_000)]
    p50s = [each.p50_s for each in found]
    assert p50s[0] > p50s[1] > p50s[2]
    ends = [each.p50_s + at_s for each, at_s in zip(found, (0, 5, 10, 40, 100, 1_000, 10_000), strict=True)]
    assert ends == sorted(ends)
    chances = [each.reach_chance for each in found]
    assert chances == sorted(chances, reverse=True)
    assert chances[3] > 0.9 and chances[-1] < 0.05


def test_pauses_do_not_age_a_forecast():
    started = [(0, ChainAccepted("one")), (0, TaskStarted("one", "only"))]
    paused = after(*started, (10, SessionPaused()))
    assert forecast(paused, "one", 5_000).p50_s == forecast(after(*started), "one", 10).p50_s
    resumed = after(*started, (10, SessionPaused()), (4_000, SessionResumed()))
    assert forecast(resumed, "one", 4_005).p50_s == forecast(after(*started), "one", 15).p50_s


def test_where_starts_are_not_reported_the_clock_of_what_is_available_runs():
    silent = after((0, ChainAccepted("line")))
    assert forecast(silent, "line_a", 8).p50_s < 5
    telling = after((0, TaskStarted("line", "a")), (9, TaskCompleted("line", "a")))
    assert forecast(telling, "line", 9).p50_s == forecast(telling, "line", 14).p50_s


def test_progress_counts_and_the_newest_report_most():
    state = after((0, TaskStarted("one", "only")), (10, TaskProgressed("one", "only", eta_s=3.0)))
    assert forecast(state, "one", 10).p50_s == pytest.approx(3, rel=0.02)
    assert forecast(state, "one", 12).p50_s < 2
    state = after((0, TaskStarted("one", "only")), (10, TaskProgressed("one", "only", fraction=0.9)))
    assert forecast(state, "one", 10).p50_s < 3


def test_one_gate_and_all_gates_agree_in_every_bit():
    state = after((0, TaskStarted("split", "start")), (3, ChainAccepted("line")))
    both = forecast_gates(WORLD, state, 1007.0)
    assert list(both) == list(WORLD.gates)
    for gate, found in both.items():
        alone = forecast_gate(WORLD, state, gate, 1007.0)
        assert (alone.samples_s == found.samples_s).all()
        assert alone.reach_chance == found.reach_chance


def test_some_gates_can_be_asked_for_alone():
    state = after((0, TaskStarted("split", "start")))
    some = forecast_gates(WORLD, state, 1007.0, ["slow", "one"])
    assert list(some) == ["slow", "one"]
    assert (some["slow"].samples_s == forecast(state, "slow", 7).samples_s).all()
    assert forecast_gates(WORLD, state, 1007.0, []) == {}


def test_an_unknown_gate_is_a_key_error():
    with pytest.raises(KeyError):
        forecast(after(), "nowhere")
