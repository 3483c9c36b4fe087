from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clips.dungeon.render import render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage
from model.errors import ModelError
from model.measure.scenes import ClipSize
from model.train.style_clips import FEWEST, MOST, PriorClips, StyleClips, read_style_clips

SIZE = ClipSize(frames=5, width=24, height=16)


def _footage(seed: int, frames: int = 5) -> Footage:
    sample = render_sample(seed, frames=frames, width=24, height=16)
    return Footage(sample.clip, slots=sample.room.slots)


def _folder(path: Path, clips: int, frames: int = 5) -> ClipFolder:
    folder = ClipFolder.create(path, our_dataset("style", 24, 16, 8.0))
    footage = _footage(3, frames)
    for index in range(clips):
        folder.write(f"clip-{index:03d}", footage)
    return folder


def test_one_bad_clip_is_named_and_skipped_and_counted(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "set", 22)
    (folder.folder / "clip-007" / "cameras.json").write_text("{")
    style = read_style_clips(folder.folder, SIZE)
    assert (style.clips, len(style), len(style.skipped), style.uncaptioned) == (21, 21, 1, 0)
    assert style.skipped[0].name == "clip-007"
    assert "cameras.json" in style.skipped[0].problem
    assert style.size == (5, 16, 24)


def test_fewer_than_twenty_need_few_and_more_than_two_hundred_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "set", 3).folder
    with pytest.raises(ModelError, match=rf"3 usable clips; an adapter needs {FEWEST} or more; --few"):
        read_style_clips(folder, SIZE)
    assert read_style_clips(folder, SIZE, few=True).clips == 3
    many = _folder(tmp_path / "many", 1).folder
    for index in range(1, MOST + 1):
        (many / f"clip-{index:03d}").symlink_to(many / "clip-000")
    with pytest.raises(ModelError, match=f"{MOST + 1} usable clips; an adapter takes {MOST} at the most"):
        read_style_clips(many, SIZE)


def test_a_folder_without_a_usable_clip_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "set", 0).folder
    with pytest.raises(ModelError, match="0 usable clips"):
        read_style_clips(folder, SIZE, few=True)


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (ClipSize(5, 48, 32), "is 24x16, the model makes 48x32; narthex data import can fit it to 48x32"),
        (ClipSize(9, 24, 16), "has 5 frames, the model's clips have 9"),
    ],
)
def test_clips_of_another_size_or_too_short_say_so(tmp_path: Path, size: ClipSize, problem: str) -> None:
    folder = _folder(tmp_path / "set", 2).folder
    with pytest.raises(ModelError, match=f"2 skipped; the first: clip clip-000: {problem}"):
        read_style_clips(folder, size, few=True)


def test_long_clips_become_pieces_that_share_their_border_frame(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "set", 1, frames=14).folder
    style = read_style_clips(folder, SIZE, few=True)
    whole = _footage(3, 14).clip
    assert (style.clips, len(style)) == (1, 3)
    for index, start in enumerate((0, 4, 8)):
        piece = style.clip(index).clip
        assert np.array_equal(piece.frames, whole.frames[start : start + 5])
        assert np.array_equal(piece.cameras.viewmats, whole.cameras.viewmats[start : start + 5])


def test_captions_say_the_slots_where_no_file_does(tmp_path: Path) -> None:
    folder = ClipFolder.create(tmp_path / "set", our_dataset("style", 24, 16, 8.0))
    plain = replace(_footage(3), slots=None)
    folder.write("said", replace(plain, captions={"en": ("a red cube in a brick room",)}))
    folder.write("silent", replace(plain, clip=replace(plain.clip, caption=""), captions={}))
    style = read_style_clips(folder.folder, SIZE, few=True)
    assert style.uncaptioned == 1
    said, silent = (dict(style.clip(index).slots or {}) for index in range(2))
    assert {"wall": "brick", "color": "red", "shape": "cube"}.items() <= said.items()
    assert silent == {}


def test_the_key_changes_with_pictures_and_with_words() -> None:
    first = _footage(3)
    frames = first.clip.frames.copy()
    frames[2, 3, 4] ^= 1
    others = [
        replace(first, clip=replace(first.clip, frames=frames)),
        replace(first, slots={**(first.slots or {}), "light": "ember"}),
        replace(first, room_depth=first.clip.depth),
    ]
    keys = {StyleClips((footage,), 1, 0, ()).key() for footage in (first, *others)}
    assert len(keys) == 4
    assert StyleClips((_footage(3),), 1, 0, ()).key() == StyleClips((first,), 1, 0, ()).key()


def test_prior_rooms_have_the_words_and_rooms_of_their_own() -> None:
    words = ({"wall": "brick", "shape": "cone"}, {}, {"shape": "orb", "motion": "topple"})
    prior = PriorClips(words, SIZE)
    made = [prior.clip(index) for index in range(3)]
    assert (len(prior), prior.size) == (3, (5, 16, 24))
    for footage, asked in zip(made[:2], words, strict=False):
        assert asked.items() <= dict(footage.slots or {}).items()
    assert dict(made[2].slots or {})["shape"] == "orb"
    assert all(footage.room_depth is not None and footage.objects_depth is not None for footage in made)
    assert np.array_equal(made[0].clip.frames, prior.clip(0).clip.frames)
    assert prior.key() == PriorClips(words, SIZE).key() != PriorClips(words[:2], SIZE).key()
