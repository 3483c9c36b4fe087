"""A Doom map from Python: polygons with textures become a UDMF TEXTMAP inside a PWAD, written with `struct`."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[int, int]
Value = int | float | bool | str


@dataclass(frozen=True)
class Room:
    """One sector: a floor plan with a floor, a ceiling and walls.

    Attributes:
        corners: of the plan in map units, counter-clockwise seen from above; neighbours share edges.
        floor, ceiling: heights in map units; equal heights make a closed door.
        wall, floor_flat, ceiling_flat: texture names.
        light: 0 (dark) to 255.
        tag: number by which lines that open doors find it; 0 for none.
        holes: plans of rooms that lie inside this one, counter-clockwise as well.
    """

    corners: Sequence[Point]
    floor: int
    ceiling: int
    wall: str
    floor_flat: str
    ceiling_flat: str
    light: int
    tag: int = 0
    holes: Sequence[Sequence[Point]] = ()


@dataclass(frozen=True)
class Thing:
    """Something that stands in the map: `kind` is the editor number, `angle` in degrees (0 east, 90 north)."""

    kind: int
    x: int
    y: int
    angle: int = 0


@dataclass(frozen=True)
class Paint:
    """What is special about the wall between two points: another texture, its offsets, properties of the line."""

    start: Point
    end: Point
    texture: str | None = None
    offset_x: int = 0
    offset_y: int = 0
    line: Mapping[str, Value] = field(default_factory=dict)


def textmap(rooms: Sequence[Room], things: Sequence[Thing], paints: Sequence[Paint] = ()) -> str:
    """The UDMF text of a map; edges that two rooms share become openings, all others walls.

    Raises:
        ValueError: more than two rooms share an edge.
    """
    vertices: dict[Point, int] = {}
    for room in rooms:
        for corner in room.corners:
            vertices.setdefault(corner, len(vertices))
    for paint in paints:
        vertices.setdefault(paint.start, len(vertices))
        vertices.setdefault(paint.end, len(vertices))
    sides = _sides(rooms, list(vertices))
    blocks = ['namespace = "zdoom";']
    blocks += [_block("vertex", {"x": float(x), "y": float(y)}) for x, y in vertices]
    lines, sidedefs = _lines(rooms, sides, vertices, paints)
    blocks += lines + sidedefs
    blocks += [_sector(room) for room in rooms]
    blocks += [_thing(thing) for thing in things]
    return "\n".join(blocks) + "\n"


def pwad(name: str, text: str) -> bytes:
    """The bytes of a PWAD with one UDMF map called `name` ("MAP01")."""
    lumps = [(name, b""), ("TEXTMAP", text.encode("ascii")), ("ENDMAP", b"")]
    data, directory, offset = b"", b"", 12
    for lump, content in lumps:
        directory += struct.pack("<ii8s", offset, len(content), lump.encode("ascii"))
        data += content
        offset += len(content)
    return struct.pack("<4sii", b"PWAD", len(lumps), offset) + data + directory


def _sides(rooms: Sequence[Room], points: Sequence[Point]) -> dict[tuple[Point, Point], int]:
    """Every directed edge (its room lies to the right of it, as Doom wants) and the index of its room."""
    sides: dict[tuple[Point, Point], int] = {}
    for index, room in enumerate(rooms):
        outlines = [room.corners[::-1], *room.holes]
        ways = [way for outline in outlines for way in zip(outline, [*outline[1:], outline[0]], strict=True)]
        for start, end in ways:
            chain = _split(start, end, points)
            for edge in pairwise(chain):
                if edge in sides:
                    raise ValueError(f"rooms {sides[edge]} and {index} overlap along {edge}")
                sides[edge] = index
    return sides


def _split(start: Point, end: Point, points: Sequence[Point]) -> list[Point]:
    """The points on the straight way from start to end, both included, in order."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length2 = dx * dx + dy * dy

    def along(point: Point) -> int:
        return (point[0] - start[0]) * dx + (point[1] - start[1]) * dy

    on = [
        point
        for point in points
        if (point[0] - start[0]) * dy == (point[1] - start[1]) * dx and 0 <= along(point) <= length2
    ]
    return sorted(on, key=along)


def _lines(
    rooms: Sequence[Room],
    sides: Mapping[tuple[Point, Point], int],
    vertices: Mapping[Point, int],
    paints: Sequence[Paint],
) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    sidedefs: list[str] = []
    for (start, end), front in sides.items():
        back = sides.get((end, start))
        if back is not None and back < front:
            continue
        paint = next((paint for paint in paints if _covers(paint, start, end)), Paint(start, end))
        line: dict[str, Value] = {"v1": vertices[start], "v2": vertices[end], "sidefront": len(sidedefs)}
        sidedefs.append(_sidedef(rooms[front], front, back is not None, paint))
        if back is not None:
            line |= {"sideback": len(sidedefs), "twosided": True}
            sidedefs.append(_sidedef(rooms[back], back, True, paint))
        else:
            line["blocking"] = True
        lines.append(_block("linedef", line | dict(paint.line)))
    return lines, sidedefs


def _covers(paint: Paint, start: Point, end: Point) -> bool:
    ends = _split(paint.start, paint.end, [start, end])
    return len(ends) == 2


def _sidedef(room: Room, sector: int, opening: bool, paint: Paint) -> str:
    texture = paint.texture or room.wall
    fields: dict[str, Value] = {"sector": sector, "offsetx": paint.offset_x, "offsety": paint.offset_y}
    if opening:
        fields |= {"texturetop": texture, "texturebottom": texture}
    else:
        fields["texturemiddle"] = texture
    return _block("sidedef", fields)


def _sector(room: Room) -> str:
    fields: dict[str, Value] = {
        "heightfloor": room.floor,
        "heightceiling": room.ceiling,
        "texturefloor": room.floor_flat,
        "textureceiling": room.ceiling_flat,
        "lightlevel": room.light,
    }
    if room.tag:
        fields["id"] = room.tag
    return _block("sector", fields)


def _thing(thing: Thing) -> str:
    flags = [f"skill{level}" for level in range(1, 6)] + ["single", "dm", "coop", "class1"]
    fields: dict[str, Value] = {"x": float(thing.x), "y": float(thing.y), "angle": thing.angle, "type": thing.kind}
    return _block("thing", fields | dict.fromkeys(flags, True))


def _block(kind: str, fields: Mapping[str, Value]) -> str:
    body = " ".join(f"{name} = {_value(value)};" for name, value in fields.items())
    return f"{kind} {{ {body} }}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
