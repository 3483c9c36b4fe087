"""What is said of which noun, in clauses that prompts of people had and the corpus had not."""

import pytest

from model.prompt import parse_prompt


def _check(text: str, expected: dict[str, str], told: list[str]) -> None:
    slots = parse_prompt(text)
    assert {slot: value for slot, value in slots.values.items() if value is not None} == expected
    assert list(slots.unknown_terms) == told


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("walls and floor of stone", {"wall": "stone", "floor": "flagstone"}, []),
        ("the walls and the floor are wooden", {"wall": "wood", "floor": "planks"}, []),
        ("walls, floor and ceiling of wood", {"wall": "wood", "floor": "planks", "ceiling": "beams"}, []),
        ("墙壁和地板都是木头的", {"wall": "wood", "floor": "planks"}, []),
        ("墙和天花板是石头的", {"wall": "stone", "ceiling": "rock"}, []),
        ("brick walls and floor of sand", {"wall": "brick", "floor": "sand"}, []),
        ("red walls and floor of stone", {"floor": "flagstone"}, ["red"]),
        ("walls and a floor of wood", {"floor": "planks"}, []),
        ("vines on the walls and the floor is wood", {"wall": "moss", "floor": "planks"}, []),
        ("wooden floor, walls and ceiling", {"wall": "wood", "floor": "planks", "ceiling": "beams"}, []),
        ("stone walls, floor, and ceiling", {"wall": "stone", "floor": "flagstone", "ceiling": "rock"}, []),
        ("wooden floor and walls and ceiling", {"wall": "wood", "floor": "planks", "ceiling": "beams"}, []),
        ("stone walls, floor and ceiling of wood", {"wall": "stone", "floor": "planks", "ceiling": "beams"}, []),
        ("wooden floor, brick walls and ceiling", {"wall": "brick", "floor": "planks"}, []),
        ("stone walls, a floor, torches", {"wall": "stone", "light": "torchlight"}, []),
        ("torches on the walls and the floor is wood", {"light": "torchlight", "floor": "planks"}, []),
    ],
)
def test_a_material_is_said_of_every_surface_in_a_row(text: str, expected: dict[str, str], told: list[str]) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("a room with a red door and a cube", {"shape": "cube"}, ["red"]),
        ("a room behind a wooden door", {}, ["wooden"]),
        ("a wooden door in a brick room", {"wall": "brick"}, ["wooden"]),
        ("the door is red and the cube is green", {"color": "green", "shape": "cube"}, ["red"]),
        ("the hall beyond the gate is marble", {"wall": "marble"}, []),
        ("the door swings; a red cube", {"color": "red", "shape": "cube"}, ["swings"]),
        ("a swinging door and a cube", {"shape": "cube"}, ["swinging"]),
        ("a big gate leads into a small room", {"size": "small"}, ["big"]),
        ("no door, a red cube", {"color": "red", "shape": "cube"}, ["no door"]),
        ("红色的门后有一个球", {"shape": "orb"}, ["红色"]),
        ("木门后面是砖房", {"wall": "brick"}, ["木"]),
    ],
)
def test_what_is_said_of_a_door_is_told_and_not_painted(text: str, expected: dict[str, str], told: list[str]) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("不会动的立方体", {"shape": "cube", "motion": "still"}, []),
        ("不大的砖房", {"wall": "brick", "size": "small"}, []),
        ("没有桶的砖房", {"wall": "brick", "prop": "none"}, []),
        ("一个没有窗户的石头房间", {"wall": "stone"}, ["窗户"]),
        ("没有窗户、没有家具的砖房", {"wall": "brick", "prop": "none"}, ["窗户"]),
        ("a brick room without windows and no furniture", {"wall": "brick", "prop": "none"}, ["windows"]),
        ("不会发光的球", {"shape": "orb"}, ["不会发光"]),
        ("没有发光的球", {}, ["没有发光的球"]),
        ("发光的球", {"shape": "orb"}, []),
        ("a red cube that does not glow", {"color": "red", "shape": "cube"}, ["not glow"]),
        ("一个不太大的木屋", {"wall": "wood", "size": "small"}, []),
        ("没有火把的木屋", {"wall": "wood"}, ["没有火把"]),
        ("没有奇怪的箱子", {"prop": "none"}, ["奇怪"]),
        ("不是红色的球，是方块", {"shape": "cube"}, ["不是红色"]),
        ("a not very big brick hall", {"wall": "brick", "size": "small"}, []),
        ("no big barrel", {"prop": "none"}, ["big"]),
    ],
)
def test_a_negation_ends_where_its_clause_does(text: str, expected: dict[str, str], told: list[str]) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("a white marble floor", {"floor": "tiles"}, []),
        ("白色大理石地板", {"floor": "tiles"}, []),
        ("a crystal chandelier, a cone", {"light": "torchlight", "shape": "cone"}, []),
        ("水晶吊灯", {"light": "torchlight"}, []),
        ("一张沙发和一个木乃伊", {}, ["沙发", "木乃伊"]),
        ("墙上有浮雕，墙边有石像鬼", {}, ["浮雕", "石像鬼"]),
        ("夜晚的花园", {"light": "moonlight"}, []),
    ],
)
def test_a_word_is_not_what_its_parts_are(text: str, expected: dict[str, str], told: list[str]) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("floor of brick", {}, ["brick"]),
        ("a ceiling of brick and a red cube", {"color": "red", "shape": "cube"}, ["brick"]),
        ("the floor is brick", {}, ["brick"]),
        ("neither walls nor floor of stone", {}, ["neither walls", "nor floor of stone"]),
        ("no walls of stone", {}, ["no walls of stone"]),
    ],
)
def test_a_material_fills_no_other_surface_than_the_one_it_is_said_of(
    text: str, expected: dict[str, str], told: list[str]
) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("not a small brick room", {"wall": "brick", "size": "large"}, []),
        ("it is not a large stone hall, the floor is sand", {"wall": "stone", "floor": "sand", "size": "small"}, []),
        ("not a small brick room but a large stone hall", {"wall": "stone", "size": "large"}, []),
    ],
)
def test_a_negated_size_of_a_room_leaves_the_room(text: str, expected: dict[str, str], told: list[str]) -> None:
    _check(text, expected, told)


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        (
            "the cube next to the red crate is green",
            {"color": "green", "shape": "cube", "prop": "crate"},
            ["red"],
        ),
        ("the cube on the crate is red", {"color": "red", "shape": "cube", "prop": "crate"}, []),
        ("a ball in a corner of the room is green", {"color": "green", "shape": "orb"}, []),
        ("the crate next to the cube is green", {"shape": "cube", "prop": "crate"}, ["green"]),
        ("a cube next to a crate that is green", {"shape": "cube", "prop": "crate"}, ["green"]),
        ("beside the crate the floor is sand", {"floor": "sand", "prop": "crate"}, []),
        ("the floor under the cube is sand", {"floor": "sand", "shape": "cube"}, []),
        ("the walls behind the altar are brick", {"wall": "brick", "prop": "altar"}, []),
    ],
)
def test_what_is_said_after_a_place_is_said_of_the_thing_that_is_there(
    text: str, expected: dict[str, str], told: list[str]
) -> None:
    _check(text, expected, told)
