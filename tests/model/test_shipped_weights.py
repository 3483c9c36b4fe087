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
from model.evaluate import Sampling, generate_like, mean_clip, velocity_loss
from model.generate import SIGMA_SHIFT, Generator
from model.revision import DRAFT_STEPS, GUIDANCE, default_weights
from model.spec import SegmentSpec
from model.train.data import ClipRecipe, ClipStore, encode_store, slot_table

CLIPS = 6


@pytest.fixture(scope="module")
def shipped() -> Generator:
    return Generator.load()


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return ClipStore(tmp_path_factory.mktemp("held-out"), ClipRecipe(clips=CLIPS, first_seed=500, held_out=True))


def _spec(shipped: Generator, prompt: str, cameras: Cameras) -> SegmentSpec:
    return SegmentSpec(prompt, 3, cameras, 8.0, DRAFT_STEPS, GUIDANCE, shipped.revision)


def test_both_files_are_small_and_say_what_trained_them() -> None:
    for kind in ("vae", "dit"):
        path = default_weights() / f"{kind}.safetensors"
        assert path.stat().st_size < 25 * 2**20
        recipe = load_checkpoint(path, kind).recipe
        assert recipe["renderer"] == "clips.dungeon"
        assert recipe["steps"] > 0
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


def test_velocity_loss_is_far_below_that_of_an_untrained_network(shipped: Generator, held_out: ClipStore) -> None:
    latents = encode_store(held_out, shipped.vae, CLIPS, with_mirrored=False)
    parts = (latents.latents, latents.rays, latents.slots)
    torch.manual_seed(0)
    assert velocity_loss(shipped.dit, *parts) < 0.5 * velocity_loss(Dit(shipped.dit.config).eval(), *parts)


def test_generated_clips_are_nearer_to_held_out_ones_than_the_mean_clip(
    shipped: Generator, held_out: ClipStore, tmp_path: Path
) -> None:
    sampling = Sampling(DRAFT_STEPS, GUIDANCE, SIGMA_SHIFT)
    made = generate_like((shipped.vae, shipped.dit), held_out, CLIPS, sampling)
    mean = mean_clip(ClipStore(tmp_path, ClipRecipe(clips=16)), 16)[0]
    ours = [_flip(held_out.frames[k], frames) for k, (frames, _) in enumerate(made)]
    theirs = [_flip(held_out.frames[k], mean) for k in range(CLIPS)]
    assert np.mean(ours) < np.mean(theirs)


def _flip(reference: np.ndarray, test: np.ndarray) -> float:
    pairs = [(reference[k].astype(np.float32) / 255, test[k].astype(np.float32) / 255) for k in (0, 16)]
    return float(np.mean([flip_evaluator.evaluate(a, b, "LDR", applyMagma=False)[1] for a, b in pairs]))
