"""Negation: which terms of a prompt are ruled out ("no torches", "not red but blue")."""

from __future__ import annotations

from model.prompt.function_words import Role
from model.prompt.terms import Term

_STATES = ("no", "without", "没有", "无", "毫无", "lack", "minus", "free of", "devoid of", "没", "不带", "不含")
"""Negations of things; they reach over "and" to the next thing of the kind: "without barrels and crates"."""

_ENDS = frozenset({Role.END, Role.CONTRAST})
_PARTS = frozenset({Role.BREAK, Role.LINK, Role.ON})
_CONTENT = frozenset({Role.MENTION, Role.UNKNOWN, Role.HEAD, Role.MOVES})


def negated_by(terms: list[Term]) -> list[int | None]:
    """For every term the index of the negation that rules it out, else None; one pass.

    A negation reaches to the end of the first phrase with content: "not made of red brick in ..." rules out red and
    brick. "or" carries on; "and" carries on after "no" and its like where a bare noun of things follows.
    """
    scope = _Scope()
    found: list[int | None] = []
    for index, term in enumerate(terms):
        if term.role is Role.NEGATION:
            scope = _Scope(index)
        elif not scope.open or scope.is_left_at(terms, index):
            scope = _Scope()
        else:
            scope.used = scope.used or (term.role in _CONTENT and term.head != "light")
        found.append(scope.since if term.role in _CONTENT else None)
    return found


class _Scope:
    """The reach of one negation; since: its index, None where nothing is negated."""

    def __init__(self, since: int | None = None) -> None:
        self.since = since
        self.used = False

    @property
    def open(self) -> bool:
        return self.since is not None

    def is_left_at(self, terms: list[Term], index: int) -> bool:
        role = terms[index].role
        if role in _ENDS:
            return True
        if role is Role.AND:
            return not self._carries_on(terms, index)
        return role in _PARTS and self.used

    def _carries_on(self, terms: list[Term], index: int) -> bool:
        after = terms[index + 1] if index + 1 < len(terms) else None
        negation = terms[self.since].word if self.since is not None else ""
        return negation in _STATES and after is not None and after.in_slot("prop")
