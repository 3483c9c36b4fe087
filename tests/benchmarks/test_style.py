from pathlib import Path

import numpy as np
import pytest

from benchmarks.style.distance import style_distance
from benchmarks.style.restyle import hatching, restyle, undo_palette, world_points, write_folder
from clips.clip import Clip
from clips.dungeon.render import DungeonSample, render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.footage import Footage


@pytest.fixture(scope="module")
def rooms() -> list[DungeonSample]:
    return [render_sample(400 + seed, frames=9, width=48, height=32) for seed in range(10)]


@pytest.fixture(scope="module")
def styled(rooms: list[DungeonSample]) -> list[Clip]:
    return [restyle(room.clip) for room in rooms]


def test_the_palette_can_be_taken_back_and_the_lines_stay(rooms: list[DungeonSample], styled: list[Clip]) -> None:
    for room, clip in zip(rooms, styled, strict=True):
        plain = room.clip.frames.astype(np.float64)
        points = world_points(room.clip.depth.astype(np.float64), room.clip.cameras)
        shade = hatching(points, plain @ np.array([0.299, 0.587, 0.114]))
        shade[room.clip.motion_mask] = 1.0
        assert shade.min() < 0.7
        assert shade.max() == 1.0
        back = undo_palette(clip.frames)
        # Rounding to bytes after the palette weakened colours: some levels, never more.
        assert np.abs(back - plain * shade[..., None]).max() <= 4.0


def test_geometry_stays_and_moving_things_have_no_lines(rooms: list[DungeonSample], styled: list[Clip]) -> None:
    moving = 0
    for room, clip in zip(rooms, styled, strict=True):
        assert clip.depth is room.clip.depth
        assert clip.cameras is room.clip.cameras
        mask = room.clip.motion_mask
        moving += int(mask.sum())
        if mask.any():
            assert np.abs(undo_palette(clip.frames)[mask] - room.clip.frames[mask].astype(int)).max() <= 4
    assert moving > 100


def test_lines_are_fixed_to_the_world() -> None:
    """A point on a wall gets the same shade from wherever it is seen."""
    room = render_sample(3, frames=9, width=48, height=32)
    points = world_points(room.clip.depth.astype(np.float64), room.clip.cameras)
    assert np.abs(points[..., 1]).max() < 6.0
    assert np.abs(points[0] - points[-1]).max() > 0.05
    bright = np.full(points.shape[:-1], 200.0)
    assert np.array_equal(hatching(points, bright)[3], hatching(points[3:4], bright[3:4])[0])
    shifted = hatching(points + np.array([0.25, 0.0, 0.0]), bright)
    assert np.abs(shifted - hatching(points, bright)).max() > 0.2


def test_distance_is_nothing_to_oneself_and_tells_style_from_content(
    rooms: list[DungeonSample], styled: list[Clip]
) -> None:
    plain, inked = [room.clip.frames for room in rooms], [clip.frames for clip in styled]
    assert style_distance(inked, inked) == {"palette": 0.0, "texture": 0.0, "style": 0.0}
    other_rooms = style_distance(inked[:5], inked[5:])
    other_style = style_distance(plain, inked)
    for part in ("palette", "texture", "style"):
        assert other_rooms[part] < 0.5 * other_style[part]
    half_way = [((a.astype(int) + b) // 2).astype(np.uint8) for a, b in zip(plain, inked, strict=True)]
    assert style_distance(half_way, inked)["style"] < 0.8 * other_style["style"]


def test_distance_needs_clips_on_both_sides(styled: list[Clip]) -> None:
    with pytest.raises(ValueError, match="got 0 and 1"):
        style_distance([], [styled[0].frames])


def test_the_folder_is_one_that_an_adapter_can_be_trained_on(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", 1)
    write_folder(tmp_path / "set", 2)
    read = dict(ClipFolder.open(tmp_path / "set").read_all())
    assert list(read) == ["room-200000", "room-200001"]
    footage = read["room-200001"]
    assert isinstance(footage, Footage)
    assert footage.slots is not None
    assert footage.room_depth is not None
    assert np.array_equal(footage.clip.frames, restyle(render_sample(200_001).clip).frames)
