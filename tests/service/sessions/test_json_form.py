"""The JSON form: what goes in comes out, for every kind of event and update."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.play.event import ContentReady, EventKind, StateRestored
from service.play.state import SessionState
from service.quality import Quality
from service.sessions.json_form import from_json, layout, to_json
from service.sessions.views import ContentAnnounced, SessionReplaced, UpdateKind


@pytest.mark.parametrize("kind", get_args(EventKind), ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_event_comes_back(kind, data):
    value = data.draw(st.from_type(kind))
    text = to_json(EventKind, value)
    back = from_json(EventKind, text)
    assert type(back) is kind
    assert to_json(EventKind, back) == text
    if "NaN" not in text:
        assert back == value


@pytest.mark.parametrize("kind", set(get_args(UpdateKind)) - {SessionReplaced}, ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_update_comes_back(kind, data):
    value = data.draw(st.from_type(kind))
    text = to_json(UpdateKind, value)
    assert to_json(UpdateKind, from_json(UpdateKind, text)) == text
    if "NaN" not in text:
        assert from_json(UpdateKind, text) == value


@settings(max_examples=50, deadline=None)
@given(state=st.from_type(SessionState))
def test_every_state_comes_back(state):
    text = to_json(SessionState, state)
    if "NaN" not in text:
        assert from_json(SessionState, text) == state


def test_equal_kinds_of_fields_are_told_apart_and_text_stays_readable():
    assert to_json(EventKind, ContentReady("g", "s", Quality.FULL)) == (
        '{"kind":"ContentReady","gate":"g","segment":"s","quality":3}'
    )
    assert from_json(EventKind, to_json(EventKind, StateRestored((), ()))) == StateRestored((), ())


def test_infinity_is_kept():
    @dataclass(frozen=True)
    class Far:
        far_s: float
        name: str

    assert from_json(Far, to_json(Far, Far(math.inf, "é"))) == Far(math.inf, "é")


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"kind":"Nothing"}', '{"kind":"ContentReady"}', "\x00"])
def test_other_text_is_an_error_that_says_so(text):
    with pytest.raises(ValueError, match=r"JSON|Expecting|kind|not"):
        value = from_json(ContentReady, text)
        raise ValueError(f"not refused: {value}")


def test_the_layout_changes_with_any_field():
    @dataclass(frozen=True)
    class One:
        name: str
        size: int

    before = layout(One)

    @dataclass(frozen=True)
    class One:
        name: str
        size: float

    assert layout(One) != before
    assert layout(SessionState) != layout(ContentAnnounced)
    assert layout(SessionState) == layout(SessionState)
