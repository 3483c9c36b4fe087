"""Materials: which wall, floor or ceiling a word like "stone" is said of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model.prompt.function_words import Role
from model.prompt.lexicon import HINT, Sense
from model.prompt.sentence import GUESSED, SHARED, Reading, Sentence
from model.prompt.surroundings import OTHER, SURFACES, is_light
from model.prompt.terms import Term

_BESIDE = frozenset({"with", "in", "has", "have", "上", "里", "有", "带"})
"""Links after which a material need not be what an unknown noun is made of: "a garden with grass"."""

_MADE_OF = frozenset({"", "of", "from", "is", "are", "was", "were", "be", "是", "用", "由", "为", "都是", "全是"})
"""Links that say what a surface is made of; "" where nothing stands between."""

_ONE = frozenset({"a", "an", "the", "one", "it", "this"})
_COMMAS = frozenset({",", "，", "、"})
_BEFORE_SURFACE = 3
"""How many terms from a comma or an "and" on are searched for the surface that it joins."""

_DEFINITE = frozenset({"the", "its"})
_GENERIC = frozenset({"stone", "wood"})


@dataclass(frozen=True)
class Materials(Sentence):
    """Reads the materials of one prompt."""

    def read(self, index: int) -> Reading | None:
        """What the material at `index` says; None where it only says what another thing is made of."""
        if self._is_modifier(index):
            return None
        term = self.terms[index]
        at = self.around.solid_after[index]
        if at is not None and self.is_masonry(at):
            at = self.around.solid_after[at]
        noun = self.term(at)
        if noun is not None and not self._is_listed(index, noun):
            return self._of_noun(index, noun)
        later = self.term(self.around.material_after[index])
        if later is not None and noun is None:
            sense = term.sense(_default(later).slot)
            return self.said(index, sense or _default(term))
        noun = self.term(self.around.solid_on[index])
        if noun is not None and noun.role is Role.HEAD:
            return self._of_noun(index, noun)
        before = self.around.noun_before[index]
        if before == OTHER:
            return self._by_default(index) if self.around.link[index] in _BESIDE else self.told(index)
        noun = self.term(before)
        if noun is None or noun.head == "object" or is_light(noun):
            return self._by_default(index)
        reading = self._of_noun(index, noun)
        is_other = reading is not None and reading.value is None and noun.role is Role.HEAD
        # "Floor of brick" is told: there is none, and the walls were not meant.
        is_made_of = noun.head in SURFACES and self.around.link[index] in _MADE_OF
        return self._by_default(index) if is_other and not is_made_of else reading

    def _is_listed(self, index: int, noun: Term) -> bool:
        """Whether words stand in a row without grammar: "torch brick sand cube" has no cube of brick."""
        after = self.term(self.around.said_after[index])
        if after is None or not after.in_slot(*SURFACES) or not noun.in_slot("prop", "shape"):
            return False
        return _default(after).slot != _default(self.terms[index]).slot

    def is_masonry(self, index: int) -> bool:
        """Whether a block is one that a wall is built of: "stone block walls", "walls of stone blocks"."""
        if self.terms[index].word != "block":
            return False
        at = self.around.said_before[index]
        material = self.term(at)
        nouns = [self.term(self.around.solid_after[index]), self.term(self.around.noun_before[index])]
        is_built = any(noun is not None and noun.role is Role.HEAD and noun.head != "object" for noun in nouns)
        # "A stone block" is an object; "sandstone blocks" are a wall.
        if at is not None and self.around.said_before[at] is None:
            is_built = is_built or at == 0 or self.terms[at - 1].word not in _ONE
        return material is not None and material.in_slot(*SURFACES) and is_built

    def _is_modifier(self, index: int) -> bool:
        """Whether a material only says what another one is made of: "tiles of stone", "planks of oak"."""
        if index < 2 or self.terms[index - 1].word != "of":
            return False
        return self.terms[index - 2].in_slot(*SURFACES) and _default(self.terms[index]).value in _GENERIC

    def _by_default(self, index: int) -> Reading:
        term = self.terms[index]
        floor = term.sense("floor")
        if self.around.lies_on[index] and floor is not None and floor.confidence > HINT:
            return self.said(index, floor, GUESSED, bound=False)
        several = len([sense for sense in term.senses if sense.confidence > HINT]) > 1
        return self.said(index, _default(term), GUESSED if several else 1.0, bound=False)

    def _of_noun(self, index: int, noun: Term) -> Reading | None:
        """A material of a wall, floor, ceiling or room; what props and objects are made of is told, or natural."""
        term = self.terms[index]
        if noun.in_slot("prop", "shape") or noun.head == "object":
            made_of = {sense.value for sense in term.senses}
            natural = any(self.is_natural(noun, value, index) for value in made_of)
            return None if natural else self.told(index)
        sense = term.sense("wall" if noun.head == "room" else noun.head)
        if noun.head == "room" and (sense is None or sense.confidence <= HINT):
            sense = _default(term)
        return self.told(index) if sense is None else self.said(index, sense)

    def without_modifiers(self, readings: list[Reading]) -> list[Reading]:
        """Of several materials in one phrase and slot one: "mossy stone" is moss, "stone tiles" are tiles."""
        kept: dict[tuple[int, str], Reading] = {}
        for reading in readings:
            key = (self.around.phrase[reading.term], reading.slot)
            if reading.slot in SURFACES and reading.value is not None:
                known = kept.get(key)
                if known is None or self._is_generic(known) or not self._is_generic(reading):
                    kept[key] = reading
        return [
            reading
            for reading in readings
            if reading.slot not in SURFACES
            or reading.value is None
            or kept[self.around.phrase[reading.term], reading.slot].value == reading.value
        ]

    def _is_generic(self, reading: Reading) -> bool:
        return _default(self.terms[reading.term]).value in _GENERIC or self.terms[reading.term].word == "rock"

    def shared(self, readings: list[Reading]) -> Iterator[Reading]:
        """What "and" carries from one surface to the next: "stone walls and floor"."""
        by_noun = {self.around.solid_after[reading.term]: reading for reading in readings if reading.slot in SURFACES}
        said = {reading.slot for reading in readings if reading.value is not None}
        for index, reading in by_noun.items():
            if index is None or reading.value is None or self.terms[index].head not in SURFACES:
                continue
            for other in self._surfaces_after(index, said):
                sense = self.terms[reading.term].sense(other)
                if sense is not None and sense.slot not in said:
                    yield Reading(sense.slot, sense.value, sense.confidence * SHARED, reading.term)
        yield from self._shared_back(readings, said)

    def _shared_back(self, readings: list[Reading], said: set[str]) -> Iterator[Reading]:
        """The same where the material comes last: "walls and floor of stone"."""
        for reading in readings:
            before = self.around.noun_before[reading.term]
            if reading.slot not in SURFACES or reading.value is None or before is None or before == OTHER:
                continue
            if self.terms[before].head != reading.slot or self.around.solid_after[reading.term] is not None:
                continue
            for other in self._surfaces_before(before):
                sense = self.terms[reading.term].sense(other)
                if sense is not None and sense.slot not in said and sense.confidence > HINT:
                    yield Reading(sense.slot, sense.value, sense.confidence * SHARED, reading.term)

    def _surfaces_before(self, index: int) -> Iterator[str]:
        """The bare surfaces that "and" joins to the head at `index`: "walls, floor and ceiling of wood"."""
        joints = [Role.AND]
        while index > 0:
            index -= 1
            term = self.terms[index]
            if term.role is Role.SILENT or term.word in _DEFINITE:
                continue
            is_comma = term.word in _COMMAS
            if term.role is not Role.AND and not (is_comma and Role.HEAD in joints):
                return
            while index > 0 and (self.terms[index - 1].role is Role.SILENT or self.terms[index - 1].role is Role.AND):
                index -= 1
            index -= 1
            if index < 0 or self.terms[index].head not in SURFACES or not self._is_bare(index):
                return
            joints.append(Role.HEAD)
            yield self.terms[index].head

    def _is_bare(self, index: int) -> bool:
        """Whether nothing is said of the surface at `index`, and nothing lies on it."""
        around = self.around
        near = around.noun_before[index]
        is_said_of = near is not None and (near == OTHER or self.terms[near].head != "room")
        return around.said_before[index] is None and not around.lies_on[index] and not is_said_of

    def _surfaces_after(self, index: int, said: set[str]) -> list[str]:
        """The bare surfaces that follow the head at `index` in a row that "and" ends: "floor, walls and ceiling".

        None where something else is said of the last one: "stone walls, floor and ceiling of wood".
        """
        found: list[str] = []
        closed = False
        while index + 1 < len(self.terms):
            joint = self.terms[index + 1]
            if joint.role is not Role.AND and (closed or joint.word not in _COMMAS):
                break
            head, closed = self._bare_surface(index + 2, joint.role is Role.AND)
            if head is None:
                break
            index = head
            found.append(self.terms[head].head)
        return found if closed and found and found[-1] not in said else []

    def _bare_surface(self, index: int, closed: bool) -> tuple[int | None, bool]:
        """Index of the surface from `index` on, with only determiners before it, and whether "and" stands there."""
        for at in range(index, min(index + _BEFORE_SURFACE, len(self.terms))):
            term = self.terms[at]
            if term.role not in (Role.BREAK, Role.SILENT, Role.AND):
                return (at if term.head in SURFACES else None), closed
            closed = closed or term.role is Role.AND
        return None, closed


def _default(term: Term) -> Sense:
    """What a material means where no noun says: its surest meaning, a ceiling only if it can be nothing else."""
    usual = [sense for sense in term.senses if sense.slot in ("wall", "floor")] or list(term.senses)
    return max(usual, key=lambda sense: sense.confidence)
