from dataclasses import replace

import pytest

from clips.camera_path import CameraPath
from model.errors import InvalidSpec
from model.spec import MAX_PROMPT_CHARACTERS, SEED_LIMIT, SegmentSpec


@pytest.fixture
def a_spec() -> SegmentSpec:
    return SegmentSpec("an orb", 3, CameraPath().cameras(17, 96, 64), 8.0, 20, 2.5, "0123456789ab")


def test_equal_specs_have_one_key(a_spec: SegmentSpec) -> None:
    again = SegmentSpec("an orb", 3, CameraPath().cameras(17, 96, 64), 8.0, 20, 2.5, "0123456789ab")
    assert a_spec.key() == again.key()
    assert len(a_spec.key()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "an orb "},
        {"seed": 4},
        {"cameras": CameraPath(distance_m=1.3).cameras(17, 96, 64)},
        {"fps": 12.0},
        {"steps": 4},
        {"guidance": 1.0},
        {"model_revision": "ba9876543210"},
    ],
)
def test_every_field_is_part_of_the_key(a_spec: SegmentSpec, change: dict[str, object]) -> None:
    assert replace(a_spec, **change).key() != a_spec.key()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "x" * (MAX_PROMPT_CHARACTERS + 1)}, "got 4001"),
        ({"prompt": "orb \ud800"}, "surrogate at 4"),
        ({"seed": -1}, "seed"),
        ({"seed": SEED_LIMIT}, "seed"),
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"guidance": -0.1}, "guidance"),
        ({"guidance": float("nan")}, "guidance"),
        ({"fps": 0.0}, "fps"),
        ({"fps": float("inf")}, "fps"),
    ],
)
def test_fields_out_of_range_are_refused(a_spec: SegmentSpec, change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        replace(a_spec, **change)
