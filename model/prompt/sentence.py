"""Sentence: the terms of a prompt with their surroundings, and what the readers of it share."""

from __future__ import annotations

from dataclasses import dataclass

from model.prompt.function_words import NATURAL
from model.prompt.lexicon import HINT, Sense
from model.prompt.surroundings import OTHER, SURFACES, Surroundings
from model.prompt.terms import Term

GUESSED = 0.8
"""A word with several meanings, or an object's colour, that stands by no noun is so much less sure."""

TINTED = 0.6
"""How sure "a green light" makes witchlight, and "a high ceiling" a large room."""

SHARED = 0.7
"""How sure "stone walls and floor" makes the floor one of stone."""


@dataclass(frozen=True)
class Reading:
    """One mention understood.

    Attributes:
        slot, value: what it says; value None: nothing that can be painted, so that it is told.
        confidence: how sure, from the word, its spelling and its binding.
        term: index of the term.
        bound: whether a noun decided it.
        hint: whether it gives way to any other word of its slot.
    """

    slot: str
    value: str | None
    confidence: float
    term: int
    bound: bool = True
    hint: bool = False


@dataclass(frozen=True)
class Sentence:
    """The terms of a prompt and what is around each of them."""

    terms: list[Term]
    around: Surroundings

    def term(self, index: int | None) -> Term | None:
        """The term at an index; None for none, and for a noun that is not known."""
        return None if index is None or index == OTHER else self.terms[index]

    def said(self, index: int, sense: Sense, factor: float = 1.0, bound: bool = True) -> Reading:
        """That the term at `index` says a sense of it."""
        return Reading(sense.slot, sense.value, sense.confidence * factor, index, bound, hint=sense.confidence <= HINT)

    def told(self, index: int) -> Reading:
        """That the term at `index` says nothing that can be painted."""
        return Reading(self.terms[index].senses[0].slot, None, 0.0, index)

    def is_natural(self, noun: Term, value: str, index: int) -> bool:
        """Whether a material or colour is what the noun is anyway; a wall may be tinted by its own material."""
        values = {sense.value for sense in noun.senses}
        if noun.head in SURFACES or noun.head == "room":
            near = self.term(self.around.said_after[index])
            values |= {sense.value for sense in near.senses} if near is not None else set()
            before = self.term(self.around.material_after[index])
            values |= {sense.value for sense in before.senses} if before is not None else set()
        return any((known, value) in NATURAL for known in values)
