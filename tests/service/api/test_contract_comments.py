"""What comments of the contract say in numbers is what the code does."""

import re
from pathlib import Path

from model.prompt import parse_prompt
from model.prompt.parse import LONGEST_TERM
from model.prompt.slots import MOST_UNKNOWN_TERMS

PROTOS = Path(__file__).parents[3] / "protos" / "narthex" / "v1"


def comment_of(field: str, file: str) -> str:
    """The comment above a field, in one line."""
    text = (PROTOS / file).read_text(encoding="utf-8")
    found = re.search(rf"((?:^ *//.*\n)+)^ *[\w ]* {field} = \d+;", text, re.MULTILINE)
    assert found is not None, f"{file}: {field} has no comment"
    return " ".join(line.strip().removeprefix("//").strip() for line in found[1].splitlines())


def test_unknown_terms_are_as_many_and_as_long_as_the_comment_says():
    comment = comment_of("unknown_terms", "content.proto")
    assert f"cut to {LONGEST_TERM} characters, the first {MOST_UNKNOWN_TERMS}." in comment
    assert 'one further and last entry says how many: "(and N more)"' in comment
    words = [f"zork{chr(97 + number // 26)}{chr(97 + number % 26)}qx" for number in range(MOST_UNKNOWN_TERMS + 7)]
    assert parse_prompt(" ".join(words[:MOST_UNKNOWN_TERMS])).told_terms() == words[:MOST_UNKNOWN_TERMS]
    told = parse_prompt(" ".join([*words, *words]).upper()).told_terms()
    assert told == [*words[:MOST_UNKNOWN_TERMS], "(and 7 more)"]
    (long,) = parse_prompt("zork" * 100).told_terms()
    assert (len(long), long[-1]) == (LONGEST_TERM, "\u2026")
