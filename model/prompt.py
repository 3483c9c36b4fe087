"""The prompt front end: free English text to the slots that the transformer was trained on.

A dictionary of synonyms instead of embeddings: those rate "red orb" and "blue orb" as nearly equal (facts.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clips.dungeon.attributes import SLOTS
from model.prompt_words import (
    EMPTY_PHRASES,
    FLOOR_HEADS,
    LIGHT_HEADS,
    MEANINGS,
    STOP_WORDS,
    WALL_HEADS,
    Meanings,
)

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|[,.;:!?]")
_CLAUSE_END = frozenset(",.;:!?")
_HEADS = WALL_HEADS | FLOOR_HEADS | LIGHT_HEADS
_REACH = 3


@dataclass(frozen=True)
class PromptSlots:
    """What a prompt says.

    Attributes:
        values: canonical word of every slot of `clips.dungeon.attributes.SLOTS`; None where nothing is said.
        unknown_terms: words of the prompt that were not used, in their order: unknown, or said of something that
            this model cannot paint so (a colour of the walls), or against an earlier word of the same slot.
    """

    values: dict[str, str | None]
    unknown_terms: list[str]


@dataclass(frozen=True)
class _Term:
    """One word: as written, its lemma, its meanings (none for heads, stop words and unknown words)."""

    text: str
    lemma: str
    meanings: Meanings

    def in_slot(self, *slots: str) -> bool:
        return any(slot in slots for slot, _ in self.meanings)


def parse_prompt(text: str) -> PromptSlots:
    """The slots of a prompt, and the terms that were not understood.

    A colour belongs to the moving object: it is the one next to the object's noun in its clause, never one that
    belongs to a wall, a floor, a light or a prop. A material goes to the wall or floor that it is said of.
    """
    terms = _terms(text)
    values: dict[str, str | None] = dict.fromkeys(SLOTS)
    unknown: list[str] = []
    if _says_empty(terms):
        values["prop"] = "none"
    color_at = _object_color(terms)
    for index, term in enumerate(terms):
        meaning = _meaning(terms, index, color_at)
        if meaning is None:
            if not _is_silent(term):
                unknown.append(term.text)
        elif values[meaning[0]] in (None, meaning[1]):
            values[meaning[0]] = meaning[1]
        else:
            unknown.append(term.text)
    return PromptSlots(values, list(dict.fromkeys(unknown)))


def _terms(text: str) -> list[_Term]:
    words = _WORD.findall(text.casefold())
    terms, index = [], 0
    while index < len(words):
        # "witch light" is "witchlight"; "sand stone" is "sandstone".
        joined = "".join(words[index : index + 2])
        if index + 1 < len(words) and joined in MEANINGS:
            terms.append(_Term(" ".join(words[index : index + 2]), joined, MEANINGS[joined]))
            index += 2
            continue
        lemma = _lemma(words[index])
        terms.append(_Term(words[index], lemma, MEANINGS.get(lemma, ())))
        index += 1
    return terms


def _lemma(word: str) -> str:
    """The form of `word` that a list knows; the word itself where none does."""
    for form in _forms(word.removesuffix("'s")):
        if form in MEANINGS or form in _HEADS or form in STOP_WORDS:
            return form
    return word


def _forms(word: str) -> list[str]:
    forms = [word]
    for suffix in ("s", "es", "ing", "ed", "ly", "y"):
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            stem = word.removesuffix(suffix)
            forms += [stem, stem + "e"]
            if stem[-1] == stem[-2]:
                forms.append(stem[:-1])
    return forms


def _is_silent(term: _Term) -> bool:
    return term.text in _CLAUSE_END or term.lemma in STOP_WORDS or term.lemma in _HEADS


def _says_empty(terms: list[_Term]) -> bool:
    lemmas = [term.lemma for term in terms]
    return any(
        tuple(lemmas[start : start + len(phrase)]) == phrase
        for phrase in EMPTY_PHRASES
        for start in range(len(lemmas) - len(phrase) + 1)
    )


def _meaning(terms: list[_Term], index: int, color_at: int | None) -> tuple[str, str] | None:
    """(slot, value) that the term at `index` sets, None where it sets nothing."""
    term = terms[index]
    if not term.meanings:
        return None
    if term.in_slot("color"):
        if index == color_at:
            return term.meanings[0]
        return ("light", "witchlight") if _is_green_light(terms, index) else None
    if term.in_slot("wall", "floor"):
        return _surface(terms, index)
    return term.meanings[0]


def _surface(terms: list[_Term], index: int) -> tuple[str, str] | None:
    """Wall or floor of a material, by the noun that it is said of; None where it is said of a prop or the object."""
    noun = _noun_after(terms, index)
    if noun is not None and noun.in_slot("prop", "shape"):
        return None
    said_of = noun.lemma if noun is not None else _head_before(terms, index)
    wanted = "floor" if said_of in FLOOR_HEADS else "wall" if said_of in WALL_HEADS else None
    for slot, value in terms[index].meanings:
        if slot == wanted:
            return slot, value
    return terms[index].meanings[0]


def _noun_after(terms: list[_Term], index: int) -> _Term | None:
    """The noun that the adjective at `index` stands before, within reach: a head, prop or shape, else a material."""
    material = None
    for term in terms[index + 1 : index + 1 + _REACH]:
        if term.text in _CLAUSE_END or term.lemma in STOP_WORDS:
            break
        if term.lemma in _HEADS or term.in_slot("prop", "shape"):
            return term
        if material is None and term.in_slot("wall", "floor", "light"):
            material = term
    return material


def _head_before(terms: list[_Term], index: int) -> str | None:
    """The head of "walls of stone" or "the floor is sand": nearest head before `index` in its clause."""
    for term in reversed(terms[max(0, index - _REACH) : index]):
        if term.text in _CLAUSE_END:
            return None
        if term.lemma in _HEADS:
            return term.lemma
    return None


def _object_color(terms: list[_Term]) -> int | None:
    """Index of the colour of the moving object, None where the prompt names none."""
    colors = [index for index, term in enumerate(terms) if term.in_slot("color")]
    shape = next((index for index, term in enumerate(terms) if term.in_slot("shape")), None)
    free = [index for index in colors if _may_be_of_object(_noun_after(terms, index))]
    if shape is None:
        return free[0] if free else None
    before = [index for index in free if index < shape and not _clause_between(terms, index, shape)]
    after = [index for index in free if index > shape and not _clause_between(terms, shape, index)]
    bound = before[-1:] or after[:1]
    return bound[0] if bound else (free[0] if free else None)


def _may_be_of_object(noun: _Term | None) -> bool:
    return noun is None or noun.in_slot("shape")


def _clause_between(terms: list[_Term], start: int, stop: int) -> bool:
    return any(term.text in _CLAUSE_END for term in terms[start:stop])


def _is_green_light(terms: list[_Term], index: int) -> bool:
    noun = _noun_after(terms, index)
    green = ("color", "green") in terms[index].meanings
    return green and noun is not None and noun.lemma in LIGHT_HEADS
