"""The weights that Narthex ships do what the model card says, measured small."""

from pathlib import Path

import flip_evaluator
import numpy as np
import pytest
import torch

from clips.camera_path import CameraPath
from clips.cameras import Cameras
from model.checkpoint import load_checkpoint
from model.dit import Dit
from model.generate import SIGMA_SHIFT, Generator
from model.measure.generation import Blockout, Sampling, generate, told
from model.measure.judge import JUDGE_FILE, load_judge
from model.measure.likeness import mean_clip, picture_error
from model.measure.object_region import intersection_over_union
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scene
from model.measure.velocity import velocity_loss
from model.revision import DRAFT_STEPS, GUIDANCE, MAP_STEPS, default_weights
from model.rgbd import pack_rgbd
from model.spec import SegmentSpec
from model.train.data import slot_table

CLIPS = 6
EASY = ("light", "wall", "floor", "color")


@pytest.fixture(scope="module")
def shipped() -> Generator:
    return Generator.load()


@pytest.fixture(scope="module")
def held_out() -> list[Scene]:
    return [make_scene(SceneKind.HELD_OUT, 500 + index, ClipSize()) for index in range(CLIPS)]


def _spec(shipped: Generator, prompt: str, cameras: Cameras) -> SegmentSpec:
    return SegmentSpec(prompt, 3, cameras, 8.0, DRAFT_STEPS, GUIDANCE, shipped.revision)


def test_both_files_are_small_and_say_what_trained_them() -> None:
    paths = {kind: default_weights() / f"{kind}.safetensors" for kind in ("vae", "dit")}
    assert sum(path.stat().st_size for path in paths.values()) < 40e6
    recipes = {kind: load_checkpoint(path, kind).recipe for kind, path in paths.items()}
    assert recipes["vae"]["renderer"] == "clips.dungeon"
    assert recipes["dit"]["source"].startswith("clips.dungeon ")
    assert all(recipe["steps"] > 0 for recipe in recipes.values())
    assert load_checkpoint(default_weights() / "dit.safetensors", "dit").config["slots"] == [
        [name, list(values)] for name, values in slot_table()
    ]


def test_the_card_names_the_revision_and_the_command(shipped: Generator) -> None:
    card = (Path(default_weights()) / "MODEL_CARD.md").read_text()
    assert shipped.revision in card
    assert "python -m benchmarks.model" in card
    assert "Apache-2.0" in card


def test_a_draft_is_a_room_of_metres_and_its_object_has_the_colour_that_was_said(shipped: Generator) -> None:
    assert str(shipped.supported) == "17 frames of 96x64"
    cameras = CameraPath().cameras(17, 96, 64)
    redness = {}
    for color in ("red", "blue"):
        generation = shipped.begin(
            _spec(shipped, f"a {color} orb, still, marble room in daylight, sand floor", cameras)
        )
        generation.advance(DRAFT_STEPS)
        clip = generation.finish()
        assert 1.0 < float(np.median(clip.depth)) < 7.0
        middle = clip.frames[:, 16:48, 32:64].astype(float)
        redness[color] = float((middle[..., 0] - middle[..., 2]).mean())
    assert redness["red"] > redness["blue"] + 5.0


def test_velocity_loss_is_far_below_that_of_an_untrained_network(shipped: Generator, held_out: list[Scene]) -> None:
    with torch.inference_mode():
        latents = torch.cat([shipped.vae.encode(pack_rgbd(scene.frames, scene.depth)[None]) for scene in held_out])
    condition = told((shipped.vae, shipped.dit), held_out, Blockout.NONE, list(range(CLIPS)))
    torch.manual_seed(0)
    untrained = velocity_loss(Dit(shipped.dit.config).eval(), latents, condition)
    # Of 40 of the 72 channels, details, little can be known: they keep most of their loss.
    assert velocity_loss(shipped.dit, latents, condition) < 0.7 * untrained


def test_drafts_are_nearer_to_held_out_clips_than_the_mean_clip_and_show_what_was_said(
    shipped: Generator, held_out: list[Scene]
) -> None:
    sampling = Sampling(DRAFT_STEPS, GUIDANCE, SIGMA_SHIFT, mapped=DRAFT_STEPS <= MAP_STEPS)
    made = generate((shipped.vae, shipped.dit), held_out, Blockout.OBJECTS, sampling, 0)
    mean = mean_clip((scene.frames, scene.depth) for scene in held_out)[0]
    ours = [picture_error(_flip, scene.frames, clip.frames) for scene, clip in zip(held_out, made, strict=True)]
    theirs = [picture_error(_flip, scene.frames, mean) for scene in held_out]
    assert np.mean(ours) < np.mean(theirs)
    judge = load_judge(default_weights() / JUDGE_FILE)
    words = judge.words([clip.frames for clip in made])
    right = [found[slot] == scene.words[slot] for found, scene in zip(words, held_out, strict=True) for slot in EASY]
    assert np.mean(right) > 0.8


def test_the_judge_is_right_about_real_clips(held_out: list[Scene]) -> None:
    path = default_weights() / JUDGE_FILE
    assert path.stat().st_size < 1.5e6
    judge = load_judge(path)
    words = judge.words([scene.frames for scene in held_out])
    right = [found[slot] == scene.words[slot] for found, scene in zip(words, held_out, strict=True) for slot in EASY]
    assert np.mean(right) > 0.9
    masks = judge.object_masks(held_out[0].frames)
    assert intersection_over_union(masks, held_out[0].object_mask) > 0.8


def _flip(reference: np.ndarray, test: np.ndarray) -> float:
    return float(flip_evaluator.evaluate(reference, test, "LDR", applyMagma=False)[1])
