"""World files: what a good one becomes, and that a bad one is told of line by line, all at once."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips.camera_path import PathKind
from model.revision import DEFAULT_CONTROL
from service.errors import InvalidInput
from service.quality import Quality
from service.worlds.limits import MAX_PROBLEMS, MAX_SOURCE_BYTES
from service.worlds.world import All, Duration, TaskDone, Variation, VariationKind
from service.worlds.world import Any as AnyPart
from service.worlds.yaml_file import load_world, parse_world

ROOT = Path(__file__).parents[3]
GOOD = """\
world: red-keep
title: The Red Keep
defaults:
  variation: pool(4)
  camera: {path: pan, angle_deg: 40}
chains:
  red_door:
    abandon_chance: 0.1
    tasks:
      walk: {requires: {all: [find_key, {any: [left, right]}]}, p50_s: 8, p90_s: 20.5}
      find_key: {title: Find it, p50_s: 20, p90_s: 45}
      left: {requires: find_key, p50_s: 1, p90_s: 2, chance: 0.7}
      right: {requires: find_key, p50_s: 1, p90_s: 2, chance: 0.3}
gates:
  red_gate:
    chain: red_door
    content: {prompt: a red room, seed: 7, duration_s: 2.125}
  side:
    title: Side
    chain: red_door
    requires: {any: [left, right]}
    content:
      prompt: No
      fps: 17
      variation: session
      qualities: [full]
      camera: {path: still, eye_height_m: 1.7}
"""


PIECES = [
    b"",
    b" ",
    b"\n",
    b"[",
    b"}",
    b": ",
    b"- ",
    b"'",
    b"null",
    b"{}",
    b"[]",
    b"1e9",
    b"\t",
    b"\xff",
    b"#",
    b"a",
    b"!x ",
]


def problems(text, **more):
    """The problems of a world as (field, message) pairs."""
    with pytest.raises(InvalidInput) as error:
        parse_world(textwrap.dedent(text).encode(), **more)
    assert error.value.reason == "INVALID_WORLD"
    return {problem.field: problem.message for problem in error.value.fields}


def changed(old, new):
    """The problems of the good world with one piece of text exchanged."""
    assert GOOD.count(old) == 1, old
    return problems(GOOD.replace(old, new))


def test_a_good_world_says_what_it_says():
    world = parse_world(GOOD.encode())
    assert (world.world_id, world.title, world.source) == ("red-keep", "The Red Keep", GOOD.encode())
    assert len(world.revision) == 64
    chain = world.chains["red_door"]
    assert list(chain.tasks) == ["find_key", "left", "right", "walk"], "not in topological order"
    assert chain.title == "Red door"
    assert chain.tasks["walk"].requires == All((TaskDone("find_key"), AnyPart((TaskDone("left"), TaskDone("right")))))
    assert chain.tasks["walk"].duration == Duration(8.0, 20.5)
    assert [task.chance for task in chain.tasks.values()] == [1.0, 0.7, 0.3, 1.0]
    assert world.gates["red_gate"].requires == All((TaskDone("walk"),)), "the default is not all end tasks"


def test_content_is_the_gates_over_the_defaults_over_the_built_in_ones():
    world = parse_world(GOOD.encode())
    red, side = world.gates["red_gate"].content, world.gates["side"].content
    assert (red.prompt, red.seed, red.frames, red.fps) == ("a red room", 7, 17, 8.0)
    assert (red.variation, side.variation) == (Variation(VariationKind.POOL, 4), Variation(VariationKind.SESSION))
    assert (red.camera_path.kind, red.camera_path.angle_deg) == (PathKind.PAN, 40.0)
    assert (side.camera_path.kind, side.camera_path.eye_height_m) == (PathKind.STILL, 1.7)
    assert (side.fps, side.duration_s, side.qualities) == (17.0, 1.0, (Quality.FULL,))
    assert red.qualities == (Quality.DRAFT, Quality.FULL)
    assert (side.prompt, side.control.kind, side.placeholder) == ("No", DEFAULT_CONTROL, None)
    assert (red.width_px, red.height_px) == (96, 64)


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("examples/**/*.yaml")), ROOT / "service/worlds/starter.yaml"], ids=lambda path: path.name
)
def test_every_world_in_the_tree_is_right(path):
    assert load_world(path).gates


def test_order_and_spelling_of_the_file_do_not_matter_to_the_world():
    dos = parse_world(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert dos.gates == parse_world(GOOD.encode()).gates


def test_the_id_may_come_from_outside_but_not_against_the_file():
    without = GOOD.replace("world: red-keep\n", "")
    assert parse_world(without.encode(), world_id="blue").world_id == "blue"
    assert parse_world(GOOD.encode(), world_id="red-keep").world_id == "red-keep"
    assert problems(without)["world"].startswith("line 1: got nothing")
    assert problems(GOOD, world_id="blue")["world"] == "line 1: got 'red-keep', allowed 'blue', as it is put"


BAD = [
    ("world: red-keep", "world: Red Keep", "world", "lower-case letters"),
    ("world: red-keep", "world: -x", "world", "lower-case letters"),
    ("title: The Red Keep", "title: 7", "title", "got 7, allowed text (in quotes"),
    ("title: The Red Keep", f"title: {'x' * 201}", "title", "at most 200 characters"),
    ("title: The Red Keep", "titel: x", "titel", "did you mean 'title'?"),
    ("abandon_chance: 0.1", "abandon_chance: 1.1", "chains.red_door.abandon_chance", "at most 1"),
    ("abandon_chance: 0.1", "abandon_chance: yes", "chains.red_door.abandon_chance", "got 'yes', allowed a number"),
    ("p90_s: 20.5", "p90_s: 8", "chains.red_door.tasks.walk.p90_s", "more than p50_s, which is 8"),
    ("p90_s: 20.5", "p90_s: .nan", "chains.red_door.tasks.walk.p90_s", "got NaN, allowed a finite number"),
    ("p90_s: 20.5", "p90_s: -.inf", "chains.red_door.tasks.walk.p90_s", "got -infinity, allowed a finite"),
    ("p90_s: 20.5", "p90_s: 1e8", "chains.red_door.tasks.walk.p90_s", "at most 10,000,000"),
    ("p90_s: 20.5", "p90_s: '20'", "chains.red_door.tasks.walk.p90_s", "got '20', allowed a number"),
    (", p90_s: 20.5", "", "chains.red_door.tasks.walk.p90_s", "Seconds in which nine tenths"),
    ("p50_s: 20,", "p50_s: -1,", "chains.red_door.tasks.find_key.p50_s", "got -1, allowed at least 0.01"),
    ("chance: 0.7", "chance: 0", "chains.red_door.tasks.left.chance", "more than 0"),
    ("chance: 0.7", "chances: 0.7", "chains.red_door.tasks.left.chances", "did you mean 'chance'?"),
    ("all: [find_key,", "all: [find_keys,", "chains.red_door.tasks.walk.requires.all[0]", "did you mean 'find_key'?"),
    ("all: [find_key, {any: [left, right]}]", "any: []", "chains.red_door.tasks.walk.requires.any", "at least 1 item"),
    ("all: [find_key,", "none: [find_key,", "chains.red_door.tasks.walk.requires", "{all: [...]} or {any: [...]}"),
    ("chain: red_door\n    content", "chain: red\n    content", "gates.red_gate.chain", "did you mean 'red_door'?"),
    ("chain: red_door\n    content", "content", "gates.red_gate.chain", "The chain that opens it"),
    ("any: [left, right]}\n", "any: []}\n", "gates.side.requires.any", "at least 1 item"),
    ("prompt: a red room", "prompt: ''", "gates.red_gate.content.prompt", "got '', allowed at least 1 character"),
    ("prompt: a red room", 'prompt: "a\\0b"', "gates.red_gate.content.prompt", "without the control character 0x00"),
    ("title: Side", 'title: "S\\e[31m"', "gates.side.title", "without the control character 0x1b"),
    ("prompt: a red room", "prompt: '  '", "gates.red_gate.content.prompt", "not all spaces"),
    ("prompt: a red room", 'prompt: "\\u200b\\u2060"', "gates.red_gate.content.prompt", "got 2 that cannot"),
    (
        "prompt: a red room",
        f"prompt: {'x' * 100_000}",
        "gates.red_gate.content.prompt",
        "(100,000 characters), allowed",
    ),
    ("seed: 7", "seed: -1", "gates.red_gate.content.seed", "got -1, allowed at least 0"),
    ("seed: 7", f"seed: {2**63}", "gates.red_gate.content.seed", "allowed less than 9,223,372,036,854,775,808"),
    ("seed: 7", "seed: 7.5", "gates.red_gate.content.seed", "got 7.5, allowed a whole number"),
    ("seed: 7", "seed: true", "gates.red_gate.content.seed", "got true, allowed a whole number"),
    ("duration_s: 2.125", "duration_s: 3", "gates.red_gate.content.duration_s", "2.125 or 4.125 at 8 fps (17 or 33"),
    ("duration_s: 2.125", "duration_s: .nan", "gates.red_gate.content.duration_s", "finite"),
    ("duration_s: 2.125", "frames: 16", "gates.red_gate.content.frames", "got 16, allowed 17 or 33"),
    ("duration_s: 2.125", "duration_s: 2.125, frames: 17", "gates.red_gate.content", "not both"),
    ("duration_s: 2.125", "size: [96, 65]", "gates.red_gate.content.size", "got [96, 65], allowed [96, 64]"),
    ("duration_s: 2.125", "size: [96]", "gates.red_gate.content.size", "at least 2 items"),
    ("duration_s: 2.125", "control: depth", "gates.red_gate.content.control", "got 'depth', allowed 'auto', 'none'"),
    ("duration_s: 2.125", "placeholder: rain", "gates.red_gate.content.placeholder", "mist, FILE.npz or base64:"),
    ("duration_s: 2.125", "placeholder: a.npz", "gates.red_gate.content.placeholder", "narthex world pack"),
    ("duration_s: 2.125", "placeholder: base64:%", "gates.red_gate.content.placeholder", "not base64"),
    ("duration_s: 2.125", "placeholder: base64:aGFsbG8=", "gates.red_gate.content.placeholder", "not a clip file"),
    ("pool(4)", "pool(65)", "defaults.variation", "pool(1) to pool(64)"),
    ("pool(4)", "pool(0)", "defaults.variation", "shared, pool(n), session or player"),
    ("[full]", "[full, full]", "gates.side.content.qualities", "each quality once"),
    ("[full]", "[best]", "gates.side.content.qualities[0]", "allowed 'draft' or 'full'"),
    ("[full]", "[]", "gates.side.content.qualities", "at least 1 item"),
    ("fps: 17", "fps: 61", "gates.side.content.fps", "at most 60"),
    ("path: still", "path: fly", "gates.side.content.camera.path", "got 'fly', allowed 'walk_in'"),
    ("eye_height_m: 1.7", "eye_height_m: 9", "gates.side.content.camera.eye_height_m", "within [0.2, 3.0]"),
    ("eye_height_m: 1.7", "shake_seed: -1", "gates.side.content.camera.shake_seed", "within [0, 4294967295]"),
    ("angle_deg: 40", "angle: 40", "defaults.camera.angle", "did you mean 'angle_deg'?"),
    ("  side:", "  Side Door:", "gates.Side Door", "lower-case letters, digits, - and _"),
]


@pytest.mark.parametrize(("old", "new", "field", "words"), BAD, ids=[f"{new[:30]}" for _, new, _, _ in BAD])
def test_one_mistake_is_one_problem_with_line_field_got_and_allowed(old, new, field, words):
    found = changed(old, new)
    assert list(found) == [field]
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    assert found[field].startswith(f"line {line}: got ") or new == "content"
    assert "allowed " in found[field]
    assert words in found[field]


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_lines():
    found = problems(
        """\
        world: Bad World
        defaults: {size: [97, 64], colour: red}
        chains:
          a:
            tasks:
              one: {p50_s: .nan, p90_s: 5, requires: thre}
              two: {p50_s: 3, p90_s: 5, requires: three}
              three: {p50_s: 6, p90_s: 5, requires: {all: [two, other]}}
              three: {p50_s: 3, p90_s: 5}
          b:
            tasks:
              other: {p50_s: 3, p90_s: 5}
        gates:
          g: {chain: c, content: {prompt: "", seed: -1, duration_s: 9}}
          i: {chain: b, requires: one, content: {prompt: ok}}
        """
    )
    assert list(found) == [
        "world",
        "defaults.colour",
        "defaults.size",
        "chains.a.tasks.one.p50_s",
        "chains.a.tasks.one.requires",
        "chains.a.tasks.two.requires",
        "chains.a.tasks.three.requires.all[1]",
        "chains.a.tasks.three",
        "chains.a.tasks.three.p90_s",
        "gates.g.chain",
        "gates.g.content.duration_s",
        "gates.g.content.prompt",
        "gates.g.content.seed",
        "gates.i.requires",
    ]
    assert found["chains.a.tasks.three"] == "line 9: got the key 'three' again, allowed once (first in line 8)"
    assert "two -> three -> two" in found["chains.a.tasks.two.requires"]
    assert "a task of chain 'a'" in found["gates.i.requires"] and "never be reached" in found["gates.i.requires"]


def test_the_message_has_a_line_for_each_problem_and_names_the_file():
    with pytest.raises(InvalidInput) as error:
        parse_world(GOOD.replace("seed: 7", "seed: -7").encode(), name="keep.yaml")
    assert error.value.message == "keep.yaml:17: gates.red_gate.content.seed: got -7, allowed at least 0"
    assert error.value.metadata == {"file": "keep.yaml", "problems": "1"}


def test_what_is_no_plain_yaml_is_told_once():
    assert changed("content: {prompt: a red room, seed: 7, duration_s: 2.125}", "content: *other") == {
        "gates.red_gate.content": "line 17: got the alias *other, allowed only values written out"
    }


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted():
    tasks = "".join(f"      t{number}: {{p50_s: 0, p90_s: 1}}\n" for number in range(200))
    text = f"world: w\nchains:\n  c:\n    tasks:\n{tasks}gates:\n  g: {{chain: c, content: {{prompt: x}}}}\n"
    with pytest.raises(InvalidInput) as error:
        parse_world(text.encode())
    assert len(error.value.fields) == MAX_PROBLEMS
    assert error.value.message.endswith(f"and {200 - MAX_PROBLEMS} more problems")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_damaged_world_is_a_world_or_has_problems_with_lines(damages):
    source = GOOD.encode()
    for place, cut, piece in damages:
        at = place % len(source)
        source = source[:at] + piece + source[at + cut :]
    try:
        world = parse_world(source)
    except InvalidInput as error:
        assert error.fields
        assert all(problem.message.startswith("line ") for problem in error.fields)
        assert not any("pydantic" in problem.message for problem in error.fields)
    else:
        assert world.gates and world.chains


def test_a_file_that_is_too_big_on_disk_is_not_read_whole(tmp_path):
    file = tmp_path / "big.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(50 * MAX_SOURCE_BYTES)
    with pytest.raises(InvalidInput, match="allowed at most 1,048,576"):
        load_world(file)


def test_a_long_chain_is_checked_without_recursion():
    tasks = "".join(
        f"      t{number}: {{p50_s: 1, p90_s: 2{f', requires: t{number + 1}' if number < 511 else ''}}}\n"
        for number in range(512)
    )
    text = f"world: w\nchains:\n  c:\n    tasks:\n{tasks}gates:\n  g: {{chain: c, content: {{prompt: x}}}}\n"
    world = parse_world(text.encode())
    assert next(iter(world.chains["c"].tasks)) == "t511"
    assert world.gates["g"].requires == All((TaskDone("t0"),))
    assert (
        "at most 512 items"
        in problems(text.replace("gates:", "      more: {p50_s: 1, p90_s: 2}\ngates:"))["chains.c.tasks"]
    )
