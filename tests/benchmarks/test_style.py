from pathlib import Path

import numpy as np
import pytest

from benchmarks.style.distance import style_distance
from benchmarks.style.restyle import (
    BAND_PERIOD_M,
    BAND_SHADES,
    PAINTED_FROM,
    bands,
    palette,
    restyle,
    undo_palette,
    world_points,
    write_folder,
)
from clips.clip import Clip
from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import DungeonSample, render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.footage import Footage


@pytest.fixture(scope="module")
def rooms() -> list[DungeonSample]:
    return [render_sample(400 + seed, frames=9, width=48, height=32) for seed in range(10)]


def _room_depth(room: DungeonSample) -> np.ndarray:
    return graybox_depth(graybox_of(room.room, False), room.clip.cameras, room.clip.times)


@pytest.fixture(scope="module")
def styled(rooms: list[DungeonSample]) -> list[Clip]:
    return [restyle(room.clip, _room_depth(room)) for room in rooms]


def test_the_palette_can_be_taken_back_and_the_bands_stay(rooms: list[DungeonSample], styled: list[Clip]) -> None:
    for room, clip in zip(rooms, styled, strict=True):
        plain = room.clip.frames.astype(np.float64)
        shade = bands(world_points(room.clip.depth.astype(np.float64), room.clip.cameras))
        painted = (room.clip.depth >= PAINTED_FROM * _room_depth(room)) & ~room.clip.motion_mask
        shade[~painted] = 1.0
        assert shade.min() < 0.75
        assert shade.max() > 1.1
        wanted = np.minimum(plain * shade[..., None], 255.0)
        # What the palette makes of a colour may lie outside of what a display shows: those it cannot give back.
        matrix, offset = palette()
        made = (plain * shade[..., None]) @ matrix.T + offset
        whole = ((made >= 0.0) & (made <= 255.0)).all(axis=-1)
        assert whole.mean() > 0.9
        # Rounding to bytes after the palette weakened colours: a level or two, never more.
        assert np.abs(undo_palette(clip.frames)[whole] - wanted[whole]).max() <= 3.0


def test_geometry_stays_and_things_have_no_bands(rooms: list[DungeonSample], styled: list[Clip]) -> None:
    moving = standing = 0
    for room, clip in zip(rooms, styled, strict=True):
        assert clip.depth is room.clip.depth
        assert clip.cameras is room.clip.cameras
        off = np.abs(undo_palette(clip.frames) - room.clip.frames.astype(int)).max(axis=-1)
        things = room.clip.depth < 0.9 * _room_depth(room)
        moving, standing = moving + int(room.clip.motion_mask.sum()), standing + int(things.sum())
        # Saturated colours of things may be clipped; bands would change a fifth of nearly all of their pixels.
        assert np.median(off[things]) <= 3
        assert np.median(off[~things & ~room.clip.motion_mask]) > 3
    assert moving > 100
    assert standing > 1000


def test_bands_are_fixed_to_the_world() -> None:
    """A point on a wall gets the same shade from wherever it is seen."""
    room = render_sample(3, frames=9, width=48, height=32)
    points = world_points(room.clip.depth.astype(np.float64), room.clip.cameras)
    assert np.abs(points[..., 1]).max() < 6.0
    assert np.abs(points[0] - points[-1]).max() > 0.05
    assert np.array_equal(bands(points)[3], bands(points[3:4])[0])
    assert np.abs(bands(points + np.array([0.0, 0.0, 0.5])) - bands(points)).max() > 0.2
    assert bands(points).min() == pytest.approx(BAND_SHADES[1])
    assert bands(points).max() == pytest.approx(BAND_SHADES[0])


def test_bands_are_wider_than_the_detail_that_the_vae_drops() -> None:
    """Across a wall three metres away, half a period covers more than four pixels of a 96x64 picture."""
    sample = render_sample(3, frames=1)
    focal_px = float(sample.clip.cameras.Ks[0, 0, 0])
    assert 0.5 * BAND_PERIOD_M * focal_px / 3.0 > 4.0


def test_distance_is_nothing_to_oneself_and_tells_style_from_content(rooms: list[DungeonSample]) -> None:
    """Of a style as far off as can be: ten rooms of 48x32 differ among themselves by more than a mild one."""
    plain = [room.clip.frames for room in rooms]
    stripes = (40 * (np.arange(48) % 4 < 2))[:, None]
    odd = [(200 - clip // 3 - stripes).astype(np.uint8) for clip in plain]
    assert style_distance(odd, odd) == {"palette": 0.0, "texture": 0.0, "style": 0.0}
    other_rooms = style_distance(odd[:5], odd[5:])
    other_style = style_distance(plain, odd)
    for part in ("palette", "texture", "style"):
        assert other_rooms[part] < 0.5 * other_style[part]
    half_way = [((a.astype(int) + b) // 2).astype(np.uint8) for a, b in zip(plain, odd, strict=True)]
    assert style_distance(half_way, odd)["style"] < 0.8 * other_style["style"]


def test_the_examples_style_is_far_from_plain_rooms(rooms: list[DungeonSample], styled: list[Clip]) -> None:
    figures = style_distance([room.clip.frames for room in rooms], [clip.frames for clip in styled])
    assert figures["palette"] > 0.3
    assert figures["texture"] > 0.05


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
    assert np.array_equal(footage.clip.frames, restyle(render_sample(200_001).clip, footage.room_depth).frames)
