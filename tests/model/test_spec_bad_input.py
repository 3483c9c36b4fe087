"""Specs whose fields are of another kind than they must be."""

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.cameras import Cameras
from clips.errors import InvalidCameras
from model.errors import InvalidSpec
from model.spec import SegmentSpec

CAMERAS = CameraPath().cameras(3, 96, 64)


def _spec(**changes: object) -> SegmentSpec:
    fields = {"prompt": "red orb", "seed": 1, "cameras": CAMERAS, "fps": 8.0, "steps": 4, "guidance": 1.0}
    return SegmentSpec(**{**fields, "model_revision": "r", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["seed", "steps"])
@pytest.mark.parametrize("value", [1.5, 1.0, "1", None, True, float("inf"), []])
def test_what_is_no_whole_number_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidSpec, match=f"{field} must be a whole number"):
        _spec(**{field: value})


def test_integers_of_numpy_are_integers() -> None:
    assert _spec(seed=np.int64(1), steps=np.uint8(4)).key() == _spec().key()


@pytest.mark.parametrize("value", [None, 3, b"red orb", ["red"]])
def test_a_prompt_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidSpec, match="prompt must be text"):
        _spec(prompt=value)


@pytest.mark.parametrize(
    "value", ["\u200b", "\ufeff \u2060\n", "\u3164\u2800", "\ufe0f\u0301", "\x00\x07", "\U000e0041"]
)
def test_a_prompt_in_which_nothing_can_be_seen_is_refused(value: str) -> None:
    with pytest.raises(InvalidSpec, match=f"a character that can be seen, got {len(value)} that cannot"):
        _spec(prompt=value)


@pytest.mark.parametrize("value", ["?", "\U0001f525", "e\u0301", "\u0627\u200f", "\ue000"])
def test_anything_else_of_one_character_is_a_prompt(value: str) -> None:
    assert _spec(prompt=value).prompt == value


@pytest.mark.parametrize("field", ["seed", "steps", "width_px", "height_px"])
def test_infinite_numbers_of_json_are_refused(field: str) -> None:
    with pytest.raises(InvalidSpec, match="not a segment spec"):
        SegmentSpec.from_json({**_spec().to_json(), field: float("inf")})


@pytest.mark.parametrize(
    ("name", "index", "value", "match"),
    [
        ("viewmats", (1, 2, 3), 1e300, r"viewmats must be within .*frames \[1\]"),
        ("Ks", (2, 0, 2), 1e9, r"Ks must be within .*frames \[2\]"),
        ("viewmats", (1, 3, 0), 9.0, r"viewmats must have the last row \[0, 0, 0, 1\]; frames \[1\]"),
        ("Ks", (0, 2, 2), 2.0, r"Ks must have the last row \[0, 0, 1\]; frames \[0\]"),
        ("Ks", (1, 1, 1), 1e-300, r"focal lengths must be positive.*frames \[1\]"),
    ],
)
def test_cameras_of_no_lens_are_refused_by_frame(name: str, index: tuple[int, ...], value: float, match: str) -> None:
    matrices = {"viewmats": CAMERAS.viewmats.copy(), "Ks": CAMERAS.Ks.copy()}
    matrices[name][index] = value
    with pytest.raises(InvalidCameras, match=match):
        Cameras(**matrices, width=96, height=64)
