from pathlib import Path

import numpy as np
import pytest
import torch

from clips.dungeon.render import render_sample
from model.errors import ModelError
from model.rgbd import pack_rgbd
from model.train.data import ClipRecipe, ClipStore, slot_table

RECIPE = ClipRecipe(clips=3, first_seed=40, frames=9, width=48, height=32)


def test_a_store_holds_what_the_renderer_makes_of_its_seeds(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, RECIPE)
    sample = render_sample(41, frames=9, width=48, height=32)
    assert torch.allclose(store.rgbd(1), pack_rgbd(sample.clip.frames, sample.clip.depth), atol=2e-3)
    assert np.array_equal(store.mask[1], sample.object_mask)
    assert store.cameras(1).digest() == sample.clip.cameras.digest()
    names = [values[index - 1] for (_, values), index in zip(slot_table(), store.slots[1], strict=True)]
    assert names == list(sample.room.slots.values())


def test_clips_are_rendered_when_wanted_and_kept(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, RECIPE)
    store.rgbd(2, 4, 5)
    assert store.done.tolist() == [False, False, True]
    seen: list[int] = []
    ClipStore(tmp_path, RECIPE).fill(lambda done, total: seen.append(done))
    assert seen == [1, 2, 3]
    assert ClipStore(tmp_path, RECIPE).done.all()


def test_held_out_clips_are_others(tmp_path: Path) -> None:
    ours = ClipStore(tmp_path / "a", RECIPE)
    theirs = ClipStore(tmp_path / "b", ClipRecipe(3, 40, held_out=True, frames=9, width=48, height=32))
    assert not torch.equal(ours.rgbd(0), theirs.rgbd(0))


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    ClipStore(tmp_path, RECIPE)
    with pytest.raises(ModelError, match="other clips"):
        ClipStore(tmp_path, ClipRecipe(clips=4))


def test_recipes_of_nothing_are_refused() -> None:
    with pytest.raises(ModelError, match="at least 1"):
        ClipRecipe(clips=0)
