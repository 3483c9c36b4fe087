"""Rooms and camera paths from seeds; textures."""

from __future__ import annotations

import numpy as np
import pytest

from clips.camera_path import PathKind
from clips.dungeon.attributes import SLOTS, Ceiling, Floor, Motion, Shape, Size, Wall
from clips.dungeon.bodies import radius
from clips.dungeon.motion import object_poses
from clips.dungeon.scene import (
    HELD_OUT_PAIRS,
    ROOM_SIZES,
    PropPlace,
    held_out_pairs,
    sample_camera_path,
    sample_pair_room,
    sample_room,
    seeded,
)
from clips.dungeon.textures import (
    LEVELS,
    PERIOD_M,
    SIZE_PX,
    linear_to_srgb,
    material_mips,
    srgb_to_linear,
)
from clips.errors import InvalidRoom


def test_slots_are_in_their_fixed_order_and_no_word_means_two_things() -> None:
    assert list(SLOTS) == ["light", "wall", "floor", "ceiling", "size", "color", "shape", "motion", "prop"]
    words = [word for slot in SLOTS.values() for word in slot]
    assert len(words) == len(set(words))


def test_train_and_held_out_rooms_are_disjoint_and_reproducible() -> None:
    train = {sample_room(seed) for seed in range(300)}
    held_out = {sample_room(seed, held_out=True) for seed in range(300)}
    assert len(train) == 300 and len(held_out) == 300
    assert not train & held_out
    assert sample_room(12) == sample_room(12)


def test_sampling_reaches_every_word_of_every_slot() -> None:
    rooms = [sample_room(seed) for seed in range(300)]
    for name, words in SLOTS.items():
        assert {room.slots[name] for room in rooms} == {str(word) for word in words}
    assert {room.prop_place for room in rooms} == set(PropPlace)


def test_a_rooms_metres_follow_its_size_word() -> None:
    for seed in range(60):
        room = sample_room(seed)
        got = (room.width_m, room.height_m, room.depth_m)
        for value, (low, high) in zip(got, ROOM_SIZES[room.size], strict=True):
            assert low <= value <= high
    small, large = sample_room(3, size="small"), sample_room(3, size=Size.LARGE)
    assert small.width_m < 5.0 < 5.8 <= large.width_m


def test_no_sampled_room_has_a_held_out_pair_and_pair_rooms_have_theirs() -> None:
    for held_out in (False, True):
        for seed in range(400):
            room = sample_room(seed, held_out)
            assert held_out_pairs(room.slots) == []
            assert not (room.shape is Shape.ORB and room.motion is Motion.TOPPLE)
    for seed in range(2 * len(HELD_OUT_PAIRS)):
        room, which = sample_pair_room(seed)
        assert which == seed % len(HELD_OUT_PAIRS)
        assert held_out_pairs(room.slots) == [which]


def test_every_held_out_pair_is_of_words_that_exist_and_leaves_each_word_other_partners() -> None:
    for pair in HELD_OUT_PAIRS:
        for name, word in pair:
            assert word in list(SLOTS[name])
    seen = {(name, word) for seed in range(400) for name, word in sample_room(seed).slots.items()}
    assert {item for pair in HELD_OUT_PAIRS for item in pair} <= seen


def test_fixed_attributes_leave_the_rest_as_drawn() -> None:
    plain, fixed = sample_room(4), sample_room(4, color="cyan", width_m=5.0)
    assert fixed.color == "cyan" and fixed.width_m == 5.0
    assert fixed.wall is plain.wall and fixed.texture_seed == plain.texture_seed


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"colour": "red"}, "no field 'colour'"),
        ({"color": "beige"}, "color must be one of red, green"),
        ({"prop_place": "ceiling"}, "prop_place must be one of left, right, back"),
        ({"width_m": float("nan")}, r"width_m must be within \[4.0, 8.0\], got nan"),
        ({"object_size_m": 3.0}, "object_size_m must be within"),
        ({"motion_period_s": 0.0}, "motion_period_s must be within"),
        ({"texture_seed": -1}, "texture_seed must be within"),
        ({"motion_seed": 2**32}, "motion_seed must be within"),
        ({"size": "huge"}, "size must be one of small, large"),
    ],
)
def test_rooms_that_mean_nothing_are_refused(fixed, message: str) -> None:
    with pytest.raises(InvalidRoom, match=message):
        sample_room(1, **fixed)


def test_sampled_camera_paths_stay_inside_every_sampled_room_and_clear_of_the_object() -> None:
    kinds = set()
    outside = 0
    for seed in range(120):
        path = sample_camera_path(seeded(seed, "camera", held_out=False))
        kinds.add(path.kind)
        eyes = path.cameras(9, 96, 64).positions
        outside += eyes[0, 2] < -0.3
        assert np.abs(eyes[:, 0]).max() < 1.3 and eyes[:, 2].max() < 1.5 and eyes[:, 2].min() > -2.0
        in_doorway = (eyes[:, 2] <= 0.0) & (eyes[:, 2] >= -0.3)
        assert (np.abs(eyes[in_doorway, 0]) < 0.9).all()
        room = sample_room(seed)
        reach_m = radius(room.shape) * room.object_size_m
        centers = object_poses(room, np.linspace(0.0, 3.0, 25)).centers
        assert np.linalg.norm(centers[:, None] - eyes[None], axis=-1).min() > reach_m + 0.1
    assert kinds == set(PathKind)
    assert outside > 8


def test_held_out_camera_paths_stand_and_see_unlike_any_path_of_training() -> None:
    for seed in range(200):
        train = sample_camera_path(seeded(seed, "camera", held_out=False))
        held_out = sample_camera_path(seeded(seed, "camera", held_out=False), held_out=True)
        assert 1.4 <= train.eye_height_m <= 1.65 and 70.0 <= train.fov_x_deg <= 90.0
        assert not 1.4 <= held_out.eye_height_m <= 1.65 and not 70.0 <= held_out.fov_x_deg <= 90.0
        assert held_out.kind is train.kind and held_out.start_z_m == train.start_z_m


@pytest.mark.parametrize("material", [*Wall, *Floor, *Ceiling])
def test_textures_are_calm_tileable_and_keep_their_mean_over_mip_levels(material) -> None:
    mips = material_mips(material)
    assert mips.shape == (sum((SIZE_PX >> k) ** 2 for k in range(LEVELS)), 3)
    assert mips.min() >= 0.0 and mips.max() <= 1.0
    full = mips[: SIZE_PX**2].reshape(SIZE_PX, SIZE_PX, 3).astype(np.float64)
    coarse = mips[-((SIZE_PX >> (LEVELS - 1)) ** 2) :]
    np.testing.assert_allclose(full.mean(axis=(0, 1)), coarse.mean(axis=0), rtol=1e-4)
    for axis in (0, 1):
        seam = np.abs(np.take(full, 0, axis) - np.take(full, -1, axis)).mean()
        inner = np.abs(np.diff(full, axis=axis)).mean(axis=(1 - axis, 2)).max()
        assert seam <= inner * 1.05 + 1e-6
    # Calm: blurred over 10 cm, most of the contrast is still there.
    cells = int(PERIOD_M / 0.1)
    blurred = full.reshape(cells, SIZE_PX // cells, cells, SIZE_PX // cells, 3).mean(axis=(1, 3))
    assert blurred.std(axis=(0, 1)).mean() > 0.6 * full.std(axis=(0, 1)).mean()


def test_srgb_curves_are_inverse_and_as_the_standard_says() -> None:
    values = np.linspace(0.0, 1.0, 101)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)
    assert srgb_to_linear(np.array(0.5)) == pytest.approx(0.21404, abs=1e-5)
