"""English word forms for captions: plurals, forms of verbs, articles."""

from __future__ import annotations

_OF = {
    "plank": "planks",
    "oak plank": "oak planks",
    "tile": "tiles",
    "flagstone": "flagstones",
    "cobblestone": "cobblestones",
    "beam": "beams",
    "rafter": "rafters",
    "coffer": "coffers",
}
"""What a floor or ceiling is "of", where that is not the word itself."""

_ADJECTIVES = {"beam": "beamed", "rafter": "raftered", "coffer": "coffered"}
"""What stands before "ceiling", where that is not the word itself."""

_DOUBLED = frozenset({"hop"})


def english_forms(words: dict[str, str]) -> dict[str, str]:
    """The names that English templates use besides the slots': floors, ceilings, ceiling, moves, moving."""
    return {
        "floors": _OF.get(words["floor"], words["floor"]),
        "ceilings": _OF.get(words["ceiling"], words["ceiling"]),
        "ceiling": _ADJECTIVES.get(words["ceiling"], words["ceiling"]),
        "moves": third_person(words["motion"]),
        "moving": participle(words["motion"]),
    }


def third_person(verb: str) -> str:
    """ "tip over" -> "tips over"; the first word is the verb."""
    first, *rest = verb.split(" ")
    return " ".join([first + "s", *rest])


def participle(verb: str) -> str:
    """ "hop" -> "hopping", "lie still" -> "lying still"; the first word is the verb."""
    first, *rest = verb.split(" ")
    if first.endswith("ie"):
        stem = first[:-2] + "y"
    elif first.endswith("e"):
        stem = first[:-1]
    else:
        stem = first + first[-1] if first in _DOUBLED else first
    return " ".join([stem + "ing", *rest])


def fix_articles(text: str) -> str:
    """The text with "an" before vowels."""
    words = text.split(" ")
    for i in range(len(words) - 1):
        if words[i] in {"a", "A"} and words[i + 1][0] in "aeiou":
            words[i] += "n"
    return " ".join(words)


def capitalised(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
