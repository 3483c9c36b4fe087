"""Suggestions: which known words an unknown term may have meant."""

from __future__ import annotations

import difflib
from functools import lru_cache

from model.prompt.function_words import Role
from model.prompt.lexicon import lexicon
from model.prompt.terms import terms

AT_MOST = 3
_NEAR_ENGLISH = 0.7
_NEAR_CHINESE = 0.5
_LONGEST = 32


def suggestions(term: str) -> list[str]:
    """Up to AT_MOST known words that are spelled nearly as `term`, the nearest first.

    None for a term that is known itself, and none for other scripts.
    """
    written = term.casefold()
    if len(written) > _LONGEST or is_known(term):
        return []
    if written.isascii():
        return difflib.get_close_matches(written, _words(chinese=False), AT_MOST, _NEAR_ENGLISH)
    return difflib.get_close_matches(written, _words(chinese=True), AT_MOST, _NEAR_CHINESE)


def is_known(term: str) -> bool:
    """Whether every word of an unknown term is known, so that what it was said of is why it was not used."""
    return all(part.role is not Role.UNKNOWN for part in terms(term))


@lru_cache(maxsize=2)
def _words(*, chinese: bool) -> list[str]:
    return [word for word in lexicon().words_of() if word.isascii() is not chinese]
