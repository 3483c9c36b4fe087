"""A blockout that contradicts the prompt is told of in one line; one that does not is silent."""

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.dungeon.attributes import Prop, Shape
from clips.dungeon.blockout import Graybox, Proxy, ProxyKind
from clips.dungeon.graybox import graybox_of
from clips.dungeon.scene import sample_room
from model.contradiction import SOLID_OF, contradiction
from model.prompt import parse_prompt
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from model.steering import steering_of


def solid(kind: ProxyKind, *, moves: bool = False) -> Proxy:
    keys = 2 if moves else 1
    centers = np.array([[0.0, -0.6, 4.0], [0.5, -0.6, 4.0]])[:keys]
    return Proxy(kind, (0.4, 0.5, 0.4), np.arange(keys, dtype=np.float64), centers, np.repeat(np.eye(3)[None], keys, 0))


def blockout(*kinds: ProxyKind, moves: bool = False) -> Graybox:
    return Graybox(5.0, 3.0, 6.0, tuple(solid(kind, moves=moves) for kind in kinds))


@pytest.mark.parametrize(
    ("prompt", "box", "said"),
    [
        (
            "an orb and a barrel",
            blockout(ProxyKind.CONE, ProxyKind.BOX),
            "no sphere for the orb; no cylinder for the barrel (its solids: 1 box, 1 cone)",
        ),
        ("a cube beside an altar", blockout(ProxyKind.BOX), "no box for the altar (its solids: 1 box)"),
        ("an orb, nothing else", blockout(ProxyKind.SPHERE, ProxyKind.CONE), "2 solids where nothing else shall be"),
        ("a rolling orb", blockout(ProxyKind.SPHERE), "no solid moves, and the object shall roll"),
        ("an orb that lies still", blockout(ProxyKind.SPHERE, moves=True), "a solid moves where all is still"),
    ],
)
def test_what_contradicts_is_said_in_one_line(prompt: str, box: Graybox, said: str) -> None:
    spec = SegmentSpec(
        prompt, 1, CameraPath().cameras(5, 48, 32), 8.0, 4, 2.0, "r", Control(ControlKind.BLOCKOUT, graybox=box)
    )
    note = steering_of(spec, parse_prompt(prompt).values).to_json()["note"]
    assert said in note
    assert note.startswith("the blockout contradicts the prompt: ") and "\n" not in note


@pytest.mark.parametrize(
    ("prompt", "box"),
    [
        ("a red orb and a barrel", Graybox(5.0, 3.0, 6.0)),
        ("a mossy room", blockout(ProxyKind.CONE, ProxyKind.BOX)),
        ("a cube and a crate", blockout(ProxyKind.BOX, ProxyKind.BOX)),
        ("a rolling orb by a barrel", blockout(ProxyKind.CYLINDER, ProxyKind.SPHERE, moves=True)),
        ("an orb, nothing else", blockout(ProxyKind.SPHERE)),
    ],
)
def test_what_does_not_contradict_is_silent(prompt: str, box: Graybox) -> None:
    assert contradiction(box, parse_prompt(prompt).values) == ""


def test_no_room_of_training_contradicts_its_own_words() -> None:
    for seed in range(20):
        room = sample_room(seed)
        if room.prop is not Prop.NONE:
            assert contradiction(graybox_of(room, True), room.slots) == ""
    assert set(SOLID_OF) == {*Shape, *Prop} - {Prop.NONE}
