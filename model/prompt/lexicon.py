"""The lexicon: every word that the front end knows, made once from the vocabulary and the function words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from clips.dungeon.vocabulary import VOCABULARIES, Words
from model.prompt import function_words as given
from model.prompt.function_words import Role
from model.prompt.spelling import Spelling, forms

EXACT, SYNONYM, HINT = 1.0, 0.9, 0.6
"""How sure a canonical word, a synonym and a hint are."""

PHRASE_WORDS = 4
"""No phrase of the lexicon has more words."""


@dataclass(frozen=True)
class Sense:
    """One meaning: a value of a slot and how sure the word alone makes it."""

    slot: str
    value: str
    confidence: float


@dataclass(frozen=True)
class Entry:
    """What a word is: its role, what it may mean (MENTION) in which slots, and what kind of noun it is (HEAD)."""

    role: Role
    senses: tuple[Sense, ...] = ()
    head: str = ""
    slots: frozenset[str] = frozenset()


class Lexicon:
    """All entries. `english` is keyed by lemmas divided by spaces, `chinese` by the characters."""

    def __init__(self) -> None:
        found: dict[str, dict[str, Sense]] = {}
        for word, sense in _senses():
            found.setdefault(word, {}).setdefault(sense.slot, sense)
        entries = {
            word: Entry(Role.MENTION, tuple(senses.values()), slots=frozenset(senses)) for word, senses in found.items()
        }
        for word, entry in _functions():
            entries.setdefault(word, entry)
        self.chinese = {word: entry for word, entry in entries.items() if _is_chinese(word)}
        self.chinese_sizes = _sizes(self.chinese)
        self.english = {word: entry for word, entry in entries.items() if not _is_chinese(word)}
        self._lemmas = frozenset(part for word in self.english for part in word.split())
        named = [word for word, entry in self.english.items() if entry.role in (Role.MENTION, Role.HEAD)]
        self._spelling = Spelling(word for word in named if " " not in word)

    @lru_cache(maxsize=4096)  # noqa: B019 - one lexicon lives as long as the process
    def lemma(self, form: str) -> str | None:
        """The form of an English word that the lexicon has, None where it has none."""
        plain = given.IRREGULAR.get(form, form)
        return next((known for known in forms(plain) if known in self._lemmas), None)

    def single(self, form: str) -> str | None:
        """The form of an English word that stands in the lexicon by itself, not only in phrases ("glowing coal")."""
        plain = given.IRREGULAR.get(form, form)
        return next((known for known in forms(plain) if known in self.english), None)

    @lru_cache(maxsize=4096)  # noqa: B019
    def corrected(self, form: str) -> str | None:
        """A known word that `form` is a misspelling of; None where there is none, or several of different meaning."""
        near = self._spelling.corrected(form)
        meanings = {_meanings(self.english[word]) for word in near}
        return near[0] if len(meanings) == 1 else None

    def words_of(self) -> Iterator[str]:
        """Every word and phrase that names a slot's value or a noun, for suggestions."""
        for table in (self.english, self.chinese):
            yield from (word for word, entry in table.items() if entry.role in (Role.MENTION, Role.HEAD))


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The one lexicon; the first call makes it."""
    return Lexicon()


def _sizes(words: Iterable[str]) -> dict[str, list[int]]:
    """First character to the sizes of the words that begin with it, the longest first."""
    sizes: dict[str, set[int]] = {}
    for word in words:
        sizes.setdefault(word[0], set()).add(len(word))
    return {first: sorted(found, reverse=True) for first, found in sizes.items()}


def _meanings(entry: Entry) -> tuple[object, ...]:
    return (entry.role, entry.head, *((sense.slot, sense.value) for sense in entry.senses))


def _senses() -> Iterator[tuple[str, Sense]]:
    for vocabulary in VOCABULARIES.values():
        for slot, values in vocabulary.items():
            for value, words in values.items():
                for word, confidence in _graded(words):
                    yield word.replace("-", " "), Sense(slot, value, confidence)


def _graded(words: Words) -> Iterator[tuple[str, float]]:
    for group, confidence in (
        (words.exact, EXACT),
        (words.spoken, SYNONYM),
        (words.heard, SYNONYM),
        (words.hints, HINT),
    ):
        yield from ((word, confidence) for word in group)


def _functions() -> Iterator[tuple[str, Entry]]:
    for head, words in given.HEADS.items():
        yield from ((word, Entry(Role.HEAD, head=head)) for word in _split(words))
    roles = (
        (Role.SILENT, given.NOT_NEGATIONS),
        (Role.NEGATION, given.NEGATIONS),
        (Role.CONTRAST, given.CONTRASTS),
        (Role.MOVES, given.MOVES),
        (Role.LINK, given.LINKS),
        (Role.ON, given.ONS),
        (Role.AND, given.ANDS),
        (Role.OR, given.ORS),
        (Role.BREAK, given.BREAKS),
        (Role.SILENT, given.SILENTS),
        (Role.UNKNOWN, given.OTHERS),
    )
    for role, words in roles:
        yield from ((word, Entry(role)) for word in _split(words))


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _is_chinese(word: str) -> bool:
    return "\u3400" <= word[0] <= "\u9fff"
