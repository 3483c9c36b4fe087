"""The dataset card of our own training data says what the code makes today."""

from __future__ import annotations

import shlex
from pathlib import Path

from clips.footage.card import card_text, counts_of_seeds
from clips.footage.dungeon_footage import DungeonRecipe
from service.cli.data_card import seeds_facts

DOCS = Path(__file__).parents[3] / "docs"
CARD = DOCS / "dataset-card.md"


def test_every_share_of_the_card_is_what_the_code_draws() -> None:
    text = CARD.read_text(encoding="utf-8")
    command = text.rstrip().removesuffix("```").rstrip().splitlines()[-1]
    words = shlex.split(command)
    assert words[:3] == ["narthex", "data", "card"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    recipe, clips = DungeonRecipe(frames=int(options["--frames"])), int(options["--clips"])
    picture = next(line for line in text.splitlines() if line.startswith("!["))
    caption, name = picture.removeprefix("![").removesuffix(")").split("](")
    facts = seeds_facts(recipe, (0, clips), command, (name, caption))
    fresh = card_text(facts, counts_of_seeds(recipe, range(clips)))
    assert fresh.splitlines() == text.splitlines(), f"make it anew: {command}"


def test_the_cards_picture_is_there_and_small() -> None:
    assert (DOCS / "dataset.webp").stat().st_size < 300_000
    assert "](dataset.webp)" in CARD.read_text(encoding="utf-8")
