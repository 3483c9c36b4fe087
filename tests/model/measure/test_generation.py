import numpy as np
import pytest

from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.dit import Dit
from model.measure import generation
from model.measure.generation import Blockout, Sampling, blockout_depth, generate, told
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scene
from model.vae import Vae

GUIDED = Sampling(steps=2, guidance=2.0, shift=2.0)
MAPPED = Sampling(steps=2, guidance=2.0, shift=2.0, mapped=True)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(SceneKind.HELD_OUT, index, ClipSize(9, 48, 32)) for index in range(3)]


def test_each_blockout_is_told_as_what_it_is(scenes: list[Scene], small_vae: Vae, small_dit: Dit) -> None:
    networks = (small_vae, small_dit)
    kinds = {kind: told(networks, scenes, kind, [0, 1, 2]) for kind in Blockout}
    assert kinds[Blockout.NONE].control is None
    expected = {"none": CONTROL_NONE, "room": CONTROL_ROOM, "objects": CONTROL_OBJECTS, "layout": CONTROL_OBJECTS}
    assert {str(kind): int(found.control_kind[0]) for kind, found in kinds.items()} == expected
    room, objects = kinds[Blockout.ROOM].control, kinds[Blockout.OBJECTS].control
    assert room is not None and objects is not None
    assert (objects - room).abs().max() > 0.1
    words = scenes[1].words
    slots = kinds[Blockout.NONE].slots[1].tolist()
    assert slots == [1 + values.index(words[name]) for name, values in small_dit.config.slots]


def test_a_layout_is_of_the_words_and_the_seed_not_of_the_true_room(scenes: list[Scene]) -> None:
    scene = scenes[0]
    layouts = [blockout_depth(scene, Blockout.LAYOUT, seed) for seed in (0, 1, 0)]
    assert np.array_equal(layouts[0], layouts[2])
    assert not np.array_equal(layouts[0], layouts[1])
    assert not np.array_equal(layouts[0], scene.object_depth)
    with pytest.raises(ValueError, match="no depth"):
        blockout_depth(scene, Blockout.NONE, 0)


@pytest.mark.parametrize("sampling", [GUIDED, MAPPED])
def test_clips_do_not_depend_on_the_batch(
    sampling: Sampling, scenes: list[Scene], small_vae: Vae, small_dit: Dit, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks, counted = (small_vae, small_dit), []
    together = generate(networks, scenes, Blockout.OBJECTS, sampling, 7, counted.append)
    monkeypatch.setattr(generation, "BATCH", 1)
    alone = generate(networks, scenes, Blockout.OBJECTS, sampling, 7, counted.append)
    assert counted == [3, 1, 1, 1]
    for one, other in zip(together, alone, strict=True):
        assert one.frames.shape == (9, 32, 48, 3)
        assert np.abs(one.frames.astype(int) - other.frames).max() <= 1
        assert np.allclose(one.depth, other.depth, rtol=1e-3)


def test_the_map_and_the_equation_are_two_ways_and_seeds_matter(
    scenes: list[Scene], small_vae: Vae, small_dit: Dit
) -> None:
    networks = (small_vae, small_dit)
    made = [
        generate(networks, scenes[:1], Blockout.NONE, sampling, seed)[0].frames
        for sampling, seed in ((GUIDED, 0), (MAPPED, 0), (GUIDED, 1))
    ]
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
