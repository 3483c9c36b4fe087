"""Readings: what each mention of a prompt says of which slot, by the nouns around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from model.prompt.function_words import Role
from model.prompt.lexicon import HINT
from model.prompt.materials import Materials
from model.prompt.sentence import GUESSED, TINTED, Reading, Sentence
from model.prompt.surroundings import OTHER, SURFACES, is_light, is_object, is_other_noun
from model.prompt.terms import Term


@dataclass(frozen=True)
class Reader(Sentence):
    """Reads the mentions of one prompt."""

    def readings(self) -> list[Reading]:
        """One reading for each mention that is not silent ("wooden" of a crate), and those that "and" carries on."""
        materials = Materials(self.terms, self.around)
        found = [reading for index in range(len(self.terms)) for reading in self._read(index, materials)]
        found = [*materials.without_modifiers(found), *materials.shared(found)]
        return sorted(found, key=lambda reading: reading.term)

    def _read(self, index: int, materials: Materials) -> Iterator[Reading]:
        term = self.terms[index]
        if term.role is not Role.MENTION:
            return
        reading: Reading | None
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
            reading = materials.read(index)
        elif materials.is_masonry(index):
            reading = None
        else:
            reading = self.said(index, term.senses[0])
        if reading is not None:
            slip = term.certainty < 1.0
            yield replace(reading, confidence=reading.confidence * term.certainty) if slip else reading

    def _color(self, index: int) -> Reading | None:
        sense = self.terms[index].senses[0]
        noun = self.term(self.around.noun_after[index])
        if noun is None and self.around.material_after[index] is not None:
            noun = self.term(self.around.material_after[index])
        if noun is None and self.around.other_after[index] and not self._is_predicate(index):
            return self.told(index)
        if noun is None:
            before = self.around.noun_before[index]
            if before == OTHER:
                return self.told(index)
            noun = self.term(before)
        if noun is None:
            return self.said(index, sense, GUESSED, bound=False)
        if is_object(noun):
            return self.said(index, sense)
        if noun.head == "light" and sense.value == "green":
            return Reading("light", "witchlight", TINTED, index, hint=True)
        return None if self.is_natural(noun, sense.value, index) else self.told(index)

    def _is_predicate(self, index: int) -> bool:
        """Whether a link leads back from here to the object: "the ball is white"."""
        noun = self.term(self.around.noun_before[index])
        return noun is not None and is_object(noun)

    def _size(self, index: int) -> Reading:
        sense = self.terms[index].senses[0]
        noun = self.term(self.around.solid_after[index])
        if noun is None and self.around.other_after[index]:
            return self.told(index)
        if noun is None:
            before = self.around.noun_before[index]
            if before == OTHER:
                return self.told(index)
            noun = self.term(before)
        if noun is None:
            is_hint = sense.confidence <= HINT
            return self.told(index) if is_hint else self.said(index, sense, GUESSED, bound=False)
        if noun.head == "room":
            return self.said(index, sense)
        return Reading("size", sense.value, TINTED, index, hint=True) if noun.head in SURFACES else self.told(index)

    def _light(self, index: int) -> Reading | None:
        """A sure word is a light wherever it stands; a hint ("magic") is none where it is said of a thing."""
        sense = self.terms[index].senses[0]
        noun = self.term(self.around.solid_after[index])
        if sense.confidence <= HINT and noun is not None and (is_object(noun) or noun.in_slot("prop")):
            return self.told(index)
        before_color = self.term(self.around.said_after[index])
        if sense.confidence <= HINT and before_color is not None and before_color.in_slot("color"):
            return self.told(index)
        return self.said(index, sense)

    def _motion(self, index: int) -> Reading | None:
        sense = self.terms[index].senses[0]
        after = self.term(self.around.said_after[index])
        before = self.term(self.around.said_before[index])
        follows_object = before is not None and is_object(before)
        if after is not None and not follows_object and self._stands_before_its_noun(index) and self._is_fixed(after):
            return self.told(index)
        if self._is_adverb(index, before):
            return None
        noun = self.term(self.around.solid_after[index])
        if self.around.shape_before[index] or (noun is not None and is_object(noun)):
            return self.said(index, sense)
        subject = self.term(self.around.noun_before[index])
        if subject is not None and subject.in_slot("prop"):
            return self.told(index)
        if before is not None and (
            is_other_noun(before) or before.head == "door" or before.in_slot("light", *SURFACES)
        ):
            return self.told(index)
        if self.around.other_after[index] and noun is None:
            return self.told(index)
        return self.said(index, sense)

    def _is_adverb(self, index: int, before: Term | None) -> bool:
        """Whether "still" only means "as before": "it is still rolling", "torches still burn"."""
        if self.terms[index].word != "still":
            return False
        after = self.term(self.around.said_after[index])
        if after is not None and (after.in_slot("motion") or after.role is Role.MOVES):
            return True
        return before is not None and not is_object(before) and after is not None

    def _stands_before_its_noun(self, index: int) -> bool:
        """In Chinese only the particle makes a verb an attribute: "circles a pillar" is one clause."""
        is_chinese = "\u4e00" <= self.terms[index].word[0] <= "\u9fff"
        return not is_chinese or self.terms[index + 1].word.startswith("\u7684")

    def _is_fixed(self, term: Term) -> bool:
        return term.in_slot("prop") or is_light(term) or term.head == "door"
