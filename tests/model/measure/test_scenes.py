from dataclasses import replace

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import Prop
from clips.dungeon.render import render_room
from clips.dungeon.scene import HELD_OUT_PAIRS, sample_room
from model.measure.room_depth import room_pixels
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scene, scene_of

SIZE = ClipSize(frames=5, width=48, height=32)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(SceneKind.HELD_OUT, 3, SIZE)


def test_a_scene_is_the_same_every_time_and_another_one_differs(scene: Scene) -> None:
    again, other = make_scene(SceneKind.HELD_OUT, 3, SIZE), make_scene(SceneKind.HELD_OUT, 4, SIZE)
    assert np.array_equal(scene.frames, again.frames)
    assert scene.cameras.digest() == again.cameras.digest()
    assert scene.words == again.words != other.words


def test_pair_scenes_have_a_pair_that_training_never_has() -> None:
    for index in range(3):
        words = make_scene(SceneKind.PAIRS, index, ClipSize(1, 16, 16)).words
        assert any(all(words[slot] == word for slot, word in pair) for pair in HELD_OUT_PAIRS)


def test_path_scenes_have_cameras_unlike_those_of_training() -> None:
    for index in range(3):
        height_m = make_scene(SceneKind.PATHS, index, ClipSize(1, 16, 16)).sample.path.eye_height_m
        assert not 1.4 <= height_m <= 1.65


def test_the_blockout_is_the_true_depth_wherever_the_room_is_bare(scene: Scene) -> None:
    where = room_pixels(scene.depth, scene.box_depth)
    assert where.mean() > 0.5
    assert not (where & scene.object_mask).mean() > 0.01
    near = np.abs(scene.object_depth - scene.depth) <= 0.01 * scene.depth
    assert near[scene.object_mask].mean() > 0.8
    assert near.mean() > 0.95


def test_a_prop_counts_where_the_cameras_see_it() -> None:
    room = replace(sample_room(0, prop="crate", prop_place="left"), prop_offset_m=0.0)
    path = CameraPath(PathKind.STILL, start_z_m=0.0)
    away = replace(path, kind=PathKind.PAN, angle_deg=180.0)
    size = (1, 48, 32)
    assert scene_of(render_room(room, path, size, 8.0)).prop_seen
    # A single frame of a pan looks a quarter turn to the left, where the crate stands; mirrored it looks away.
    assert not scene_of(render_room(room, replace(away, angle_deg=-180.0), size, 8.0)).prop_seen
    assert scene_of(render_room(replace(room, prop=Prop.NONE), away, size, 8.0)).prop_seen


def test_a_prop_that_the_cameras_turn_away_from_is_not_looked_for_at_the_end() -> None:
    room = replace(sample_room(0, prop="crate", prop_place="left"), prop_offset_m=0.0)
    away = CameraPath(PathKind.PAN, start_z_m=0.0, angle_deg=180.0)
    scene = scene_of(render_room(room, away, (33, 48, 32), 8.0))
    assert (scene.prop_seen, scene.prop_seen_last) == (True, False)
    towards = scene_of(render_room(room, replace(away, angle_deg=-180.0), (33, 48, 32), 8.0))
    assert (towards.prop_seen, towards.prop_seen_last) == (True, True)


def test_cameras_that_stand_still_are_known(scene: Scene) -> None:
    room = scene.sample.room
    still = scene_of(render_room(room, CameraPath(PathKind.STILL), (3, 16, 16), 8.0))
    walking = scene_of(render_room(room, CameraPath(PathKind.WALK_IN), (3, 16, 16), 8.0))
    assert (still.camera_moves, walking.camera_moves) == (False, True)
