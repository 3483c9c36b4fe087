from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips.footage.footage import Footage
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM, control_features
from model.errors import ModelError
from model.rays import plucker_rays
from model.rgbd import pack_rgbd
from model.train.clip_source import DungeonClips
from model.train.data import slot_table
from model.train.latents import LatentCoder, LatentStore, cell_coverage

CLIPS = DungeonClips(3, first_seed=40, frames=17, width=48, height=32)


@dataclass(frozen=True)
class BareFootage:
    """Footage of which nothing is known but pictures, depth and cameras."""

    size: tuple[int, int, int] = (17, 32, 48)

    def __len__(self) -> int:
        return 1

    def clip(self, index: int) -> Footage:
        return Footage(CLIPS.clip(index).clip)

    def key(self) -> str:
        return "bare"


def test_dungeon_clips_are_those_of_their_seeds_with_everything_known() -> None:
    first, again = CLIPS.clip(1), replace(CLIPS, clips=9, first_seed=41).clip(0)
    assert np.array_equal(first.clip.frames, again.clip.frames)
    assert first.slots == again.slots and first.slots is not None and len(first.slots) == len(slot_table())
    assert first.room_depth is not None and first.objects_depth is not None and first.object_mask is not None
    # The blockout with objects is nearer than the room's where the object is, and nowhere farther.
    assert (first.objects_depth <= first.room_depth + 1e-4).all()
    assert (first.objects_depth[first.object_mask] < first.room_depth[first.object_mask] - 0.05).mean() > 0.5
    held_out = replace(CLIPS, held_out=True).clip(1)
    assert not np.array_equal(first.clip.frames, held_out.clip.frames)


def test_the_key_knows_recipe_and_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLIPS.key() == replace(CLIPS).key()
    assert CLIPS.key() != replace(CLIPS, first_seed=7).key()
    before = CLIPS.key()
    monkeypatch.setattr("clips.dungeon.render.LUT_MAX", 2.0)
    from clips.dungeon import render

    render._display_lut.cache_clear()
    try:
        assert CLIPS.key() != before
    finally:
        render._display_lut.cache_clear()


def test_a_clip_without_a_number_is_refused() -> None:
    for change in ({"clips": 0}, {"first_seed": -1}):
        with pytest.raises(ModelError, match="at least 1"):
            replace(CLIPS, **change)


def test_windows_hold_what_the_clip_is_coded_to(small_store: LatentStore, coder: LatentCoder) -> None:
    footage = CLIPS.clip(2)
    windows = small_store.windows([2, 0], [2, 0], [CONTROL_ROOM, CONTROL_OBJECTS], 3)
    told = windows.condition
    with torch.no_grad():
        latents = coder.vae.encode(pack_rgbd(footage.clip.frames, footage.clip.depth)[None])[0]
    assert torch.allclose(windows.latents[0], latents[:, 2:5], atol=2e-2)
    assert torch.allclose(told.rays[0], plucker_rays(footage.clip.cameras, 4, 8)[:, 2:5], atol=5e-3)
    assert footage.room_depth is not None and told.control is not None and footage.object_mask is not None
    assert torch.allclose(told.control[0], control_features(footage.room_depth, 4, 8)[:, 2:5], atol=2e-2)
    objects = CLIPS.clip(0).objects_depth
    assert objects is not None
    assert torch.allclose(told.control[1], control_features(objects, 4, 8)[:, :3], atol=2e-2)
    assert told.control_kind.tolist() == [CONTROL_ROOM, CONTROL_OBJECTS]
    assert told.starts.tolist() == [False, True]
    assert np.allclose(windows.coverage[0], cell_coverage(footage.object_mask, 4, 8)[2:5], atol=1e-3)
    assert footage.slots is not None
    names = [values[index - 1] for (_, values), index in zip(slot_table(), told.slots[0], strict=True)]
    assert names == list(footage.slots.values())


def test_coverage_is_the_share_of_pixels_in_a_cell() -> None:
    mask = np.zeros((5, 8, 16), bool)
    mask[0, :4, :8] = True
    mask[1:3, :, 8:] = True
    assert cell_coverage(mask, 4, 8).tolist() == [[[0.5, 0.0]], [[0.0, 0.5]]]


def test_clips_are_made_when_wanted_and_by_whoever_wants_them(tmp_path: Path, coder: LatentCoder) -> None:
    ours, theirs = LatentStore(tmp_path, CLIPS, coder), LatentStore(tmp_path, CLIPS, coder)
    windows = ours.windows([1], [0], [CONTROL_NONE], 5)
    assert theirs.done.tolist() == [False, True, False]
    assert torch.equal(theirs.windows([1], [0], [CONTROL_NONE], 5).latents, windows.latents)
    seen: list[tuple[int, int]] = []
    theirs.fill(2, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert ours.done.tolist() == [True, True, False]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] + [".npy"] * 7


def test_footage_of_which_little_is_known_has_no_control_and_says_nothing(tmp_path: Path, coder: LatentCoder) -> None:
    store = LatentStore(tmp_path, BareFootage(), coder)
    windows = store.windows([0], [0], [CONTROL_OBJECTS], 5)
    assert windows.condition.control_kind.tolist() == [CONTROL_NONE]
    assert not windows.condition.slots.any()
    assert not windows.coverage.any()


def test_latents_of_other_clips_or_another_vae_are_refused(tmp_path: Path, coder: LatentCoder) -> None:
    LatentStore(tmp_path, CLIPS, coder)
    for source, by in ((CLIPS, replace(coder, revision="fff")), (BareFootage(), coder)):
        with pytest.raises(ModelError, match="other latents"):
            LatentStore(tmp_path, source, by)
