"""Captions of a room: one word to four sentences, in English and Chinese, with synonyms; most name only some slots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from clips.dungeon.attributes import SLOTS, Prop
from clips.dungeon.caption_grammar import capitalised, english_forms, fix_articles
from clips.dungeon.caption_templates import (
    OBJECTS,
    PHRASES,
    PROPS,
    ROOMS,
    SENTENCES,
    SINGLE_WORDS,
    SURFACES,
    Template,
)
from clips.dungeon.scene import RoomSpec
from clips.dungeon.vocabulary import VOCABULARIES, Language


class CaptionLength(StrEnum):
    """How long a caption is."""

    WORD = "word"
    PHRASE = "phrase"
    SENTENCE = "sentence"
    TWO_SENTENCES = "two sentences"
    MORE_SENTENCES = "three to four sentences"


LANGUAGE_SHARES: dict[Language, float] = {Language.ENGLISH: 0.7, Language.CHINESE: 0.3}
LENGTH_SHARES: dict[CaptionLength, float] = {
    CaptionLength.WORD: 0.05,
    CaptionLength.PHRASE: 0.25,
    CaptionLength.SENTENCE: 0.40,
    CaptionLength.TWO_SENTENCES: 0.20,
    CaptionLength.MORE_SENTENCES: 0.10,
}
"""What captions are drawn from, both times."""

SAID_SHARE = 0.75
"""How often a slot that a template may leave out is said."""

CANONICAL_SHARE = 0.5
"""How often a slot is said by its canonical word; else by one of its synonyms."""

_Kind = TypeVar("_Kind", bound=StrEnum)

_OPTION = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")
_WORDING = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT_OF = {"floors": "floor", "ceilings": "ceiling", "moves": "motion", "moving": "motion", "nothing": "prop"}


@dataclass(frozen=True)
class CaptionInfo:
    """A caption and what a dataset card counts of it.

    Attributes:
        text: the caption.
        language, length: drawn from LANGUAGE_SHARES and LENGTH_SHARES.
        sentences: how many; 0 for words and phrases.
        slots: the slots that it names, in the order of `attributes.SLOTS`. A room without a prop names its prop where
            the caption says that nothing else is there.
        order: the same slots in the order in which the caption names them.
        synonyms: those that it names by a synonym instead of the canonical word, in the order of `attributes.SLOTS`.
    """

    text: str
    language: Language
    length: CaptionLength
    sentences: int
    slots: tuple[str, ...]
    order: tuple[str, ...]
    synonyms: tuple[str, ...]


def caption(room: RoomSpec, wording: int | None = None) -> str:
    """The caption of `room`; any `wording` >= 0 decides it, by default the room's caption seed does."""
    return caption_info(room, wording).text


def caption_info(
    room: RoomSpec,
    wording: int | None = None,
    language: Language | None = None,
    length: CaptionLength | None = None,
) -> CaptionInfo:
    """The caption of `room` with its language, its length and the slots that it names.

    Args:
        room: what is described.
        wording: decides everything else, >= 0; None: the room's caption seed.
        language, length: fixed instead of drawn. Captions of one wording in both languages name the same slots.
    """
    seed = room.caption_seed if wording is None else wording
    rng = np.random.default_rng(seed)
    drawn_language = _drawn(rng, LANGUAGE_SHARES)
    drawn_length = _drawn(rng, LENGTH_SHARES)
    language, length = language or drawn_language, length or drawn_length
    said = {slot for slot in SLOTS if rng.random() < SAID_SHARE}
    templates = _chosen(rng, length, has_prop=room.prop is not Prop.NONE)
    words, by_synonym = _words(room, language, rng)
    texts: list[str] = []
    order: dict[str, None] = {}
    for template in templates:
        text = template.english if language is Language.ENGLISH else template.chinese
        text = _OPTION.sub(lambda option: option[1] if _is_said(option[1], said, words) else "", text)
        text = _WORDING.sub(lambda options: str(rng.choice(options[1].split("|"))), text)
        order.update(dict.fromkeys(_slots(text)))
        texts.append(_NAME.sub(lambda name: words[name[1]], text))
    return CaptionInfo(
        text=_joined(texts, language, is_sentence=length not in (CaptionLength.WORD, CaptionLength.PHRASE)),
        language=language,
        length=length,
        sentences=0 if length in (CaptionLength.WORD, CaptionLength.PHRASE) else len(texts),
        slots=tuple(slot for slot in SLOTS if slot in order),
        order=tuple(order),
        synonyms=tuple(slot for slot in SLOTS if slot in order and slot in by_synonym),
    )


def _drawn(rng: np.random.Generator, shares: dict[_Kind, float]) -> _Kind:
    at = rng.random()
    for kind, share in shares.items():
        if at < share:
            return kind
        at -= share
    return kind


def _chosen(rng: np.random.Generator, length: CaptionLength, *, has_prop: bool) -> list[Template]:
    """The templates of a caption; none of them needs a prop that is not there."""
    missing = "{nothing}" if has_prop else "{prop}"

    def one(templates: Iterable[Template]) -> Template:
        fit = [template for template in templates if missing not in _OPTION.sub("", template.english)]
        return fit[rng.integers(len(fit))]

    if length is CaptionLength.WORD:
        return [one(SINGLE_WORDS)]
    if length is CaptionLength.PHRASE:
        return [one(PHRASES)]
    if length is CaptionLength.SENTENCE:
        return [one(SENTENCES)]
    if length is CaptionLength.TWO_SENTENCES:
        return [one(ROOMS), one(OBJECTS)]
    parts = [one(ROOMS), one(SURFACES), one(OBJECTS)]
    return [*parts, one(PROPS)] if rng.random() < 0.5 else parts


def _words(room: RoomSpec, language: Language, rng: np.random.Generator) -> tuple[dict[str, str], set[str]]:
    """What stands for every name of a template, one word for each slot and its forms; and the slots with synonyms."""
    words, by_synonym = {}, set()
    for slot, value in room.slots.items():
        canonical, *synonyms = VOCABULARIES[language][slot][value].captions
        takes_canonical, which = rng.random() < CANONICAL_SHARE, rng.random()
        words[slot] = canonical if takes_canonical or not synonyms else synonyms[int(which * len(synonyms))]
        if words[slot] != canonical:
            by_synonym.add(slot)
    if room.prop is Prop.NONE:
        words["nothing"] = words.pop("prop")
    return ({**words, **english_forms(words)} if language is Language.ENGLISH else words), by_synonym


def _slots(text: str) -> list[str]:
    """The slots that a template names, in its order."""
    return [_SLOT_OF.get(name, name) for name in _NAME.findall(text)]


def _is_said(option: str, said: set[str], words: dict[str, str]) -> bool:
    """Whether an optional part is kept: each of its slots is said, and has a word in this room."""
    names = set(_NAME.findall(option))
    missing = {"prop", "nothing"} & names - set(words)
    return not missing and said.issuperset(_slots(option))


def _joined(texts: list[str], language: Language, *, is_sentence: bool) -> str:
    if language is Language.CHINESE:
        return "".join(texts)
    fixed = [fix_articles(text) for text in texts]
    return " ".join(capitalised(text) for text in fixed) if is_sentence else fixed[0]
