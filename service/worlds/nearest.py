"""The nearest of some names, for errors about unknown ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 100
LIKENESS = 0.5


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the name that is most like `name`; empty where none is like it."""
    close = get_close_matches(name[:LONGEST], list(names), n=1, cutoff=LIKENESS)
    return f"; did you mean {close[0]!r}?" if close else ""
