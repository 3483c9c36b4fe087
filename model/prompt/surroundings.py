"""Surroundings: the nouns around every term of a prompt, found in single passes over it."""

from __future__ import annotations

from dataclasses import dataclass

from model.prompt.function_words import Role
from model.prompt.lexicon import HINT
from model.prompt.terms import Term

OTHER = -1
"""In place of an index: a noun that the lexicon does not know."""

SURFACES = ("wall", "floor", "ceiling")
_IN_PHRASE = frozenset({Role.MENTION, Role.HEAD, Role.SILENT, Role.UNKNOWN, Role.MOVES})
_LEADS_BACK = frozenset({Role.LINK, Role.NEGATION, Role.CONTRAST, Role.OR})
_DETERMINERS = frozenset(["a", "an", "the", "this", "these", "that", "his", "her", "its", "their", "some"])
_COPULAS = frozenset({"is", "are", "was", "were", "look", "seem", "become"})
_PLACES = frozenset(
    [
        "in",
        "at",
        "over",
        "under",
        "underneath",
        "beneath",
        "between",
        "behind",
        "beside",
        "near",
        "against",
        "inside",
        "within",
        "past",
        "around",
        "among",
        "off",
        "by",
        "opposite",
        "beyond",
        "alongside",
        "above",
        "below",
    ]
) | {"next to", "in front of", "across from"}
"""Words that lead from a thing to where it is: what follows them is not the subject of the clause."""

_NO_NOUN = ("ing", "ed", "ly", "est", "ish", "ful")


@dataclass(frozen=True)
class Surroundings:
    """For every term the indices of nouns near it; None where there is none.

    Attributes:
        phrase: number of the phrase that it belongs to; a phrase has no links, marks and conjunctions in it.
        noun_after: first noun later in its phrase; lights count as nouns.
        solid_after: the same without lights.
        material_after: last material later in its phrase.
        other_after: whether an unknown noun comes later in its phrase.
        solid_on: first solid noun of the phrase that "on" leads to from here.
        noun_before: noun that links lead back to ("walls of", "the floor is", "the cube beside a crate is"), lights
            too; OTHER for an unknown one.
        lies_on: whether "on" leads to its phrase.
        link: the word that leads back to `noun_before`; empty in the noun's own phrase.
        shape_before: whether the free object was named before it in its clause.
        said_before, said_after: the neighbouring terms with content in its phrase.
    """

    phrase: list[int]
    noun_after: list[int | None]
    solid_after: list[int | None]
    material_after: list[int | None]
    other_after: list[bool]
    solid_on: list[int | None]
    noun_before: list[int | None]
    lies_on: list[bool]
    link: list[str]
    shape_before: list[bool]
    said_before: list[int | None]
    said_after: list[int | None]


def is_object(term: Term) -> bool:
    """Whether a term names the free object: a shape, or "it"."""
    return term.head == "object" or term.in_slot("shape")


def is_light(term: Term) -> bool:
    """Whether a term names a light, surely."""
    if "light" not in term.slots:
        return term.head == "light"
    return any(sense.slot == "light" and sense.confidence > HINT for sense in term.senses)


def surroundings(terms: list[Term]) -> Surroundings:
    """What is around every term: one pass forward and one backward."""
    ahead = [_Ahead() for _ in terms]
    state = _Ahead()
    for index in range(len(terms) - 1, -1, -1):
        ahead[index] = state
        state = state.before(terms, index)
    back: list[_Back] = []
    before = _Back()
    for index in range(len(terms)):
        back.append(before)
        before = before.after(terms, index)
    return Surroundings(
        phrase=[at.phrase for at in back],
        noun_after=[at.noun for at in ahead],
        solid_after=[at.solid for at in ahead],
        material_after=[at.material for at in ahead],
        other_after=[at.other for at in ahead],
        solid_on=[at.solid_on for at in ahead],
        noun_before=[at.noun for at in back],
        lies_on=[at.on for at in back],
        link=[at.link for at in back],
        shape_before=[at.shape for at in back],
        said_before=[at.said for at in back],
        said_after=[at.said for at in ahead],
    )


@dataclass(frozen=True)
class _Ahead:
    """What follows a place in its phrase."""

    noun: int | None = None
    solid: int | None = None
    material: int | None = None
    other: bool = False
    said: int | None = None
    solid_on: int | None = None
    beyond: int | None = None

    def before(self, terms: list[Term], index: int) -> _Ahead:
        """The same for the place before the term at `index`. `beyond` keeps the noun behind determiners."""
        term = terms[index]
        if term.role is Role.ON:
            return _Ahead(solid_on=self.solid if self.solid is not None else self.beyond)
        if term.role not in _IN_PHRASE:
            kept = self.solid if self.solid is not None else self.beyond
            return _Ahead(beyond=kept if term.role is Role.BREAK else None)
        if term.role is Role.SILENT:
            return self
        solid = index if _is_solid(term) else self.solid
        is_noun = _is_solid(term) or is_light(term) or (term.in_slot("light") and self.noun is None)
        is_last_material = self.material is None and term.in_slot(*SURFACES)
        return _Ahead(
            noun=index if is_noun else self.noun,
            solid=solid,
            material=index if is_last_material else self.material,
            other=self.other or is_other_noun(term),
            said=index,
            solid_on=self.solid_on,
            beyond=self.beyond,
        )


@dataclass(frozen=True)
class _Back:
    """What precedes a place in its clause."""

    phrase: int = 0
    noun: int | None = None
    link: str = ""
    shape: bool = False
    said: int | None = None
    on: bool = False
    named: bool = False
    subject: int | None = None
    placed: bool = False

    def after(self, terms: list[Term], index: int) -> _Back:
        """The same for the place after the term at `index`."""
        term = terms[index]
        if term.role is Role.END:
            return _Back(phrase=self.phrase + 1)
        if term.role not in _IN_PHRASE:
            subject = self._subject(term)
            noun = self.noun if term.role in _LEADS_BACK else None
            if subject is not None and term.word in _COPULAS:
                noun, subject = subject, None
            # "on the boards": determiners stand between.
            on = term.role is Role.ON or (self.on and self.said is None and term.role is Role.BREAK)
            link = term.word if term.role is Role.LINK else ""
            placed = self.placed and term.word not in _PLACES and term.role is not Role.ON
            return _Back(self.phrase + 1, noun, link, self.shape, None, on, self.named, subject, placed)
        if term.role is Role.SILENT:
            return self
        noun = self.noun
        if term.head == "door" and self.named:
            # "The hall beyond the gate is marble": what follows is not said of the gate.
            noun = None
        elif _is_solid(term) or is_light(term):
            noun = index
        elif is_other_noun(term) and _ends_phrase(terms, index):
            noun = OTHER
        return _Back(
            phrase=self.phrase,
            noun=noun,
            link="" if noun == index else self.link,
            shape=self.shape or is_object(term),
            said=index,
            on=self.on,
            named=self.named or _is_solid(term),
            subject=self.subject,
            placed=self.placed or noun == index,
        )

    def _subject(self, term: Term) -> int | None:
        """The noun whose place is told after the link or preposition `term`, while that goes on: "cube beside the ..."

        A second noun after the preposition begins a clause of its own: "beside the crate the floor is".
        """
        if term.role is Role.ON or term.word in _PLACES:
            return self.subject if self.subject is not None else self.noun
        if term.word in _COPULAS:
            return self.subject
        goes_on = term.word == "of" or (term.word in _DETERMINERS and not self.placed)
        return self.subject if goes_on else None


def is_other_noun(term: Term) -> bool:
    """Whether an unknown word may be a noun: neither a number nor a word that ends as participles and adverbs do."""
    return term.role is Role.UNKNOWN and term.word[:1].isalpha() and not term.word.endswith(_NO_NOUN)


def _is_solid(term: Term) -> bool:
    return (term.role is Role.HEAD and term.head != "light") or term.in_slot("shape", "prop")


def _ends_phrase(terms: list[Term], index: int) -> bool:
    return index + 1 == len(terms) or terms[index + 1].role not in _IN_PHRASE
