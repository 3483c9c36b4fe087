"""Captions of a room in several wordings; every one names all attributes by their canonical words."""

from __future__ import annotations

import numpy as np

from clips.dungeon.attributes import Motion, Prop
from clips.dungeon.scene import RoomSpec

_MOVES: dict[Motion, str] = {
    Motion.STILL: "stands still",
    Motion.BOUNCE: "moves in a bounce",
    Motion.SLIDE: "moves in a slide",
    Motion.ORBIT: "moves in an orbit",
    Motion.HOVER: "moves in a hover",
    Motion.ROLL: "rolls along",
    Motion.TOPPLE: "topples over",
    Motion.SWING: "swings from the ceiling",
}

_TEMPLATES: tuple[str, ...] = (
    "a {wall} room in {light} with a {floor} floor, a {color} {shape} that {moves}{and_prop}",
    "{light}, {wall} walls, {floor} floor, {color} {shape}, {motion}{list_prop}",
    "behind the gate lies a room of {wall} with a floor of {floor}, lit by {light}; "
    "in it a {color} {shape} {moves}{with_prop}",
    "a {color} {shape} {moves} in {light}, between {wall} walls, over a {floor} floor{and_prop}",
    "{color} {shape}, {motion}, {wall} room, {light}, {floor} floor{list_prop}",
    "a {wall} chamber, {floor} underfoot, {light} on the walls. A {color} {shape} {moves}{sentence_prop}",
)


def caption(room: RoomSpec, wording: int | None = None) -> str:
    """The caption of `room`; `wording` chooses a template, by default the room's caption seed does."""
    if wording is None:
        wording = int(np.random.default_rng(room.caption_seed).integers(len(_TEMPLATES)))
    words = dict(room.slots)
    prop = "" if room.prop is Prop.NONE else f"{_article(room.prop)} {room.prop}"
    words["moves"] = _MOVES[room.motion]
    words["and_prop"] = f" and {prop} against the wall" if prop else ""
    words["list_prop"] = f", {room.prop}" if prop else ""
    words["with_prop"] = f" beside {prop}" if prop else ""
    words["sentence_prop"] = f". {prop.capitalize()} stands by the wall" if prop else ""
    return _fix_articles(_TEMPLATES[wording % len(_TEMPLATES)].format(**words))


def wordings() -> int:
    """How many templates there are."""
    return len(_TEMPLATES)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _fix_articles(text: str) -> str:
    words = text.split(" ")
    for i in range(len(words) - 1):
        if words[i] in {"a", "A"} and words[i + 1][0] in "aeiou":
            words[i] += "n"
    return " ".join(words)
