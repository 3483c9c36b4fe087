"""Terms: the longest known words and phrases of a prompt, and what is unknown between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model.prompt.function_words import Role
from model.prompt.lexicon import PHRASE_WORDS, Entry, Lexicon, Sense, lexicon
from model.prompt.tokens import Token, TokenKind, tokens

MISSPELT = 0.6
"""A word that was read as another one is so much less sure."""

_CLAUSE_MARKS = frozenset(".,;!?\n\u2026\u3002")
_AND_MARKS = frozenset("\u3001/+&|")
_ONE = frozenset({"1", "\u4e00"})
_UNKNOWN = Entry(Role.UNKNOWN)


@dataclass(frozen=True)
class Term:
    """One word or phrase of a prompt.

    Attributes:
        start, stop: where it stands in the prompt.
        word: the known word that it is, else its lower-case form.
        role, senses, head, slots: as `lexicon.Entry`.
        certainty: 1, or MISSPELT where a slip of the pen was read as `word`.
    """

    start: int
    stop: int
    word: str
    role: Role
    senses: tuple[Sense, ...] = ()
    head: str = ""
    certainty: float = 1.0
    slots: frozenset[str] = frozenset()

    def sense(self, slot: str) -> Sense | None:
        """What it means in a slot."""
        return next((sense for sense in self.senses if sense.slot == slot), None)

    def in_slot(self, *slots: str) -> bool:
        """Whether it can mean something in one of some slots."""
        return not self.slots.isdisjoint(slots)


def terms(text: str) -> list[Term]:
    """The terms of any text, in their order. Every token is visited a bounded number of times."""
    known = lexicon()
    found: list[Term] = []
    words: list[Token] = []
    for token in tokens(text):
        if token.kind is TokenKind.WORD and (not words or _same_phrase(text, words[-1], token)):
            words.append(token)
            continue
        found += _english(words, known)
        words = []
        if token.kind is TokenKind.WORD:
            words.append(token)
        elif token.kind is TokenKind.HAN:
            found += _chinese(token, known)
        else:
            found.append(_other(token))
    return found + list(_english(words, known))


def _same_phrase(text: str, before: Token, after: Token) -> bool:
    """Whether nothing but spaces, hyphens and quotation marks divides two words."""
    return (
        before.stop == after.start
        or len(text[before.stop : after.start].strip(" \t\r-'\"\u2018\u2019\u201c\u201d")) == 0
    )


def _english(words: list[Token], known: Lexicon) -> Iterator[Term]:
    lemmas = [known.lemma(word.form) or word.form for word in words]
    index = 0
    while index < len(words):
        count, key, entry, certainty = _longest(words, lemmas, index, known)
        yield _term(words[index].start, words[index + count - 1].stop, key, entry, certainty)
        index += count


def _longest(words: list[Token], lemmas: list[str], index: int, known: Lexicon) -> tuple[int, str, Entry, float]:
    """How many words from `index` on make the longest known phrase, its key, its entry and its certainty."""
    for count in range(min(PHRASE_WORDS, len(words) - index), 0, -1):
        written = [word.form for word in words[index : index + count]]
        # As written first: "leaves" may be listed; joined: "torch lit" is "torchlit".
        keys = [" ".join(written), " ".join(lemmas[index : index + count])]
        if count == 2:
            keys += ["".join(written), "".join(lemmas[index : index + count])]
        for key in keys:
            if key in known.english:
                return count, key, known.english[key], 1.0
    form = words[index].form
    single = known.single(form)
    if single is not None:
        return 1, single, known.english[single], 1.0
    if form.endswith("n't") or form == "dont":
        return 1, form, Entry(Role.NEGATION), 1.0
    meant = known.corrected(form)
    if meant is not None:
        return 1, meant, known.english[meant], MISSPELT
    return 1, form, _UNKNOWN, 1.0


def _chinese(token: Token, known: Lexicon) -> Iterator[Term]:
    """Longest match from the left; characters in between that start no known word are one unknown term."""
    form, index, unknown_from = token.form, 0, 0
    while index < len(form):
        sizes = known.chinese_sizes.get(form[index], ())
        size = next((n for n in sizes if n <= len(form) - index and form[index : index + n] in known.chinese), 0)
        if size:
            if unknown_from < index:
                yield _term(token.start + unknown_from, token.start + index, form[unknown_from:index], _UNKNOWN)
            word = form[index : index + size]
            yield _term(token.start + index, token.start + index + size, word, known.chinese[word])
            unknown_from = index + size
        index += size or 1
    if unknown_from < len(form):
        yield _term(token.start + unknown_from, token.stop, form[unknown_from:], _UNKNOWN)


def _other(token: Token) -> Term:
    if token.kind is not TokenKind.MARK:
        role = Role.SILENT if token.form in _ONE else Role.UNKNOWN
    elif token.form[0] in _CLAUSE_MARKS:
        role = Role.END
    elif token.form[0] in _AND_MARKS:
        role = Role.AND
    else:
        # Colons and brackets join what is said to what it is said of: "walls: brick", "a cube (green)".
        role = Role.LINK
    return Term(token.start, token.stop, token.form, role)


def _term(start: int, stop: int, word: str, entry: Entry, certainty: float = 1.0) -> Term:
    return Term(start, stop, word, entry.role, entry.senses, entry.head, certainty, entry.slots)
