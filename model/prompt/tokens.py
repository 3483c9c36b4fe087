"""Tokens: a prompt cut into words, runs of Chinese characters and marks, each with its place in the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from model.prompt.traditional import SIMPLIFIED

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(
    rf"(?P<han>[{_HAN}]+)"
    rf"|(?P<word>(?:[^\W\d_{_HAN}][\u0300-\u036f\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e]*"
    rf"|(?<=[^\W\d_])['\u2019](?=[^\W\d_]))+)"
    r"|(?P<number>\d+)"
    r"|(?P<mark>[.,;:!?()\[\]{}\n/+|&\u2013\u2014\u2026\u3001\u3002\uff01\uff08\uff09\uff0c\uff0e\uff0f\uff1a\uff1b\uff1f]"
    r"|(?<=\s)-+(?=\s))"
    r"|(?P<symbol>[\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff][\u200d\ufe0e\ufe0f\U0001f000-\U0001faff]*)"
)


class TokenKind(Enum):
    """What a token is made of: letters, Chinese characters, digits, a punctuation mark, a picture."""

    WORD = auto()
    HAN = auto()
    NUMBER = auto()
    MARK = auto()
    SYMBOL = auto()


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: what it is made of.
        start, stop: where it stands in the prompt.
        form: lower-case, of ordinary width, with simplified characters; a character for a character if it is HAN.
    """

    kind: TokenKind
    start: int
    stop: int
    form: str


def tokens(text: str) -> Iterator[Token]:
    """The tokens of any text, in their order; spaces, control characters and lone marks in between are left out."""
    for found in _TOKEN.finditer(text):
        kind = TokenKind[str(found.lastgroup).upper()]
        written = found.group()
        if kind is TokenKind.HAN:
            form = written.translate(SIMPLIFIED)
        else:
            form = unicodedata.normalize("NFKC", written).casefold().replace("\u2019", "'")
        yield Token(kind, found.start(), found.end(), form)
