from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.clip import Clip
from model.checkpoint import save_checkpoint
from model.dit import Dit
from model.errors import ModelError, UnreadableCheckpoint, UnsupportedSpec
from model.generate import Generator
from model.spec import SegmentSpec
from model.vae import Vae


def _whole(generator: Generator, spec: SegmentSpec) -> Clip:
    generation = generator.begin(spec)
    generation.advance(spec.steps)
    return generation.finish()


def test_a_clip_has_the_specs_cameras_times_and_prompt(generator: Generator, spec: SegmentSpec) -> None:
    clip = _whole(generator, spec)
    assert clip.cameras is spec.cameras
    assert np.array_equal(clip.times, np.arange(9) / 8.0)
    assert clip.caption == spec.prompt
    assert clip.motion_mask is None
    assert clip.frames.shape == (9, 32, 48, 3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(generator: Generator, spec: SegmentSpec) -> None:
    first, second = _whole(generator, spec), _whole(generator, spec)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.depth, second.depth)
    other = _whole(generator, replace(spec, seed=8))
    assert not np.array_equal(first.frames, other.frames)


def test_prompt_and_cameras_change_the_clip(generator: Generator, spec: SegmentSpec) -> None:
    first = _whole(generator, spec)
    blue = _whole(generator, replace(spec, prompt="a blue orb in a stone room"))
    turned = _whole(generator, replace(spec, cameras=CameraPath(kind="pan").cameras(9, 48, 32)))
    assert not np.array_equal(first.frames, blue.frames)
    assert not np.array_equal(first.frames, turned.frames)


def test_a_resumed_run_is_bit_identical_to_an_unbroken_one(generator: Generator, spec: SegmentSpec) -> None:
    whole = _whole(generator, spec)
    for stop in (0, 1, 5, 6):
        broken = generator.begin(spec)
        broken.advance(stop)
        again = generator.resume(spec, broken.state_bytes())
        assert (again.steps_done, again.done) == (stop, stop == 6)
        again.advance(6 - stop)
        clip = again.finish()
        assert np.array_equal(clip.frames, whole.frames)
        assert np.array_equal(clip.depth, whole.depth)


def test_a_state_of_another_spec_or_a_damaged_one_is_refused(generator: Generator, spec: SegmentSpec) -> None:
    generation = generator.begin(spec)
    generation.advance(2)
    state = generation.state_bytes()
    with pytest.raises(ModelError, match="belongs to spec"):
        generator.resume(replace(spec, seed=9), state)
    for damaged in (b"", state[:40], state[:-1], b"x" * 100):
        with pytest.raises(ModelError, match="damaged"):
            generator.resume(spec, damaged)


def test_steps_are_counted_and_never_overrun(generator: Generator, spec: SegmentSpec) -> None:
    generation = generator.begin(spec)
    assert (generation.steps_done, generation.steps_total, generation.done) == (0, 6, False)
    generation.advance(4)
    assert (generation.steps_done, generation.done) == (4, False)
    with pytest.raises(ModelError, match="4 of 6"):
        generation.finish()
    generation.advance(100)
    assert (generation.steps_done, generation.done) == (6, True)
    with pytest.raises(ModelError, match="negative"):
        generation.advance(-1)


def test_a_preview_can_be_seen_at_any_step_and_ends_as_the_clip(generator: Generator, spec: SegmentSpec) -> None:
    generation = generator.begin(spec)
    assert generation.preview().shape == (9, 32, 48, 3)
    generation.advance(3)
    generation.preview()
    generation.advance(3)
    assert np.array_equal(generation.preview(), generation.finish().frames)


@pytest.mark.parametrize(("frames", "width", "height"), [(13, 48, 32), (25, 48, 32), (9, 96, 64), (9, 48, 40)])
def test_other_sizes_are_refused_with_what_is_supported(
    generator: Generator, spec: SegmentSpec, frames: int, width: int, height: int
) -> None:
    other = replace(spec, cameras=CameraPath().cameras(frames, width, height))
    said = f"9 or 17 frames of 48x32, got a spec of {frames} frames of {width}x{height}"
    with pytest.raises(UnsupportedSpec, match=said):
        generator.begin(other)


def test_another_revision_is_refused(generator: Generator, spec: SegmentSpec) -> None:
    with pytest.raises(UnsupportedSpec, match="revision 0123456789ab"):
        generator.begin(replace(spec, model_revision="ffffffffffff"))


def test_prompts_of_unknown_words_are_made_and_the_words_told(generator: Generator, spec: SegmentSpec) -> None:
    generation = generator.begin(replace(spec, prompt="zyzzyva quux"))
    assert generation.prompt.unknown_terms == ["zyzzyva", "quux"]
    generation.advance(6)
    assert len(generation.finish()) == 9


def test_weights_load_from_a_folder_with_a_revision_of_their_bytes(
    small_vae: Vae, small_dit: Dit, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"vae\.safetensors"):
        Generator.load(tmp_path)
    save_checkpoint(small_vae, {"note": "a"}, tmp_path / "vae.safetensors")
    save_checkpoint(small_dit, {"note": "a"}, tmp_path / "dit.safetensors")
    first = Generator.load(tmp_path).revision
    assert Generator.load(tmp_path).revision == first
    save_checkpoint(small_dit, {"note": "b"}, tmp_path / "dit.safetensors")
    assert Generator.load(tmp_path).revision != first


def test_networks_of_different_latents_are_refused(small_dit: Dit, small_vae: Vae) -> None:
    other = Vae(replace(small_vae.config, latent_channels=5))
    with pytest.raises(UnreadableCheckpoint, match="5 and 6 channels"):
        Generator(other, small_dit, "r")
