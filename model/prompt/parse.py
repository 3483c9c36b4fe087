"""`parse_prompt`: free text in English or Chinese to one value for each slot.

The confidence of a value is a product: the word (canonical 1.0, synonym 0.9, hint 0.6) times its spelling (0.6 for a
corrected slip) times what bound it (a noun 1.0, nothing 0.8 for colours, sizes and words of several meanings, "and"
0.7) times 0.6 where other words of the prompt contradict it. A value that only follows from a negation ("no barrel":
no prop; "not large": small) has 0.7 or less.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from clips.dungeon.attributes import SLOTS
from model.prompt.function_words import Role
from model.prompt.negation import dimmed, negated_by
from model.prompt.readings import Reader
from model.prompt.sentence import Reading
from model.prompt.slots import MOST_UNKNOWN_TERMS, PromptSlots, Span
from model.prompt.surroundings import surroundings
from model.prompt.terms import Term, terms

CONTRADICTED = 0.6
BY_NEGATION = 0.7
_OPPOSITE = {"small": "large", "large": "small"}
_NOT_MOVING = 0.9
LONGEST_TERM = 64


@dataclass
class _Said:
    """What a prompt says of one slot: readings for it and against it, with the negation's index."""

    readings: list[Reading] = field(default_factory=list)
    ruled_out: list[tuple[Reading, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Choice:
    """The value of one slot, where it is said, and the spans that were not used."""

    value: str | None = None
    confidence: float = 0.0
    spans: tuple[Span, ...] = ()
    left: tuple[Span, ...] = ()


def parse_prompt(text: str) -> PromptSlots:
    """The slots of a prompt, and the terms that were not understood; any text has a result.

    A colour belongs to the free object: it is the one said of the object's noun, never one of a wall, a floor, a
    light, a prop or a thing that is not known. A material goes to the wall, floor or ceiling that it is said of, a size
    to the room. The work grows in proportion to the length of the text.
    """
    found = terms(text)
    said, left = _gathered(found)
    choices = {slot: _choice(slot, said[slot], found) for slot in SLOTS}
    unknown = {(term.start, term.stop) for term in found if term.role is Role.UNKNOWN}
    unknown.update(left, *(choice.left for choice in choices.values()))
    used = {span for choice in choices.values() for span in choice.spans}
    spans = tuple(sorted(unknown - used))
    unknown_terms = list(dict.fromkeys(_shown(text[start:stop]) for start, stop in spans))
    return PromptSlots(
        values={slot: choice.value for slot, choice in choices.items()},
        unknown_terms=unknown_terms[:MOST_UNKNOWN_TERMS],
        confidences={slot: round(choice.confidence, 3) for slot, choice in choices.items()},
        spans={slot: choice.spans for slot, choice in choices.items()},
        unknown_spans=spans,
        unknown_left_out=len(unknown_terms[MOST_UNKNOWN_TERMS:]),
    )


def _gathered(found: list[Term]) -> tuple[dict[str, _Said], list[Span]]:
    """What is said of every slot, and the spans of mentions that are said of something else."""
    negations = negated_by(found)
    said: dict[str, _Said] = defaultdict(_Said)
    left = []
    for reading in Reader(found, surroundings(found)).readings():
        negation = negations[reading.term]
        if reading.value is None:
            left.append(_span(found, reading.term))
        elif negation is not None:
            said[reading.slot].ruled_out.append((reading, negation))
        else:
            said[reading.slot].readings.append(reading)
    used = {negation for _, negation in (pair for slot in said.values() for pair in slot.ruled_out)}
    for index, term in enumerate(found):
        negation = negations[index]
        if negation is None:
            continue
        if term.head in ("wall", "floor", "ceiling", "light", "door") and negation not in used:
            left.append((found[negation].start, term.stop))
        elif term.role is Role.MOVES:
            said["motion"].readings.append(Reading("motion", "still", _NOT_MOVING, index))
    left += [(found[negation].start, found[glow].stop) for negation, glow in dimmed(found, negations)]
    return said, left


def _choice(slot: str, said: _Said, found: list[Term]) -> _Choice:
    readings = _believed(slot, said)
    if not readings:
        return _by_negation(slot, said, found)
    bound = [reading for reading in readings if reading.bound] or readings
    value = bound[0].value
    winners = [reading for reading in readings if reading.value == value]
    losers = [reading for reading in readings if reading.value != value]
    denied = any(reading.value == value for reading, _ in said.ruled_out)
    factor = CONTRADICTED if losers or denied else 1.0
    return _Choice(
        value=value,
        confidence=max(reading.confidence for reading in winners) * factor,
        spans=tuple(sorted({_span(found, reading.term) for reading in winners})),
        left=tuple(_span(found, reading.term) for reading in losers),
    )


def _believed(slot: str, said: _Said) -> list[Reading]:
    """The readings that count: hints only by themselves, what is ruled out elsewhere only for want of another."""
    readings = [reading for reading in said.readings if not reading.hint] or said.readings
    denied = {reading.value for reading, _ in said.ruled_out}
    readings = [reading for reading in readings if reading.value not in denied] or readings
    if slot == "prop":
        readings = [reading for reading in readings if reading.value != "none"] or readings
    return readings


def _by_negation(slot: str, said: _Said, found: list[Term]) -> _Choice:
    """What follows from a negation alone; a slot where nothing follows leaves the negated words untold of."""
    if not said.ruled_out:
        return _Choice()
    spans = tuple(dict.fromkeys((found[start].start, found[reading.term].stop) for reading, start in said.ruled_out))
    first = said.ruled_out[0][0]
    values = {reading.value for reading, _ in said.ruled_out}
    if slot == "prop" and "none" not in values:
        return _Choice("none", BY_NEGATION * first.confidence, spans)
    if slot == "size" and len(values) == 1:
        return _Choice(_OPPOSITE[str(first.value)], BY_NEGATION * first.confidence, spans)
    return _Choice(left=spans)


def _span(found: list[Term], index: int) -> Span:
    return found[index].start, found[index].stop


def _shown(words: str) -> str:
    shown = " ".join(words.casefold().split())
    return shown if len(shown) <= LONGEST_TERM else shown[: LONGEST_TERM - 1] + "\u2026"
