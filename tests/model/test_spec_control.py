import json
from typing import Any

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.dungeon.blockout import Graybox, Proxy, ProxyKind
from model.errors import InvalidSpec
from model.spec import SegmentSpec
from model.spec_control import MAX_DEPTH_M, NO_CONTROL, Control, ControlKind, FirstFrame

CAMERAS = CameraPath().cameras(5, 12, 8)


def a_graybox(x_m: float = 0.5) -> Graybox:
    proxy = Proxy(ProxyKind.BOX, (0.3, 0.4, 0.5), np.zeros(1), np.array([[x_m, -0.4, 2.0]]), np.eye(3)[None])
    return Graybox(5.0, 3.0, 6.0, (proxy,))


def a_depth() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.4, 9.0, (5, 8, 12)).astype(np.float32)


def a_first_frame() -> FirstFrame:
    frame = np.random.default_rng(1).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return FirstFrame(frame, a_depth()[0])


def a_spec(**change: Any) -> SegmentSpec:
    return SegmentSpec("an orb", 3, CAMERAS, 8.0, 20, 2.5, "0123456789ab", **change)


CONTROLS = {
    "none": NO_CONTROL,
    "layout": Control(ControlKind.LAYOUT),
    "blockout": Control(ControlKind.BLOCKOUT, graybox=a_graybox()),
    "depth": Control(ControlKind.DEPTH, depth=a_depth()),
}


@pytest.mark.parametrize("kind", CONTROLS)
def test_controls_survive_json_with_their_key(kind: str) -> None:
    spec = a_spec(control=CONTROLS[kind])
    again = SegmentSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again.control == spec.control
    assert again.key() == spec.key()
    assert again.control.kind == kind


def test_every_control_is_another_segment() -> None:
    controls = [
        *CONTROLS.values(),
        Control(ControlKind.BLOCKOUT, graybox=a_graybox(0.6)),
        Control(ControlKind.DEPTH, depth=a_depth() + np.float32(0.01)),
    ]
    assert len({a_spec(control=control).key() for control in controls}) == len(controls)
    assert len({hash(control) for control in controls}) == len(controls)
    assert a_spec(first_frame=a_first_frame()).key() != a_spec().key()


def test_specs_of_before_there_was_control_keep_their_address() -> None:
    old = a_spec().to_json()
    del old["control"]
    assert SegmentSpec.from_json(old).key() == a_spec().key()
    assert SegmentSpec.from_json(old).control == NO_CONTROL


def test_depth_is_kept_in_millimetres_so_that_float_noise_is_no_other_control() -> None:
    depth = np.round(a_depth(), 3)
    noisy = Control(ControlKind.DEPTH, depth=depth + np.float32(1e-5))
    assert noisy == Control(ControlKind.DEPTH, depth=depth)
    assert noisy.depth is not None
    assert np.abs(noisy.depth - depth).max() < 6e-4
    far = Control(ControlKind.DEPTH, depth=np.full((1, 1, 1), 1e6, np.float32))
    assert far.depth is not None
    assert far.depth.item() == pytest.approx(MAX_DEPTH_M)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_depth_that_means_nothing_is_refused_by_its_frame(bad: float) -> None:
    depth = a_depth()
    depth[3, 2, 1] = bad
    with pytest.raises(InvalidSpec, match=r"frames \[3\] are not"):
        Control(ControlKind.DEPTH, depth=depth)


def test_depth_of_another_size_than_the_cameras_names_both() -> None:
    for cut in (np.s_[:4], np.s_[:, :7], np.s_[:, :, :11]):
        control = Control(ControlKind.DEPTH, depth=a_depth()[cut])
        with pytest.raises(InvalidSpec, match=r"\(5, 8, 12\), got \(") as error:
            a_spec(control=control)
        assert str(a_depth()[cut].shape) in str(error.value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("none", {"graybox": a_graybox()}),
        ("layout", {"depth": a_depth()}),
        ("blockout", {}),
        ("depth", {"graybox": a_graybox()}),
        ("depth", {"depth": a_depth()[0]}),
        ("depth", {"depth": a_depth() > 1}),
        ("depth", {"depth": np.zeros((0, 8, 12), np.float32)}),
    ],
)
def test_what_does_not_go_with_the_kind_is_refused(kind: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec, match="control"):
        Control(ControlKind(kind), **given)


def test_a_kind_may_be_its_word_and_another_word_is_refused() -> None:
    assert Control("layout").kind is ControlKind.LAYOUT  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec, match="one of none, layout, blockout, depth, got 'sketch'"):
        Control("sketch")  # type: ignore[arg-type]


def _depth_json(**change: Any) -> dict[str, Any]:
    return {**CONTROLS["depth"].to_json(), **change}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "sketch"},
        {"kind": "blockout"},
        {"kind": "blockout", "graybox": {"width_m": 5}},
        {"kind": "blockout", "graybox": {**a_graybox().to_json(), "width_m": 1e9}},
        {"kind": "blockout", "graybox": "box"},
        _depth_json(depth_mm="!"),
        _depth_json(depth_mm="AAAA"),
        _depth_json(shape=[5, 8, 13]),
        _depth_json(shape=[5, 8, 11]),
        _depth_json(shape=[5, 8, -12]),
        _depth_json(shape=[1 << 20, 1 << 20, 1 << 20]),
        [],
    ],
)
def test_damaged_json_is_refused(fields: Any) -> None:
    with pytest.raises(InvalidSpec):
        SegmentSpec.from_json({**a_spec().to_json(), "control": fields})


def test_a_first_frame_survives_json_and_must_fit_the_cameras() -> None:
    spec = a_spec(first_frame=a_first_frame())
    again = SegmentSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again.key() == spec.key()
    assert again.first_frame is not None
    assert spec.first_frame is not None
    assert np.array_equal(again.first_frame.frame, spec.first_frame.frame)
    frame = a_first_frame()
    with pytest.raises(InvalidSpec, match=r"\(8, 12\), got \(7, 12\)"):
        a_spec(first_frame=FirstFrame(frame.frame[:7], frame.depth[:7]))
    with pytest.raises(InvalidSpec, match="first frame"):
        FirstFrame(frame.frame[:7], frame.depth)
    with pytest.raises(InvalidSpec, match="finite"):
        FirstFrame(frame.frame, frame.depth * np.nan)
    for damaged in ({}, {**frame.to_json(), "frame": "AA"}, 3):
        with pytest.raises(InvalidSpec):
            SegmentSpec.from_json({**spec.to_json(), "first_frame": damaged})


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 2**70])
def test_seeds_beyond_63_bits_are_refused_also_from_json(seed: int) -> None:
    with pytest.raises(InvalidSpec, match=r"2\*\*63"):
        SegmentSpec.from_json({**a_spec().to_json(), "seed": seed})
