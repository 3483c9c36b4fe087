"""Word forms and misspellings: which known word an English word is an inflection or a slip of."""

from __future__ import annotations

from collections.abc import Iterable

_SUFFIXES = ("s", "es", "ing", "ed", "ly", "y", "in")
_ORDINARY_WORDS = (
    "angle barely close closed closely closes closest compat daisy deny dose granted grantee heart hearts hope "
    "hoped hopes hoping logged logging login mono pinned plan plans posting pots role roles salted state "
    "stated states status statute steel strain stray tailing tally tilde timer timers violent "
)
"""Common words that are a slip or an ending away from a known one and are not meant for it."""

_ORDINARY = frozenset(_ORDINARY_WORDS.split())

_SHORTEST, _LONGEST = 4, 24
_SURE_LENGTH, _LETTER_LENGTH = 4, 6


def forms(word: str) -> list[str]:
    """What `word` may be an inflection of, the word itself first: rolling -> rolling, roll, rolle, rol."""
    word = word.removesuffix("'s").removesuffix("'")
    found = [word]
    if word in _ORDINARY:
        return found
    if word.endswith("ies") and len(word) > 4:
        found.append(word[:-3] + "y")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            stem = word.removesuffix(suffix)
            found.append(stem)
            if suffix not in ("s", "es"):
                found.append(stem + "e")
            if stem[-1] == stem[-2]:
                found.append(stem[:-1])
    return found


class Spelling:
    """Finds slips of the pen: neighbours swapped, a letter doubled or left out, one letter too many.

    Only in the words that it is given, which should be those that name something: a slip for "neither" is left alone.
    The first letter is never added or left out: that makes coffers of offers.
    In short words only those are taken that make no other English word as a rule: swapped neighbours and doubled
    letters from 4 letters on, other letters missing or too many where the meant word has at least 6. A wrong letter is
    never corrected: that makes glass of grass.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(word for word in words if len(word) >= _SHORTEST and word.isascii())
        self._shortened: dict[str, set[str]] = {}
        for word in self._words:
            for short in _deletions(word):
                self._shortened.setdefault(short, set()).add(word)

    def corrected(self, word: str) -> list[str]:
        """The known words that `word` is a slip of, in alphabetical order."""
        if word in _ORDINARY or not word.isascii() or not _SHORTEST <= len(word) <= _LONGEST:
            return []
        # Stems without an e put back: "casts" is no slip of "castle".
        for form in [form for form in forms(word) if word.startswith(form)]:
            found = self._near(form) if len(form) >= _SURE_LENGTH - 1 else set()
            if found:
                return sorted(found)
        return []

    def _near(self, form: str) -> set[str]:
        swapped = {form[:k] + form[k + 1] + form[k] + form[k + 2 :] for k in range(len(form) - 1)}
        found = swapped & self._words if len(form) >= _SURE_LENGTH else set()
        for word in self._shortened.get(form, ()):
            if word[0] == form[0] and (len(word) >= _LETTER_LENGTH or _is_doubling(word, form)):
                found.add(word)
        for short in set(_deletions(form)) & self._words:
            if short[0] == form[0] and (len(short) >= _LETTER_LENGTH or _is_doubling(form, short)):
                found.add(short)
        return found


def _deletions(word: str) -> list[str]:
    return [word[:k] + word[k + 1 :] for k in range(len(word))]


def _is_doubling(longer: str, shorter: str) -> bool:
    """Whether `longer` is `shorter` with one of its letters doubled."""
    return any(longer[k] == longer[k + 1] and longer[:k] + longer[k + 1 :] == shorter for k in range(len(longer) - 1))
