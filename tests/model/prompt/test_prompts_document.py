"""docs/prompts.md and the prompts of the examples agree with the parser."""

import re
from pathlib import Path

import pytest
import yaml

from model.prompt import parse_prompt
from scripts.prompt_words import DOCUMENT, EXAMPLES, document

ROOT = Path(__file__).parents[3]
WORLDS = sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("service/worlds/*.yaml")])


def test_the_made_parts_are_not_stale_and_hold_everything() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert document(text) == text, "run `python scripts/prompt_words.py`"
    assert all(f"| {prompt} |" in text for prompt in EXAMPLES)
    assert text.count("| motion |") == 8 and "**滚动**" in text


def test_quoted_numbers_of_the_corpus_are_the_ones_that_the_test_prints(capsys) -> None:
    quoted = re.findall(
        r"\| (?:held out, now|tuned on[^|]*) \| (\d+) of (\d+) \(([\d.]+)\) \|", DOCUMENT.read_text("utf-8")
    )
    found = []
    for name in ("prompts-held-out.txt", "prompts-tuned-on.txt"):
        right = mentions = 0
        for line in (Path(__file__).parent / "data" / name).read_text("utf-8").splitlines():
            if line.startswith("# "):
                continue
            prompt, _, expected = line.partition(" =>")
            meant = dict(word.split("=") for word in expected.split())
            values = {slot: value for slot, value in parse_prompt(prompt).values.items() if value}
            mentions += len(set(meant) | set(values))
            right += sum(meant.get(slot) == values.get(slot) for slot in set(meant) | set(values))
        found.append((str(right), str(mentions), f"{right / mentions:.3f}"))
    assert quoted == found


def _prompts(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [value for key, value in node.items() if key == "prompt" and isinstance(value, str)]
        return own + [prompt for value in node.values() for prompt in _prompts(value)]
    return [prompt for value in node for prompt in _prompts(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("path", WORLDS, ids=lambda path: path.name)
def test_every_word_of_the_example_worlds_prompts_is_understood(path: Path) -> None:
    prompts = _prompts(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert prompts, "a world has prompts"
    for prompt in prompts:
        parsed = parse_prompt(prompt)
        assert parsed.unknown_terms == [], prompt
        assert sum(value is not None for value in parsed.values.values()) >= 6, prompt
