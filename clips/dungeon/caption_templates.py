"""Caption templates: every English one with its Chinese twin, which names the same slots.

In a template `{name}` is a slot's word, `[...]` is left out unless each slot in it is said, and `(a|b)` is one of
several wordings. English has `{floors}` and `{ceilings}` for what a floor is "of", `{moves}` and `{moving}` for the
forms of a motion. `{nothing}` is the prop slot's word for a room without a prop; `{prop}` is for all others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """One wording in both languages; both name the same slots, optional ones too (a test says so)."""

    english: str
    chinese: str


SINGLE_WORDS: tuple[Template, ...] = tuple(
    Template(english, chinese)
    for english, chinese in (
        ("{light}", "{light}"),
        ("{wall}", "{wall}"),
        ("{floor}", "{floor}"),
        ("{size}", "{size}"),
        ("{color}", "{color}"),
        ("{shape}", "{shape}"),
        ("{moving}", "{motion}"),
        ("{prop}", "{prop}"),
    )
)
"""No ceiling: "rock" by itself is said of walls."""

PHRASES: tuple[Template, ...] = (
    Template("a {color} {shape}", "一个{color}的{shape}"),
    Template("{shape}, {color}[, {moving}]", "{shape}，{color}[，{motion}]"),
    Template("a {size} {wall} (room|chamber|vault)", "一间{size}的{wall}(房间|屋子|密室)"),
    Template("{wall} walls, {floor} floor[, {ceiling} ceiling]", "{wall}(墙壁|墙)，{floor}地面[，{ceiling}天花板]"),
    Template("a {color} {shape} {moving}[ in {light}]", "[{light}照亮的]{color}{shape}在{motion}"),
    Template("{light}, {wall} walls[, {color} {shape}]", "{light}，{wall}墙壁[，{color}{shape}]"),
    Template("a {wall} (chamber|room|cell) in {light}[ with a {prop}]", "{light}照亮的{wall}房间[，有一个{prop}]"),
    Template("a {size} room with a {ceiling} ceiling", "{size}的房间，{ceiling}(天花板|屋顶)"),
    Template("{ceiling} ceiling, {floor} floor[, {light}]", "{ceiling}天花板，{floor}地面[，{light}]"),
    Template("a {prop} (by|against) the wall[, {light}]", "墙边的{prop}[，{light}]"),
    Template("{moving} {shape}[, {wall} walls]", "{motion}的{shape}[，{wall}墙壁]"),
    Template("{floor} floor, {light}[, {nothing}]", "{floor}地面，{light}[，{nothing}]"),
)

SENTENCES: tuple[Template, ...] = (
    Template(
        "In a [{size} ]{wall} (room|chamber)[ with a {floor} floor] lit by {light}, a {color} {shape} {moves}"
        "[ under a {ceiling} ceiling][ beside a {prop}].",
        "在{light}照亮的[{size}的]{wall}(房间|屋子)里，[地上铺着{floor}，][{prop}旁边，]一个{color}的{shape}"
        "在[{ceiling}天花板下]{motion}。",
    ),
    Template(
        "A {color} {shape} {moves} in {light}[, between {wall} walls][, under a {ceiling} ceiling][, with {nothing}].",
        "一个{color}的{shape}在{light}里{motion}[，四周是{wall}墙壁][，头顶是{ceiling}天花板][，{nothing}]。",
    ),
    Template(
        "The [{size} ]room has {wall} walls[, a {floor} floor][, a {ceiling} ceiling][ and a {prop}], all in {light}.",
        "这间[{size}的]房间有{wall}墙壁[、{floor}地面][、{ceiling}天花板][和一个{prop}]，笼罩在{light}里。",
    ),
    Template(
        "Behind the (gate|door) lies a [{size} ]room of {wall} with a floor of {floors}, lit by {light}"
        "[; in it a {color} {shape} {moves}].",
        "门后是一间[{size}的]{wall}房间，地上铺着{floor}，{light}照明[；里面一个{color}的{shape}在{motion}]。",
    ),
    Template(
        "{light} falls on {wall} walls[ and a {floor} floor][, where a {color} {shape} {moves}][ near a {prop}].",
        "{light}照在{wall}墙壁[和{floor}地面]上[，一个{color}的{shape}在{motion}][，旁边有一个{prop}]。",
    ),
    Template(
        "A {color} {shape} that {moves}, [a {prop}, ]a {floor} floor and {light}.",
        "{light}，{floor}地面，[一个{prop}，]一个{motion}的{color}{shape}。",
    ),
    Template(
        "Under a ceiling of {ceilings}, in {light}, a {color} {shape} {moves}[ near a {prop}].",
        "{ceiling}天花板下，{light}里，一个{color}的{shape}在{motion}[，旁边有一个{prop}]。",
    ),
)

ROOMS: tuple[Template, ...] = (
    Template("A [{size} ]{wall} (room|chamber|vault) lies in {light}.", "[{size}的]{wall}(房间|密室)笼罩在{light}里。"),
    Template(
        "The walls are {wall}[ and the room is {size}][; {light} fills the room].",
        "墙壁是{wall}的[，房间很{size}][，{light}照亮房间]。",
    ),
    Template("It is a [{size} ]room of {wall}[, lit by {light}].", "这是一间[{size}的]{wall}房间[，{light}照明]。"),
)

SURFACES: tuple[Template, ...] = (
    Template("The floor is of {floors}[, the ceiling of {ceilings}].", "地上铺着{floor}[，天花板是{ceiling}的]。"),
    Template(
        "Underfoot is a {floor} floor[, overhead a {ceiling} ceiling].",
        "脚下是{floor}地面[，头顶是{ceiling}天花板]。",
    ),
)

OBJECTS: tuple[Template, ...] = (
    Template("A {color} {shape} {moves}[ beside a {prop}].", "一个{color}的{shape}在{motion}[，旁边有一个{prop}]。"),
    Template("In the middle a {shape} {moves}[; it is {color}].", "中央有一个{shape}在{motion}[，它是{color}的]。"),
    Template(
        "A {shape}[, {color},] {moves} in the (middle|center) of the room.",
        "房间中央，一个[{color}的]{shape}在{motion}。",
    ),
)

PROPS: tuple[Template, ...] = (
    Template("A {prop} stands against the wall.", "一个{prop}靠墙立着。"),
    Template("There is {nothing}.", "{nothing}。"),
)
