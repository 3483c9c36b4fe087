"""Any text has a result, the same every time, and the work grows with its length."""

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips.dungeon.attributes import SLOTS
from model.prompt import PromptSlots, parse_prompt
from model.prompt.lexicon import Lexicon, lexicon
from model.prompt.slots import MOST_UNKNOWN_TERMS
from model.prompt.terms import terms
from model.prompt.tokens import tokens

WORDS = st.sampled_from(
    (
        "red",
        "blue",
        "orb",
        "cube",
        "walls",
        "floor",
        "of",
        "stone",
        "the",
        "not",
        "no",
        "and",
        ",",
        ".",
        ":",
        "but",
        "红色",
        "球",
        "不",
        "没有",
        "墙",
        "的",
        "地面",
        "glows",
        "unicorn",
        "🔥",
        "huge",
        "room",
    )
)
TEXTS = st.one_of(
    st.text(max_size=200), st.lists(WORDS, max_size=40).map(" ".join), st.lists(WORDS, max_size=40).map("".join)
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_has_a_whole_result(text: str) -> None:
    parsed = parse_prompt(text)
    assert list(parsed.values) == list(parsed.confidences) == list(parsed.spans) == list(SLOTS)
    for slot, value in parsed.values.items():
        assert value is None or value in [str(word) for word in SLOTS[slot]]
        assert (value is None) == (parsed.confidences[slot] == 0.0) == (parsed.spans[slot] == ())
        assert 0.0 <= parsed.confidences[slot] <= 1.0
    spans = [*parsed.unknown_spans, *(span for spans in parsed.spans.values() for span in spans)]
    assert all(0 <= start < stop <= len(text) for start, stop in spans)
    assert len(parsed.unknown_terms) == len(set(parsed.unknown_terms)) <= len(parsed.unknown_spans)
    assert parse_prompt(text) == parsed


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_case_width_and_spaces_around_change_nothing(text: str) -> None:
    parsed = parse_prompt(text)
    moved = parse_prompt(f"\n  {text} \n")
    assert (moved.values, moved.confidences) == (parsed.values, parsed.confidences)
    if text.isascii():
        wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isalpha() else sign for sign in text)
        assert parse_prompt(wide).values == parse_prompt(text.upper()).values == parsed.values


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_tokens_and_terms_go_forward_through_the_text(text: str) -> None:
    for parts in (list(tokens(text)), terms(text)):
        assert all(part.start < part.stop for part in parts)
        assert all(before.stop <= after.start for before, after in pairwise(parts))


class _Counted(dict[str, Any]):
    """A dictionary that counts how often it is asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


@pytest.mark.parametrize(
    "piece",
    [
        "orb ",
        "oak ",
        "red and ",
        "not ",
        "stone",
        "石",
        "不是红色的",
        "饕",
        "a\u0301",
        "no walls of red brick, ",
        "x, ",
        "...",
    ],
)
def test_the_work_grows_with_the_length_of_the_text(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known: Lexicon = lexicon()
    asked = []
    for count in (1_000, 4_000):
        english, chinese = _Counted(known.english), _Counted(known.chinese)
        with monkeypatch.context() as patch:
            patch.setattr(known, "english", english)
            patch.setattr(known, "chinese", chinese)
            found = terms(piece * count)
        asked.append(english.asked + chinese.asked)
        assert len(found) <= len(piece) * count
        assert asked[-1] <= 16 * len(piece) * count
    assert asked[1] <= 4 * asked[0] + 100


@pytest.mark.parametrize("piece", ["(", "\n", "- ", "a'", "red or ", "stone of ", "brick walls. ", "not the ", "zqx "])
def test_the_calls_of_the_whole_front_end_grow_with_the_length_of_the_text(piece: str) -> None:
    parse_prompt(piece * 4)
    calls = [_calls_of(lambda count=count: parse_prompt(piece * count)) for count in (200, 800)]
    assert calls[1] <= 4.2 * calls[0], f"{calls} calls for 200 and 800 pieces"


def _calls_of(run: Callable[[], object]) -> int:
    """How many calls, of functions and of what is built in, a run made."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


def test_of_very_many_unknown_terms_the_first_are_listed_and_the_rest_counted() -> None:
    words = ["q" + "".join(chr(97 + int(digit)) for digit in str(k)) + "x" for k in range(15_000)]
    parsed = parse_prompt(" ".join(words))
    assert parsed.unknown_terms == words[:MOST_UNKNOWN_TERMS]
    assert parsed.unknown_left_out == 15_000 - MOST_UNKNOWN_TERMS
    assert len(parsed.unknown_spans) == 15_000
    assert parsed.told_terms() == [*words[:MOST_UNKNOWN_TERMS], f"(and {15_000 - MOST_UNKNOWN_TERMS} more)"]
    assert parse_prompt("a dragon").told_terms() == ["dragon"]


@pytest.mark.parametrize("piece", ["orb ", "red", "红", "\u0301", "(", "\n"])
def test_a_hundred_thousand_characters_are_parsed(piece: str) -> None:
    parsed = parse_prompt((piece * 100_000)[:100_000])
    assert isinstance(parsed, PromptSlots)
    assert all(len(term) <= 64 for term in parsed.unknown_terms)
