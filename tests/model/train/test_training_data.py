from pathlib import Path

import numpy as np
import pytest
import torch

from clips.camera_path import CameraPath
from clips.dungeon.render import render_clip, render_sample
from clips.dungeon.scene import sample_room
from model.errors import ModelError
from model.rays import plucker_rays
from model.rgbd import pack_rgbd
from model.train.data import ClipRecipe, ClipStore, encode_store, mirrored, slot_table
from model.vae import Vae

RECIPE = ClipRecipe(clips=3, first_seed=40, frames=9, width=48, height=32)


def test_a_store_holds_what_the_renderer_makes_of_its_seeds(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, RECIPE)
    sample = render_sample(41, frames=9, width=48, height=32)
    assert torch.allclose(store.rgbd(1), pack_rgbd(sample.clip.frames, sample.clip.depth), atol=2e-3)
    assert np.array_equal(store.mask[1], sample.clip.motion_mask)
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


def test_a_mirrored_clip_is_geometrically_true() -> None:
    """Points lifted from the mirrored depth with the mirrored cameras are the mirrored points."""
    clip = render_clip(sample_room(3), CameraPath(kind="pan").cameras(5, 48, 32), np.arange(5) / 8.0)
    rgbd, cameras = mirrored(pack_rgbd(clip.frames, clip.depth), clip.cameras)
    ours, theirs = plucker_rays(clip.cameras, 4, 8), plucker_rays(cameras, 4, 8)
    assert torch.allclose(theirs[0].flip(-1), -ours[0], atol=1e-5)
    assert torch.allclose(theirs[1:3].flip(-1), ours[1:3], atol=1e-5)
    assert np.allclose(cameras.positions * [-1, 1, 1], clip.cameras.positions)
    assert torch.equal(rgbd.flip(-1), pack_rgbd(clip.frames, clip.depth))


def test_latents_come_with_their_rays_and_slots(small_vae: Vae, tmp_path: Path) -> None:
    store = ClipStore(tmp_path, RECIPE)
    latents = encode_store(store, small_vae, 2, with_mirrored=True)
    assert len(latents) == 4
    assert latents.latents.shape == (4, 6, 3, 4, 6)
    with torch.no_grad():
        expected = small_vae.encode(store.rgbd(1)[None])[0]
    assert torch.allclose(latents.latents[2].float(), expected, atol=2e-2)
    assert torch.equal(latents.slots[2], latents.slots[3])
    assert torch.allclose(latents.rays[2].float(), plucker_rays(store.cameras(1), 4, 8), atol=5e-3)
    assert len(encode_store(store, small_vae, 2, with_mirrored=False)) == 2
