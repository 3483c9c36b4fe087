"""Readings: what each mention of a prompt says of which slot, by the nouns around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from model.prompt.function_words import NATURAL, Role
from model.prompt.lexicon import HINT, Sense
from model.prompt.surroundings import OTHER, SURFACES, Surroundings, is_light, is_object, is_other_noun
from model.prompt.terms import Term

GUESSED = 0.8
"""A word with several meanings, or an object's colour, that stands by no noun is so much less sure."""

TINTED = 0.6
"""How sure "a green light" makes witchlight, and "a high ceiling" a large room."""

SHARED = 0.7
"""How sure "stone walls and floor" makes the floor one of stone."""

_GENERIC = frozenset({"stone", "wood"})


@dataclass(frozen=True)
class Reading:
    """One mention understood.

    Attributes:
        slot, value: what it says; value None: nothing that can be painted, so that it is told.
        confidence: how sure, from the word, its spelling and its binding.
        term: index of the term.
        bound: whether a noun decided it.
    """

    slot: str
    value: str | None
    confidence: float
    term: int
    bound: bool = True


class Reader:
    """Reads the mentions of one prompt."""

    def __init__(self, terms: list[Term], around: Surroundings) -> None:
        self._terms = terms
        self._around = around

    def readings(self) -> list[Reading]:
        """One reading for each mention that is not silent ("wooden" of a crate), and those that "and" carries on."""
        found = [reading for index in range(len(self._terms)) for reading in self._read(index)]
        return sorted([*self._without_modifiers(found), *self._shared(found)], key=lambda reading: reading.term)

    def _read(self, index: int) -> Iterator[Reading]:
        term = self._terms[index]
        if term.role is not Role.MENTION:
            return
        slot = term.senses[0].slot
        if slot == "color":
            reading = self._color(index)
        elif slot == "size":
            reading = self._size(index)
        elif slot == "motion":
            reading = self._motion(index)
        elif slot == "light":
            reading = self._light(index)
        elif slot in SURFACES:
            reading = None if self._is_modifier(index) else self._material(index)
        elif self._is_masonry(index):
            reading = None
        else:
            reading = self._said(index, term.senses[0])
        if reading is not None:
            yield replace(reading, confidence=reading.confidence * term.certainty)

    def _said(self, index: int, sense: Sense, factor: float = 1.0, bound: bool = True) -> Reading:
        return Reading(sense.slot, sense.value, sense.confidence * factor, index, bound)

    def _told(self, index: int) -> Reading:
        return Reading(self._terms[index].senses[0].slot, None, 0.0, index)

    def _term(self, index: int | None) -> Term | None:
        return None if index is None or index == OTHER else self._terms[index]

    def _color(self, index: int) -> Reading | None:
        sense = self._terms[index].senses[0]
        noun = self._term(self._around.noun_after[index])
        if noun is None and self._around.material_after[index] is not None:
            noun = self._term(self._around.material_after[index])
        if noun is None and self._around.other_after[index] and not self._is_predicate(index):
            return self._told(index)
        if noun is None:
            before = self._around.noun_before[index]
            if before == OTHER:
                return self._told(index)
            noun = self._term(before)
        if noun is None:
            return self._said(index, sense, GUESSED, bound=False)
        if is_object(noun):
            return self._said(index, sense)
        if noun.head == "light" and sense.value == "green":
            return Reading("light", "witchlight", TINTED, index)
        return None if self._is_natural(noun, sense.value, index) else self._told(index)

    def _is_predicate(self, index: int) -> bool:
        """Whether a link leads back from here to the object: "the ball is white"."""
        noun = self._term(self._around.noun_before[index])
        return noun is not None and is_object(noun)

    def _is_natural(self, noun: Term, value: str, index: int) -> bool:
        """Whether a material or colour is what the noun is anyway; a wall may be tinted by its own material."""
        values = {sense.value for sense in noun.senses}
        if noun.head in SURFACES or noun.head == "room":
            near = self._term(self._around.said_after[index])
            values |= {sense.value for sense in near.senses} if near is not None else set()
            before = self._term(self._around.material_after[index])
            values |= {sense.value for sense in before.senses} if before is not None else set()
        return any((known, value) in NATURAL for known in values)

    def _size(self, index: int) -> Reading:
        sense = self._terms[index].senses[0]
        noun = self._term(self._around.solid_after[index])
        if noun is None and self._around.other_after[index]:
            return self._told(index)
        if noun is None:
            before = self._around.noun_before[index]
            if before == OTHER:
                return self._told(index)
            noun = self._term(before)
        if noun is None:
            is_hint = sense.confidence <= HINT
            return self._told(index) if is_hint else self._said(index, sense, GUESSED, bound=False)
        if noun.head == "room":
            return self._said(index, sense)
        return Reading("size", sense.value, TINTED, index) if noun.head in SURFACES else self._told(index)

    def _light(self, index: int) -> Reading | None:
        """A sure word is a light wherever it stands; a hint ("magic") is none where it is said of a thing."""
        sense = self._terms[index].senses[0]
        noun = self._term(self._around.solid_after[index])
        if sense.confidence <= HINT and noun is not None and (is_object(noun) or noun.in_slot("prop")):
            return self._told(index)
        before_color = self._term(self._around.said_after[index])
        if sense.confidence <= HINT and before_color is not None and before_color.in_slot("color"):
            return self._told(index)
        return self._said(index, sense)

    def _motion(self, index: int) -> Reading | None:
        sense = self._terms[index].senses[0]
        after = self._term(self._around.said_after[index])
        before = self._term(self._around.said_before[index])
        follows_object = before is not None and is_object(before)
        if after is not None and not follows_object and self._stands_before_its_noun(index) and self._is_fixed(after):
            return self._told(index)
        if self._is_adverb(index, before):
            return None
        noun = self._term(self._around.solid_after[index])
        if self._around.shape_before[index] or (noun is not None and is_object(noun)):
            return self._said(index, sense)
        last = self._term(self._around.last_solid[index])
        if last is not None and last.in_slot("prop"):
            return self._told(index)
        if before is not None and (is_other_noun(before) or before.in_slot("light", *SURFACES)):
            return self._told(index)
        if self._around.other_after[index] and noun is None:
            return self._told(index)
        return self._said(index, sense)

    def _is_adverb(self, index: int, before: Term | None) -> bool:
        """Whether "still" only means "as before": "it is still rolling", "torches still burn"."""
        if self._terms[index].word != "still":
            return False
        after = self._term(self._around.said_after[index])
        if after is not None and (after.in_slot("motion") or after.role is Role.MOVES):
            return True
        return before is not None and not is_object(before) and after is not None

    def _stands_before_its_noun(self, index: int) -> bool:
        """In Chinese only the particle makes a verb an attribute: "circles a pillar" is one clause."""
        is_chinese = "\u4e00" <= self._terms[index].word[0] <= "\u9fff"
        return not is_chinese or self._terms[index + 1].word.startswith("\u7684")

    def _is_fixed(self, term: Term) -> bool:
        return term.in_slot("prop") or is_light(term)

    def _material(self, index: int) -> Reading | None:
        term = self._terms[index]
        at = self._around.solid_after[index]
        while at is not None and self._is_masonry(at):
            at = self._around.solid_after[at]
        noun = self._term(at)
        if noun is not None and not self._is_listed(index, noun):
            return self._of_noun(index, noun)
        later = self._term(self._around.material_after[index])
        if later is not None and noun is None:
            sense = term.sense(_default(later).slot)
            return self._said(index, sense or _default(term))
        noun = self._term(self._around.solid_on[index])
        if noun is not None and noun.role is Role.HEAD:
            return self._of_noun(index, noun)
        before = self._around.noun_before[index]
        if before == OTHER:
            return self._told(index)
        noun = self._term(before)
        if noun is None or noun.head == "object" or is_light(noun):
            return self._by_default(index)
        reading = self._of_noun(index, noun)
        is_other = reading is not None and reading.value is None and noun.role is Role.HEAD
        return self._by_default(index) if is_other else reading

    def _is_masonry(self, index: int) -> bool:
        """Whether a block is one that a wall is built of: "stone block walls", "walls of stone blocks"."""
        if self._terms[index].word != "block":
            return False
        material = self._term(self._around.said_before[index])
        nouns = [self._term(self._around.solid_after[index]), self._term(self._around.noun_before[index])]
        is_built = any(noun is not None and noun.role is Role.HEAD and noun.head != "object" for noun in nouns)
        return material is not None and material.in_slot(*SURFACES) and is_built

    def _is_modifier(self, index: int) -> bool:
        """Whether a material only says what another one is made of: "tiles of stone", "planks of oak"."""
        if index < 2 or self._terms[index - 1].word != "of":
            return False
        return self._terms[index - 2].in_slot(*SURFACES) and _default(self._terms[index]).value in _GENERIC

    def _is_listed(self, index: int, noun: Term) -> bool:
        """Whether words stand in a row without grammar: "torch brick sand cube" has no cube of brick."""
        after = self._term(self._around.said_after[index])
        if after is None or not after.in_slot(*SURFACES) or not noun.in_slot("prop", "shape"):
            return False
        return _default(after).slot != _default(self._terms[index]).slot

    def _by_default(self, index: int) -> Reading:
        term = self._terms[index]
        several = len([sense for sense in term.senses if sense.confidence > HINT]) > 1
        return self._said(index, _default(term), GUESSED if several else 1.0, bound=False)

    def _of_noun(self, index: int, noun: Term) -> Reading | None:
        """A material of a wall, floor, ceiling or room; what props and objects are made of is told, or natural."""
        term = self._terms[index]
        if noun.in_slot("prop", "shape") or noun.head == "object":
            made_of = {sense.value for sense in term.senses}
            natural = any(self._is_natural(noun, value, index) for value in made_of)
            return None if natural else self._told(index)
        sense = term.sense("wall" if noun.head == "room" else noun.head)
        if noun.head == "room" and (sense is None or sense.confidence <= HINT):
            sense = _default(term)
        return self._told(index) if sense is None else self._said(index, sense)

    def _without_modifiers(self, readings: list[Reading]) -> list[Reading]:
        """Of several materials in one phrase and slot one: "mossy stone" is moss, "stone tiles" are tiles."""
        kept: dict[tuple[int, str], Reading] = {}
        for reading in readings:
            key = (self._around.phrase[reading.term], reading.slot)
            if reading.slot in SURFACES and reading.value is not None:
                known = kept.get(key)
                if known is None or self._is_generic(known) or not self._is_generic(reading):
                    kept[key] = reading
        return [
            reading
            for reading in readings
            if reading.slot not in SURFACES
            or reading.value is None
            or kept[self._around.phrase[reading.term], reading.slot].value == reading.value
        ]

    def _is_generic(self, reading: Reading) -> bool:
        return _default(self._terms[reading.term]).value in _GENERIC or self._terms[reading.term].word == "rock"

    def _shared(self, readings: list[Reading]) -> Iterator[Reading]:
        """What "and" carries from one surface to the next: "stone walls and floor"."""
        by_noun = {self._around.solid_after[reading.term]: reading for reading in readings if reading.slot in SURFACES}
        said = {reading.slot for reading in readings if reading.value is not None}
        for index, reading in by_noun.items():
            if index is None or reading.value is None or self._terms[index].head not in SURFACES:
                continue
            other = self._next_surface(index)
            sense = None if other is None else self._terms[reading.term].sense(other)
            if sense is not None and sense.slot not in said:
                yield Reading(sense.slot, sense.value, sense.confidence * SHARED, reading.term)

    def _next_surface(self, index: int) -> str | None:
        """The surface that directly follows "and" after the head at `index`, said of nothing else."""
        following = self._terms[index + 1 : index + 4]
        if not following or following[0].role is not Role.AND:
            return None
        nouns = [term for term in following[1:] if term.role not in (Role.BREAK, Role.SILENT)]
        return nouns[0].head if nouns and nouns[0].head in SURFACES else None


def _default(term: Term) -> Sense:
    """What a material means where no noun says: its surest meaning, a ceiling only if it can be nothing else."""
    usual = [sense for sense in term.senses if sense.slot in ("wall", "floor")] or list(term.senses)
    return max(usual, key=lambda sense: sense.confidence)
