"""Cameras far outside every room that the model knows are refused; those a little outside are told of."""

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras
from clips.dungeon.blockout import Graybox
from clips.dungeon.scene import RoomSpec, sample_room
from clips.errors import InvalidRoom
from model.errors import InvalidSpec
from model.generate import Generator
from model.reach import FARTHEST_CAMERA_M, LARGEST_ROOM_M, check_reach, outside_note
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from model.steering import steering_of

INSIDE = CameraPath().cameras(5, 48, 32)
LOST = [(0.0, 0.0, 4000.0), (50.0, 0.0, 0.0), (0.0, -30.0, 2.0), (0.0, 0.0, -FARTHEST_CAMERA_M - 2)]
UNSTEERED = [ControlKind.NONE, ControlKind.LAYOUT]


def moved(frame: int, by_m: tuple[float, float, float]) -> Cameras:
    """The path with one camera elsewhere."""
    viewmats = INSIDE.viewmats.copy()
    viewmats[frame:, :3, 3] -= viewmats[frame:, :3, :3] @ np.asarray(by_m)
    return Cameras(viewmats, INSIDE.Ks, INSIDE.width, INSIDE.height)


def segment(cameras: Cameras, control: Control) -> SegmentSpec:
    return SegmentSpec("a red orb", 7, cameras, 8.0, 4, 2.0, "revision", control)


@pytest.mark.parametrize("kind", UNSTEERED)
@pytest.mark.parametrize("by_m", LOST)
def test_cameras_far_from_the_gate_are_refused_by_frame_and_place(
    kind: ControlKind, by_m: tuple[float, float, float]
) -> None:
    cameras = moved(3, by_m)
    place = ", ".join(f"{value:g}" for value in np.round(cameras.positions[3], 3) + 0.0)
    with pytest.raises(InvalidSpec, match=r"within 20 m of the gate; frames \[3, 4\]") as caught:
        steering_of(segment(cameras, Control(kind)), {})
    assert f"with control {kind}" in str(caught.value)
    assert place in str(caught.value).replace(".0,", ",").replace(".0]", "]")


def test_a_generator_refuses_them_before_it_makes_anything(generator: Generator, spec: SegmentSpec) -> None:
    fields = {**spec.to_json(), "viewmats": moved_away(spec.cameras, 4000.0).viewmats.reshape(-1).tolist()}
    with pytest.raises(InvalidSpec, match="within 20 m of the gate"):
        generator.begin(SegmentSpec.from_json(fields))


def moved_away(cameras: Cameras, z_m: float) -> Cameras:
    viewmats = cameras.viewmats.copy()
    viewmats[:, :3, 3] -= viewmats[:, :3, :3] @ np.array([0.0, 0.0, z_m])
    return Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)


@pytest.mark.parametrize("kind", list(PathKind))
@pytest.mark.parametrize("start_z_m", [-5.0, 5.0])
@pytest.mark.parametrize("distance_m", [-5.0, 5.0])
def test_no_camera_path_of_a_world_is_refused(kind: PathKind, start_z_m: float, distance_m: float) -> None:
    path = CameraPath(kind, start_z_m, distance_m, angle_deg=180.0, eye_height_m=3.0)
    check_reach(path.cameras(33, 48, 32), ControlKind.LAYOUT)


def test_a_blockout_and_a_depth_clip_may_be_larger_than_the_models_rooms() -> None:
    hall = Graybox(40.0, 20.0, 60.0)
    deep = moved_away(INSIDE, 55.0)
    assert steering_of(segment(deep, Control(ControlKind.BLOCKOUT, graybox=hall)), {}).note == ""
    depth = np.full((len(deep), deep.height, deep.width), 4.0, np.float32)
    assert steering_of(segment(deep, Control(ControlKind.DEPTH, depth=depth)), {}).kind is ControlKind.DEPTH
    with pytest.raises(InvalidSpec, match=r"with control depth they must stand within 65\.535 m"):
        steering_of(segment(moved_away(INSIDE, 4000.0), Control(ControlKind.DEPTH, depth=depth)), {})


def test_cameras_a_little_outside_are_made_and_told_of() -> None:
    assert outside_note(INSIDE) == ""
    beside = steering_of(segment(moved(2, (6.0, 0.0, 2.0)), Control()), {})
    assert beside.kind is ControlKind.NONE
    assert beside.to_json()["note"].startswith("outside what the shipped model knows (rooms of at most 8x4x9 m)")
    assert "frames [2, 3, 4]" in beside.note
    layout = steering_of(segment(moved(2, (6.0, 0.0, 2.0)), Control(ControlKind.LAYOUT)), {})
    assert layout.note.startswith("no layout fits these cameras, so none is used: ")


def test_the_largest_room_is_the_renderers() -> None:
    fields = {**vars(sample_room(1)), **dict(zip(("width_m", "height_m", "depth_m"), LARGEST_ROOM_M, strict=True))}
    assert RoomSpec(**fields).depth_m == LARGEST_ROOM_M[2]
    for name in ("width_m", "height_m", "depth_m"):
        with pytest.raises(InvalidRoom, match=name):
            RoomSpec(**{**fields, name: fields[name] + 0.01})
