import pytest

from clips.dungeon.attributes import SLOTS
from model.prompt import parse_prompt


def _said(text: str) -> dict[str, str]:
    return {name: value for name, value in parse_prompt(text).values.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a mossy crypt lit by torches", {"light": "torchlight", "wall": "moss"}),
        ("MOONLIT chamber of granite, sandy ground", {"light": "moonlight", "wall": "stone", "floor": "sand"}),
        ("a glowing crimson sphere floats", {"color": "red", "shape": "orb", "motion": "hover"}),
        ("wooden floor, marble walls", {"wall": "marble", "floor": "planks"}),
        ("marble floor, wooden walls", {"wall": "wood", "floor": "tiles"}),
        ("the floor is stone and the walls are oak", {"wall": "wood", "floor": "flagstone"}),
        ("walls made of bricks, a ceiling of oak", {"wall": "brick", "ceiling": "beams"}),
        ("tiles on the floor, moss on the walls, rock overhead", {"floor": "tiles", "wall": "moss", "ceiling": "rock"}),
        ("mossy stone walls", {"wall": "moss"}),
        ("walls of stone blocks", {"wall": "stone"}),
        ("sandstone blocks", {"wall": "sandstone"}),
        ("a red stone block slides", {"color": "red", "shape": "cube", "motion": "slide"}),
        ("tiles of stone, planks of oak", {"floor": "tiles"}),
        ("a cube on stone", {"shape": "cube", "floor": "flagstone"}),
        ("torch brick sand cube", {"light": "torchlight", "wall": "brick", "shape": "cube"}),
        ("a garden with grass", {"floor": "grass"}),
        ("torches still burn", {"light": "torchlight"}),
        ("a stone tile floor", {"floor": "tiles"}),
        ("stone walls and a floor of grass", {"wall": "stone", "floor": "grass"}),
        ("wooden walls and ceiling", {"wall": "wood", "ceiling": "beams"}),
        ("witch light and sand stone", {"light": "witchlight", "wall": "sandstone"}),
        ("two bouncing gems beside barrels", {"shape": "crystal", "motion": "bounce", "prop": "barrel"}),
        ("it rolled, then it was toppling; it swung", {"motion": "roll"}),
        ("the cube is still rolling", {"shape": "cube", "motion": "roll"}),
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
        ("red brick room with a blue ball", "blue", []),
        ("a blue ball in a black brick room", "blue", ["black"]),
        ("green moss walls, yellow cube", "yellow", []),
        ("purple marble walls, red grass, a cone that is yellow", "yellow", ["purple", "red"]),
        ("a purple cube beside a white pillar", "purple", ["white"]),
        ("a white pillar, orange", "orange", ["white"]),
        ("blue marble walls", None, ["blue"]),
        ("red, green, blue orb", "blue", ["red", "green"]),
        ("a red carpet and a blue orb", "blue", ["red", "carpet"]),
        ("a carpet of red, a cube of blue", "blue", ["carpet", "red"]),
        ("the orb is red, the walls are blue", "red", ["blue"]),
        ("golden sunlight and a green gem", "green", []),
    ],
)
def test_a_colour_is_bound_to_the_object(text: str, color: str | None, unknown: list[str]) -> None:
    parsed = parse_prompt(text)
    assert parsed.values["color"] == color
    assert parsed.unknown_terms == unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no torches, moonlight instead", {"light": "moonlight"}),
        ("without a barrel", {"prop": "none"}),
        ("without barrels and crates", {"prop": "none"}),
        ("no barrel and a brick wall", {"prop": "none", "wall": "brick"}),
        ("an orb, not red but blue", {"shape": "orb", "color": "blue"}),
        ("the walls are not brick but stone", {"wall": "stone"}),
        ("the floor is not stone but wood", {"floor": "planks"}),
        ("neither a cube nor a cone but an orb", {"shape": "orb"}),
        ("the orb isn't moving", {"shape": "orb", "motion": "still"}),
        ("an orb never stops rolling", {"shape": "orb", "motion": "roll"}),
        ("a room that is not large", {"size": "small"}),
        ("nothing but a red cube", {"color": "red", "shape": "cube"}),
        ("没有火把，有月光", {"light": "moonlight"}),
        ("球不是红色，而是蓝色", {"shape": "orb", "color": "blue"}),
        ("无柱子", {"prop": "none"}),
        ("球不停地滚动", {"shape": "orb", "motion": "roll"}),
    ],
)
def test_what_is_ruled_out_is_not_painted(text: str, expected: dict[str, str]) -> None:
    parsed = parse_prompt(text)
    assert {slot: value for slot, value in parsed.values.items() if value} == expected
    assert parsed.unknown_terms == []


def test_what_is_ruled_out_with_nothing_in_its_place_is_told() -> None:
    parsed = parse_prompt("a brick room, no torches; no floor")
    assert parsed.values["light"] is None
    assert parsed.unknown_terms == ["no torches", "no floor"]


@pytest.mark.parametrize(
    ("text", "size", "unknown"),
    [
        ("a huge orb in a small room", "small", ["huge"]),
        ("a large cube", None, ["large"]),
        ("a big dragon in a brick room", None, ["big", "dragon"]),
        ("the chamber is vast and the gem is tiny", "large", ["tiny"]),
        ("小房间里有一个巨大的球", "small", ["巨大"]),
    ],
)
def test_a_size_is_the_rooms(text: str, size: str | None, unknown: list[str]) -> None:
    parsed = parse_prompt(text)
    assert (parsed.values["size"], parsed.unknown_terms) == (size, unknown)


@pytest.mark.parametrize(
    ("text", "motion"),
    [
        ("floating candles and a cube", None),
        ("a barrel rolls past the blue orb", None),
        ("a cube beside a swinging lantern", None),
        ("a knight jumps over a cube", None),
        ("a cube beside a barrel bounces", "bounce"),
        ("rolling, a cube", "roll"),
        ("滚动的木桶和一个方块", None),
        ("方块绕着柱子转", "orbit"),
    ],
)
def test_a_motion_is_the_objects(text: str, motion: str | None) -> None:
    assert parse_prompt(text).values["motion"] == motion


def test_materials_of_props_are_told_not_painted_on_walls() -> None:
    parsed = parse_prompt("a marble pillar in a brick room")
    assert parsed.values["wall"] == "brick"
    assert parsed.unknown_terms == ["marble"]
    assert parse_prompt("a wooden crate, a stone floor").unknown_terms == []


def test_what_is_not_known_is_told_once_and_in_order() -> None:
    parsed = parse_prompt("a dragon and a Unicorn, a Dragon in a brick room")
    assert parsed.unknown_terms == ["dragon", "unicorn"]
    assert len(parsed.unknown_spans) == 3


def test_a_second_word_for_a_slot_is_told_and_the_first_counts_but_less_surely() -> None:
    parsed = parse_prompt("torchlight and moonlight")
    assert (parsed.values["light"], parsed.unknown_terms) == ("torchlight", ["moonlight"])
    assert parsed.confidences["light"] == 0.6


@pytest.mark.parametrize(
    ("text", "slot", "confidence"),
    [
        ("torchlight", "light", 1.0),
        ("lanterns", "light", 0.9),
        ("at night", "light", 0.6),
        ("torchlihgt", "light", 0.6),
        ("stone walls", "wall", 1.0),
        ("stone", "wall", 0.8),
        ("stone walls and floor", "floor", 0.63),
        ("a red cube", "color", 1.0),
        ("something, red", "color", 0.8),
        ("no crate", "prop", 0.7),
        ("not a large room", "size", 0.7),
        ("not large", "size", 0.56),
        ("a high ceiling", "size", 0.6),
        ("a cube, not a cube", "shape", 0.6),
        ("火把", "light", 1.0),
        ("灯笼", "light", 0.9),
        ("brick", "light", 0.0),
    ],
)
def test_confidence_follows_the_documented_rule(text: str, slot: str, confidence: float) -> None:
    assert parse_prompt(text).confidences[slot] == pytest.approx(confidence)


def test_spans_are_the_words_that_said_it() -> None:
    text = "A  Crimson orb — it bounces; ｍｏｓｓｙ walls, 火炬。没有木桶"
    parsed = parse_prompt(text)
    said = {slot: [text[start:stop] for start, stop in spans] for slot, spans in parsed.spans.items() if spans}
    assert said == {
        "light": ["火炬"],
        "wall": ["ｍｏｓｓｙ"],
        "color": ["Crimson"],
        "shape": ["orb"],
        "motion": ["bounces"],
        "prop": ["没有木桶"],
    }


def test_traditional_characters_say_the_same_as_simplified_ones() -> None:
    traditional = parse_prompt("月光照著磚牆，綠色圓錐在滾動，沒有木桶，寬敞的房間")
    simplified = parse_prompt("月光照着砖墙，绿色圆锥在滚动，没有木桶，宽敞的房间")
    assert traditional == simplified
    assert traditional.values["size"] == "large"


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("каменная", ["каменная"]),
        ("غرفة", ["غرفة"]),
        ("🙂🙂", ["🙂🙂"]),
        ("饕餮", ["饕餮"]),
        ("कमरा", ["कमरा"]),
        ("1234 %$#", ["1234"]),
        ("\x00\ufffd", []),
        ("'''", []),
        ("a" * 5000, ["a" * 63 + "…"]),
    ],
)
def test_other_scripts_and_signs_are_told(text: str, unknown: list[str]) -> None:
    parsed = parse_prompt(text)
    assert set(parsed.values.values()) == {None}
    assert parsed.unknown_terms == unknown
    assert list(parsed.values) == list(SLOTS)
