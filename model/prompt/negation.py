"""Negation: which terms of a prompt are ruled out ("no torches", "not red but blue")."""

from __future__ import annotations

from model.prompt.function_words import GLOWS, Role
from model.prompt.surroundings import SURFACES
from model.prompt.terms import Term

_STATES = ("no", "without", "没有", "无", "毫无", "lack", "minus", "free of", "devoid of", "没", "不带", "不含")
"""Negations of things; they reach over "and" to the next thing of the kind: "without barrels and crates"."""

_OF_ALL = ("不是", "并非", "而不是", "不要", "别", "勿", "不用", "不需要", "非")
"""Chinese negations of all that follows: "不是红色的球" is no red ball. Others end where 的 ends their clause."""

_ROOM_AHEAD = 6
"""How many terms after 的 are searched for the room that a clause like "没有窗户的" describes."""

_CONTRAST_AHEAD = 12
"""How many terms after a negated size are searched for its noun and for a "but"."""

_ARTICLES = frozenset({"a", "an", "the"})
_ENDS = frozenset({Role.END, Role.CONTRAST})
_PARTS = frozenset({Role.BREAK, Role.LINK, Role.ON})
_CONTENT = frozenset({Role.MENTION, Role.UNKNOWN, Role.HEAD, Role.MOVES})


def dimmed(terms: list[Term], negations: list[int | None]) -> list[tuple[int, int]]:
    """Pairs of a negation that rules out nothing else (`negated_by`) and its silent word of light: "does not glow"."""
    found, used = [], set(negations)
    for index, term in enumerate(terms):
        if term.role is not Role.NEGATION or index in used:
            continue
        for at in range(index + 1, len(terms)):
            if terms[at].role is not Role.SILENT:
                break
            if terms[at].word in GLOWS:
                found.append((index, at))
                break
    return found


def negated_by(terms: list[Term]) -> list[int | None]:
    """For every term the index of the negation that rules it out, else None; one pass.

    A negation reaches to the end of the first phrase with content: "not made of red brick in ..." rules out red and
    brick. "or" carries on; "and" carries on after "no" and its like where a bare noun of things follows. A size after
    "not" ends it: "a not very big brick hall" and "not a small brick room" are of brick. In Chinese 的 ends a clause
    that describes what follows.
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
        if scope.open and scope.ends_with(terms, index):
            scope = _Scope()
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
        if terms[index].word == "的":
            return self._is_described(terms, index)
        if role is Role.AND:
            return not self._carries_on(terms, index)
        return role in _PARTS and self.used and not self._is_material(terms, index)

    def _is_material(self, terms: list[Term], index: int) -> bool:
        """Whether the link at `index` leads to what a negated surface is made of: "nor floor of stone"."""
        return terms[index].word == "of" and index > 0 and terms[index - 1].head in SURFACES

    def ends_with(self, terms: list[Term], index: int) -> bool:
        """Whether a negated adjective is all that is negated: "not very big"; after an article only of a room."""
        if not terms[index].in_slot("size") or terms[int(self.since or 0)].word not in ("not", "不"):
            return False
        between = [term for term in terms[int(self.since or 0) + 1 : index] if term.role is not Role.SILENT]
        if not between:
            return True
        return all(term.word in _ARTICLES for term in between) and self._is_of_a_room(terms, index)

    def _is_of_a_room(self, terms: list[Term], index: int) -> bool:
        """Whether a room follows that is not put right by a contrast: "not a small brick room", without "but"."""
        ahead = terms[index + 1 : index + 1 + _CONTRAST_AHEAD]
        for term in ahead:
            if term.role is Role.CONTRAST:
                return False
            if term.role is Role.END:
                break
        solid = next((term for term in ahead if term.role in _ENDS or term.head or term.in_slot("prop", "shape")), None)
        return solid is not None and solid.head == "room"

    def _is_described(self, terms: list[Term], index: int) -> bool:
        """Whether the 的 at `index` ends a clause: "不会动的立方体" is a cube, "没有桶的砖房" a room of brick."""
        negation = terms[int(self.since or 0)].word
        if negation not in _STATES:
            return negation not in _OF_ALL
        ahead = terms[index + 1 : index + 1 + _ROOM_AHEAD]
        solid = next((term for term in ahead if term.role in _ENDS or term.head or term.in_slot("prop", "shape")), None)
        return solid is not None and solid.head == "room"

    def _carries_on(self, terms: list[Term], index: int) -> bool:
        after = terms[index + 1] if index + 1 < len(terms) else None
        negation = terms[self.since].word if self.since is not None else ""
        prop = None if after is None else after.sense("prop")
        # "No furniture" rules things out by itself.
        return negation in _STATES and prop is not None and prop.value != "none"
