"""The layout prior: deterministic, true to the prompt, and made for the cameras."""

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import Motion, Prop, Shape
from clips.dungeon.blockout import CLEAR_M, ProxyKind, blocked_frames
from clips.dungeon.cells import room_cells, start_cells
from clips.dungeon.scene import sample_camera_path, sample_room
from clips.errors import InvalidCameras
from model.layout import SHAPING_SLOTS, Layout, sample_layout

CAMERAS = CameraPath().cameras(17, 96, 64)
TIMES = np.arange(17) / 8.0


def layout(seed: int = 0, path: CameraPath | None = None, **slots: str) -> Layout:
    return sample_layout(slots, seed, CAMERAS if path is None else path.cameras(17, 96, 64), TIMES)


def test_the_same_prompt_and_seed_give_the_same_layout() -> None:
    first = layout(5, shape="cube", motion="roll")
    assert layout(5, shape="cube", motion="roll").graybox.to_json() == first.graybox.to_json()
    assert layout(6, shape="cube", motion="roll").graybox.to_json() != first.graybox.to_json()


def test_look_alone_does_not_move_anything() -> None:
    plain = layout(5, shape="cube", motion="hover", prop="none", size="small")
    other = layout(5, shape="cube", motion="hover", prop="none", size="small", color="red", wall="brick")
    assert other.graybox.to_json() == plain.graybox.to_json()


def test_words_decide_the_solids() -> None:
    kinds = {Shape.ORB: ProxyKind.SPHERE, Shape.CUBE: ProxyKind.BOX, Shape.CRYSTAL: ProxyKind.OCTAHEDRON}
    for shape, kind in kinds.items():
        made = layout(1, shape=shape, motion="hover", prop="none")
        assert [proxy.kind for proxy in made.graybox.proxies] == [kind]
    still = layout(1, shape="cube", motion=Motion.STILL, prop=Prop.BARREL)
    assert [proxy.kind for proxy in still.graybox.proxies[1:]] == [ProxyKind.CYLINDER]
    assert np.ptp(still.graybox.proxies[0].centers, axis=0).max() == 0
    moving = layout(1, shape="cube", motion=Motion.BOUNCE)
    assert np.ptp(moving.graybox.proxies[0].centers[:, 1]) > 0.1
    assert layout(1, size="large").graybox.width_m > layout(1, size="small").graybox.width_m
    assert len(moving.graybox.proxies[0].times) == 17


def test_what_is_not_said_is_drawn_from_the_seed() -> None:
    drawn = [layout(seed).words for seed in range(24)]
    assert all(set(words) == set(SHAPING_SLOTS) for words in drawn)
    for name in SHAPING_SLOTS:
        assert len({words[name] for words in drawn}) > 1, name
    assert layout(3, motion="slide").words["motion"] == "slide"


def test_no_training_room_is_met_by_its_number() -> None:
    assert layout(3).graybox.width_m != sample_room(3).width_m


@pytest.mark.parametrize("held_out", [False, True])
def test_every_sampled_camera_path_has_a_layout_around_it(held_out: bool) -> None:
    for seed in range(25):
        path = sample_camera_path(np.random.default_rng(seed), held_out)
        cameras = path.cameras(33, 96, 64)
        box = sample_layout({}, seed, cameras, np.arange(33) / 8.0).graybox
        start_cells(room_cells(box.width_m, box.height_m, box.depth_m), cameras)
        assert not len(blocked_frames(box, cameras, np.arange(33) / 8.0))


@pytest.mark.parametrize(
    "path",
    [
        CameraPath(start_z_m=0.0, distance_m=5.0),
        CameraPath(eye_height_m=3.0),
        CameraPath(kind=PathKind.ORBIT, angle_deg=180.0),
    ],
    ids=["deep", "high", "wide"],
)
def test_rooms_grow_for_cameras_that_need_it(path: CameraPath) -> None:
    for seed in range(4):
        box = layout(seed, path, size="small", motion="still").graybox
        cameras = path.cameras(17, 96, 64)
        start_cells(room_cells(box.width_m, box.height_m, box.depth_m), cameras)
        for proxy in box.proxies:
            distance = np.linalg.norm(cameras.positions[:, None] - proxy.centers, axis=-1)
            assert distance.min() > min(proxy.half_m) + CLEAR_M


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (CameraPath(start_z_m=4.0, distance_m=5.0), "no room of the layout prior"),
        (CameraPath(start_z_m=-5.0, distance_m=-4.0), "must stand in the room, the doorway or the antechamber"),
        (CameraPath(start_z_m=-1.0, eye_height_m=3.0), "must stand in the room, the doorway or the antechamber"),
    ],
)
def test_cameras_that_no_room_holds_are_refused(path: CameraPath, why: str) -> None:
    with pytest.raises(InvalidCameras, match=why):
        layout(0, path)
