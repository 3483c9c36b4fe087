"""Writes the made parts of docs/prompts.md: the vocabulary and the examples. `python scripts/prompt_words.py`.

`tests/model/prompt/test_prompts_document.py` fails while they are stale.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clips.dungeon.vocabulary import VOCABULARIES, Language, Words  # noqa: E402
from model.prompt import parse_prompt  # noqa: E402

DOCUMENT = ROOT / "docs" / "prompts.md"
_PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

EXAMPLES = (
    "a mossy crypt lit by torches, a crimson sphere floats above the sand",
    "no torches, moonlight instead",
    "a red carpet and a blue orb",
    "the orb is not red but blue",
    "a huge orb in a small room",
    "stone walls and floor, a ceiling of oak",
    "a wooden crate on wooden boards, mossy stone walls",
    "a barrel rolls past the cube",
    "without a barrel, a cube that doesn't move",
    "torchlihgt and moonlight",
    "a dragon on a glass floor",
    "a room, no torches",
    "小房间，砖墙，一个巨大的蓝色的球在滚动",
    "不是红色的球，而是绿色的圓錐，沒有木桶",
    "一个 red orb 在月光里 bounce",
)


def document(text: str) -> str:
    """The document with its made parts made anew."""
    made = {"vocabulary": _vocabulary(), "examples": _examples()}
    return _PART.sub(lambda part: f"{part[1]}\n{made[part[2]]}\n{part[3]}", text)


def _vocabulary() -> str:
    lines = ["| slot | value | English | Chinese |", "| --- | --- | --- | --- |"]
    for slot, values in VOCABULARIES[Language.ENGLISH].items():
        for value, words in values.items():
            chinese = VOCABULARIES[Language.CHINESE][slot][value]
            lines.append(f"| {slot} | {value} | {_listed(words)} | {_listed(chinese)} |")
    return "\n".join(lines) + "\n"


def _listed(words: Words) -> str:
    exact = ", ".join(f"**{word}**" for word in words.exact)
    synonyms = ", ".join((*words.spoken, *words.heard))
    hints = f"*{', '.join(words.hints)}*" if words.hints else ""
    return "; ".join(part for part in (exact, synonyms, hints) if part)


def _examples() -> str:
    lines = ["| prompt | understood | told |", "| --- | --- | --- |"]
    for prompt in EXAMPLES:
        parsed = parse_prompt(prompt)
        said = [f"{slot} {value} {parsed.confidences[slot]:.2f}" for slot, value in parsed.values.items() if value]
        lines.append(f"| {prompt} | {', '.join(said)} | {', '.join(parsed.unknown_terms)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
