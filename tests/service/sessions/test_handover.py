"""Hand-overs: what is shown only ever gets better."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from service.ids import SegmentId
from service.play.state import GateState
from service.quality import Quality
from service.sessions.handover import FADE_S, Fade, next_handover

P, D, F = Quality.PLACEHOLDER, Quality.DRAFT, Quality.FULL
NAMES = {P: SegmentId("mist"), D: SegmentId("draft"), F: SegmentId("full")}


def gate(shown: Quality | None, *ready: Quality, opened: bool = True) -> GateState:
    return GateState(
        opened_s=1.0 if opened else None,
        ready={quality: NAMES[quality] for quality in ready},
        shown=shown,
        shown_segment=None if shown is None else NAMES[shown],
    )


@pytest.mark.parametrize(
    ("at", "target"),
    [
        (gate(P, P, D), D),
        (gate(P, P, D, F), F),
        (gate(P, P, F), F),
        (gate(D, P, D, F), F),
        (gate(D, P, D), None),
        (gate(F, P, D, F), None),
        (gate(F, P, D), None),
        (gate(D, P), None),
        (gate(None, P, D, F), None),
        (gate(P, P, D, F, opened=False), None),
        (gate(P), None),
    ],
)
def test_the_best_that_is_ready_is_handed_over_and_never_less(at, target):
    plan = next_handover(at, None, 10.0)
    if target is None:
        assert plan is None
    else:
        assert plan is not None
        assert plan.origin == (at.shown, NAMES[at.shown])
        assert plan.target == (target, NAMES[target])
        assert (plan.start_s, plan.duration_s) == (0.0, FADE_S)


def test_no_handover_is_told_twice():
    fade = Fade(D, NAMES[D], 10.6)
    assert next_handover(gate(P, P, D), fade, 10.1) is None
    assert next_handover(gate(P, P, D), fade, 99.0) is None


def test_full_that_comes_during_a_fade_to_draft_begins_where_that_ends():
    plan = next_handover(gate(P, P, D, F), Fade(D, NAMES[D], 10.6), 10.2)
    assert plan is not None
    assert plan.origin == (D, NAMES[D])
    assert plan.target == (F, NAMES[F])
    assert plan.start_s == pytest.approx(0.4)


def test_a_target_that_the_client_could_not_use_is_forgotten():
    at = replace(gate(P, P, D), failed=frozenset({NAMES[F]}))
    plan = next_handover(at, Fade(F, NAMES[F], 10.6), 10.2)
    assert plan is not None
    assert plan.target == (D, NAMES[D])
    assert plan.origin == (P, NAMES[P])


def test_a_fade_that_the_client_has_confirmed_counts_no_more():
    plan = next_handover(gate(D, P, D, F), Fade(D, NAMES[D], 10.6), 50.0)
    assert plan is not None
    assert (plan.origin[0], plan.start_s) == (D, 0.0)


@pytest.mark.parametrize("seed", range(50))
def test_no_course_of_events_steps_down(seed):
    draw = random.Random(seed)
    at, fade, best = gate(P, P), None, P
    for now_s in itertools.count(0.0, 0.3):
        if now_s > 12:
            break
        quality = draw.choice([P, D, F])
        at = replace(at, ready={**at.ready, quality: NAMES[quality]})
        if draw.random() < 0.3 and fade is not None:
            at = replace(at, shown=fade.quality, shown_segment=fade.segment)
        plan = next_handover(at, fade, now_s)
        if plan is not None:
            assert plan.target[0] > plan.origin[0] >= best
            best = plan.origin[0]
            fade = Fade(*plan.target, now_s + plan.start_s + plan.duration_s)
    assert best >= P
