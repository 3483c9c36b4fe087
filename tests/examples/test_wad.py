from __future__ import annotations

import re
import struct

import pytest

from examples.vizdoom.level import DOORWAYS, KEYS, level
from examples.vizdoom.wad import Paint, Room, Thing, pwad, textmap

SQUARE = [(0, 0), (64, 0), (64, 64), (0, 64)]
NEXT = [(64, 0), (128, 0), (128, 64), (64, 64)]


def room(corners: list[tuple[int, int]], **more: object) -> Room:
    return Room(corners, 0, 128, "STONE2", "FLAT1_1", "FLAT5_2", 160, **more)  # type: ignore[arg-type]


def blocks(text: str, kind: str) -> list[dict[str, str]]:
    found = re.findall(rf"^{kind} {{ (.*) }}$", text, re.MULTILINE)
    return [dict(re.findall(r"(\w+) = ([^;]+);", body)) for body in found]


def lumps(wad: bytes) -> dict[str, bytes]:
    magic, count, directory = struct.unpack("<4sii", wad[:12])
    assert magic == b"PWAD"
    entries = [struct.unpack_from("<ii8s", wad, directory + 16 * index) for index in range(count)]
    return {name.rstrip(b"\0").decode(): wad[offset : offset + size] for offset, size, name in entries}


def test_a_lone_room_has_only_blocking_walls_whose_sides_face_it() -> None:
    text = textmap([room(SQUARE)], [Thing(1, 32, 32, 90)])
    lines, vertices = blocks(text, "linedef"), blocks(text, "vertex")
    assert len(lines) == 4 and all(line["blocking"] == "true" and "sideback" not in line for line in lines)
    for line in lines:
        start, end = (vertices[int(line[name])] for name in ("v1", "v2"))
        x1, y1, x2, y2 = (float(at[axis]) for at in (start, end) for axis in ("x", "y"))
        to_middle = (32 - x1, 32 - y1)
        assert (x2 - x1) * to_middle[1] - (y2 - y1) * to_middle[0] < 0, "the room must lie to the right of its walls"


def test_a_shared_edge_becomes_an_opening_with_a_side_for_each_room() -> None:
    text = textmap([room(SQUARE), room(NEXT)], [])
    openings = [line for line in blocks(text, "linedef") if "sideback" in line]
    sides = blocks(text, "sidedef")
    assert len(openings) == 1 and openings[0]["twosided"] == "true" and "blocking" not in openings[0]
    assert {sides[int(openings[0][name])]["sector"] for name in ("sidefront", "sideback")} == {"0", "1"}


def test_a_long_edge_is_split_where_a_shorter_one_meets_it() -> None:
    text = textmap([room([(0, 0), (128, 0), (128, 64), (0, 64)]), room([(32, 64), (96, 64), (96, 128), (32, 128)])], [])
    assert len(blocks(text, "linedef")) == 4 + 4 - 1 + 2
    assert sum("sideback" in line for line in blocks(text, "linedef")) == 1


def test_a_hole_joins_the_room_around_it() -> None:
    plate = [(16, 16), (48, 16), (48, 48), (16, 48)]
    text = textmap([room(SQUARE, holes=[plate]), room(plate)], [])
    assert sum("sideback" in line for line in blocks(text, "linedef")) == 4


def test_rooms_that_overlap_are_an_error() -> None:
    with pytest.raises(ValueError, match="overlap"):
        textmap([room(SQUARE), room(SQUARE)], [])


def test_paint_gives_a_wall_its_texture_and_its_line_an_action() -> None:
    paint = Paint((0, 0), (64, 0), "SW1WOOD", 8, 0, {"special": 11, "playeruse": True})
    text = textmap([room(SQUARE)], [], [paint])
    painted = [line for line in blocks(text, "linedef") if line.get("special") == "11"]
    assert len(painted) == 1 and painted[0]["playeruse"] == "true"
    side = blocks(text, "sidedef")[int(painted[0]["sidefront"])]
    assert side["texturemiddle"] == '"SW1WOOD"' and side["offsetx"] == "8"


def test_the_pwad_holds_the_map_between_its_markers() -> None:
    found = lumps(pwad("MAP01", 'namespace = "zdoom";\n'))
    assert list(found) == ["MAP01", "TEXTMAP", "ENDMAP"]
    assert found["TEXTMAP"] == b'namespace = "zdoom";\n' and found["MAP01"] == b""


def test_the_level_has_its_keys_and_three_locked_doors() -> None:
    text = lumps(level())["TEXTMAP"].decode()
    things = {(float(thing["x"]), float(thing["y"])): thing["type"] for thing in blocks(text, "thing")}
    assert [things[tuple(map(float, KEYS[key]))] for key in ("RedSkull", "BlueSkull", "YellowSkull")] == [
        "38",
        "40",
        "39",
    ]
    locks = [line["arg3"] for line in blocks(text, "linedef") if line.get("special") == "13"]
    assert sorted(locks) == ["129", "130", "131"]
    closed = [sector for sector in blocks(text, "sector") if sector["heightfloor"] == sector["heightceiling"]]
    assert len(closed) == 3
    assert set(DOORWAYS) == {"red_gate", "blue_gate"}
