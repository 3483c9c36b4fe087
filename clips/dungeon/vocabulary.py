"""The words for every slot value in English and Chinese: captions say some of them, the prompt front end reads all.

A word may stand under several values: "stone" is said of walls, of floors and of ceilings, and the noun that it is
said of decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clips.dungeon import words_chinese, words_english
from clips.dungeon.attributes import SLOTS


class Language(StrEnum):
    """The languages that captions and prompts are written in."""

    ENGLISH = "english"
    CHINESE = "chinese"


@dataclass(frozen=True)
class Words:
    """How one language says one slot value; a word may consist of several, divided by spaces.

    Attributes:
        exact: the canonical words; the first is the one that captions prefer.
        spoken: synonyms that captions use too.
        heard: synonyms that only the prompt front end reads.
        hints: words that make the value likely without meaning it ("night": moonlight).
    """

    exact: tuple[str, ...]
    spoken: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """The words that captions choose from."""
        return (self.exact[0], *self.spoken)


Vocabulary = dict[str, dict[str, Words]]
"""Slot to value to words."""


def _vocabulary(table: dict[str, dict[str, tuple[str, ...]]]) -> Vocabulary:
    return {slot: {str(value): _words(table[slot][value]) for value in values} for slot, values in SLOTS.items()}


def _words(row: tuple[str, ...]) -> Words:
    """Words from up to four lists that are written with commas."""
    lists = [tuple(word.strip() for word in text.split(",") if word.strip()) for text in row]
    return Words(*lists)


VOCABULARIES: dict[Language, Vocabulary] = {
    Language.ENGLISH: _vocabulary(words_english.TABLE),
    Language.CHINESE: _vocabulary(words_chinese.TABLE),
}
"""All words; every value of every slot is there in both languages (a test says so)."""
