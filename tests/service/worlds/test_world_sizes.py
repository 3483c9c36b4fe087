"""Sizes and lengths that a world may ask for, of the shipped weights and of others."""

import pytest

from model.supported import SupportedSize
from service.errors import InvalidInput
from service.worlds.limits import MAX_FRAMES, MAX_SIZE_PX
from service.worlds.sizes import ANY_SIZE, SizeRule
from service.worlds.yaml_file import parse_world

SMALL = SizeRule(SupportedSize(9, 48, 32))
GRAYBOX = ", graybox: {width_m: 6, height_m: 3, depth_m: 8}"


def world_of(content: str) -> bytes:
    return (
        "world: w\nchains: {a: {tasks: {t: {p50_s: 1, p90_s: 2}}}}\n"
        f"gates: {{g: {{chain: a, content: {{prompt: x{content}}}}}}}\n"
    ).encode()


def content_of(content: str, sizes: SizeRule):
    return parse_world(world_of(content), sizes=sizes).gates["g"].content


def problem_of(content: str, sizes: SizeRule) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as error:
        parse_world(world_of(content), sizes=sizes)
    ((field, message),) = ((problem.field, problem.message) for problem in error.value.fields)
    return field, message


def test_what_a_world_does_not_say_is_the_models_own():
    content = content_of("", SMALL)
    assert (content.frames, content.width_px, content.height_px) == (9, 48, 32)


@pytest.mark.parametrize("written", [", frames: 17, size: [48, 32]", ", duration_s: 1.125", ", duration_s: 2.125"])
def test_worlds_of_what_other_weights_make_are_taken(written: str):
    assert content_of(written, SMALL).frames in (9, 17)


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        (", frames: 33", "gates.g.content.frames", "line 3: got 33, allowed 9 or 17"),
        (", size: [96, 64]", "gates.g.content.size", "line 3: got [96, 64], allowed [48, 32]"),
        (", duration_s: 4.125", "gates.g.content.duration_s", "1.125 or 2.125 at 8 fps (9 or 17 frames)"),
    ],
)
def test_what_the_weights_do_not_make_is_refused_with_what_they_make(written: str, field: str, message: str):
    got_field, got_message = problem_of(written, SMALL)
    assert got_field == field
    assert message in got_message


def test_any_size_is_still_no_endless_one():
    content = content_of(f", frames: {MAX_FRAMES}, size: [{MAX_SIZE_PX}, 1]", ANY_SIZE)
    assert (content.frames, content.width_px, content.height_px) == (MAX_FRAMES, MAX_SIZE_PX, 1)
    assert "got 1025, allowed 1 to 1024" in problem_of(f", frames: {MAX_FRAMES + 1}", ANY_SIZE)[1]
    assert "[1, 1] to [4096, 4096]" in problem_of(", size: [0, 64]", ANY_SIZE)[1]
    assert "got -1" in problem_of(", frames: -1", ANY_SIZE)[1]


@pytest.mark.parametrize("rule", [SizeRule(), ANY_SIZE], ids=["shipped", "any"])
@pytest.mark.parametrize("wrong", ["frames: 4000000000000", "duration_s: 1.0e+12", "size: [0, 0]", "frames: 0"])
def test_beside_a_graybox_a_wrong_size_is_named_and_nothing_is_made_of_it(wrong: str, rule: SizeRule):
    field, _ = problem_of(f", {wrong}{GRAYBOX}", rule)
    assert field == f"gates.g.content.{wrong.partition(':')[0]}"
