import pytest

from clips.dungeon.attributes import SLOTS
from clips.dungeon.caption import caption, wordings
from clips.dungeon.scene import sample_room
from model.prompt import PromptSlots, parse_prompt
from model.prompt_words import MEANINGS


def _said(text: str) -> dict[str, str]:
    return {name: value for name, value in parse_prompt(text).values.items() if value is not None}


def test_every_word_means_something_that_the_model_knows() -> None:
    for word, meanings in MEANINGS.items():
        for slot, value in meanings:
            assert value in [str(known) for known in SLOTS[slot]], word


def test_every_canonical_word_but_none_is_known() -> None:
    for slot, words in SLOTS.items():
        for word in words:
            if word != "none":
                assert (slot, str(word)) in MEANINGS[str(word)], word


@pytest.mark.parametrize("seed", range(40))
def test_the_renderers_captions_come_back_whole(seed: int) -> None:
    room = sample_room(seed)
    wanted = {name: None if value == "none" else value for name, value in room.slots.items()}
    for wording in range(wordings()):
        assert parse_prompt(caption(room, wording)) == PromptSlots(wanted, []), caption(room, wording)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a mossy crypt lit by torches", {"light": "torchlight", "wall": "moss"}),
        ("MOONLIT chamber of granite, sandy ground", {"light": "moonlight", "wall": "stone", "floor": "sand"}),
        ("a glowing crimson sphere floats", {"color": "red", "shape": "orb", "motion": "hover"}),
        ("wooden floor, marble walls", {"wall": "marble", "floor": "planks"}),
        ("marble floor, wooden walls", {"wall": "wood", "floor": "tiles"}),
        ("the floor is stone and the walls are oak", {"wall": "wood", "floor": "flagstone"}),
        ("witch light and sand stone", {"light": "witchlight", "wall": "sandstone"}),
        ("two bouncing gems beside barrels", {"shape": "crystal", "motion": "bounce", "prop": "barrel"}),
        ("a brick room, nothing else", {"wall": "brick", "prop": "none"}),
        ("an eerie green light", {"light": "witchlight"}),
        ("", {}),
    ],
)
def test_synonyms_word_forms_and_heads(text: str, expected: dict[str, str]) -> None:
    assert _said(text) == expected


@pytest.mark.parametrize(
    ("text", "color", "unknown"),
    [
        ("red brick room with a blue ball", "blue", ["red"]),
        ("a blue ball in a red brick room", "blue", ["red"]),
        ("white marble walls, green grass, a cone that is yellow", "yellow", ["white", "green"]),
        ("a purple cube beside a white pillar", "purple", ["white"]),
        ("a white pillar, orange", "orange", ["white"]),
        ("white marble walls", None, ["white"]),
        ("red, green, blue orb", "blue", ["red", "green"]),
    ],
)
def test_a_colour_is_bound_to_the_object(text: str, color: str | None, unknown: list[str]) -> None:
    parsed = parse_prompt(text)
    assert parsed.values["color"] == color
    assert parsed.unknown_terms == unknown


def test_materials_of_props_are_told_not_painted_on_walls() -> None:
    parsed = parse_prompt("a marble pillar in a brick room")
    assert parsed.values["wall"] == "brick"
    assert parsed.unknown_terms == ["marble"]


def test_what_is_not_known_is_told_once_and_in_order() -> None:
    assert parse_prompt("a dragon and a unicorn, a dragon in a brick room").unknown_terms == ["dragon", "unicorn"]


def test_a_second_word_for_a_slot_is_told_and_the_first_counts() -> None:
    parsed = parse_prompt("torchlight and moonlight")
    assert (parsed.values["light"], parsed.unknown_terms) == ("torchlight", ["moonlight"])


@pytest.mark.parametrize(
    "text",
    ["石头房间", "каменная", "🙂🙂", "1234 %$#", "\x00\ufffd", "'''", "a" * 5000, "orb " * 25_000, "oak " * 9_000],
)
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    parsed = parse_prompt(text)
    assert set(parsed.values) == set(SLOTS)
    if text[0] in "石к":
        assert parsed.unknown_terms == [text]
