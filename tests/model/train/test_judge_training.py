import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clips.dungeon.attributes import Motion, Prop, Shape
from clips.dungeon.scene import held_out_pairs
from model.errors import ModelError
from model.measure.judge import JUDGE_FILE, JUDGED_SLOTS, JudgeConfig, load_judge
from model.train import judge
from model.train.judge import judge_figures, mask_loss, patch_loss, train_judge
from model.train.judge_clips import (
    FIRST_SEED,
    JudgeExamples,
    JudgeRecipe,
    any_room,
    judged_slot_table,
    kept_examples,
    make_examples,
    render_example,
)
from model.train.loop import TrainingPlan
from model.vae import Vae

RECIPE = JudgeRecipe(clips=4, coded_share=0.0)
SMALL = JudgeConfig(width=8, fine_blocks=1, coarse_blocks=1, hidden=16, slots=judged_slot_table())


@pytest.fixture(scope="module")
def examples() -> JudgeExamples:
    return make_examples(RECIPE, None)


def test_rooms_have_every_pair_and_no_orb_topples() -> None:
    rooms = [any_room(FIRST_SEED + k) for k in range(400)]
    assert sum(bool(held_out_pairs(room.slots)) for room in rooms) > 60
    assert not any(room.shape is Shape.ORB and room.motion is Motion.TOPPLE for room in rooms)
    assert any_room(FIRST_SEED) == rooms[0]


def test_five_frames_span_the_two_seconds_of_a_clip() -> None:
    few, all_of_them = render_example(FIRST_SEED, 5), render_example(FIRST_SEED, 17)
    assert np.array_equal(few.clip.frames, all_of_them.clip.frames[::4])
    assert few.clip.times[-1] == all_of_them.clip.times[-1] == 2.0
    heights = [render_example(FIRST_SEED + k, 2).path.eye_height_m for k in (0, 1)]
    assert 1.4 <= heights[0] <= 1.65
    assert not 1.4 <= heights[1] <= 1.65


def test_examples_say_what_their_rooms_are(examples: JudgeExamples) -> None:
    assert examples.frames.shape == (4, 5, 64, 96, 3)
    assert examples.masks.float().mean() > 0.005
    assert examples.prop_masks.flatten(1).any(1).tolist() == [
        any_room(FIRST_SEED + k).prop is not Prop.NONE for k in range(4)
    ]
    for index in range(4):
        words = any_room(FIRST_SEED + index).slots
        named = [values[int(label)] for (_, values), label in zip(SMALL.slots, examples.labels[index], strict=True)]
        assert named == [words[slot] for slot in JUDGED_SLOTS]


def test_coded_examples_are_the_share_that_was_asked(examples: JudgeExamples, small_vae: Vae) -> None:
    coded = make_examples(JudgeRecipe(clips=4, coded_share=0.5, vae_revision="x"), small_vae)
    changed = [not torch.equal(ours, theirs) for ours, theirs in zip(examples.frames, coded.frames, strict=True)]
    assert sum(changed) == 2
    assert torch.equal(examples.masks, coded.masks)
    assert torch.equal(examples.prop_masks, coded.prop_masks)
    with pytest.raises(ModelError, match="needs a VAE"):
        make_examples(JudgeRecipe(clips=1), None)


def test_examples_are_kept_for_the_same_recipe_only(examples: JudgeExamples, tmp_path: Path) -> None:
    counted: list[int] = []
    for _ in range(2):
        kept = kept_examples(tmp_path, RECIPE, None, lambda done, total: counted.append(done))
        assert torch.equal(kept.frames, examples.frames)
    assert counted == [1, 2, 3, 4]
    other = kept_examples(tmp_path, JudgeRecipe(clips=1, coded_share=0.0), None)
    assert len(other) == 1


def test_masks_are_lost_by_pixels_and_by_overlap() -> None:
    masks = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    masks[..., 2:5, 2:5] = True
    right = torch.where(masks, 20.0, -20.0)
    assert mask_loss(right, masks) < 1e-3
    assert mask_loss(-right, masks) > 10.0
    assert mask_loss(right.roll(3, -1), masks) > mask_loss(right.roll(1, -1), masks) > 0.1


def test_patches_are_asked_for_what_covers_them_and_props_for_nothing_elsewhere() -> None:
    masks = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    masks[..., :4, :4] = True
    right = torch.zeros(1, 1, 2, 2, 3)
    right[..., 0] = 50.0
    right[0, 0, 0, 0] = torch.tensor([0.0, 50.0, 0.0])
    labels = torch.tensor([1])
    # One patch of one is right: sums are over patches plus one, so that few patches weigh little.
    assert patch_loss(right, labels, masks) == pytest.approx(0.0, abs=1e-6)
    assert patch_loss(right, labels, masks, elsewhere=0) == pytest.approx(0.0, abs=1e-6)
    assert patch_loss(right, torch.tensor([2]), masks) == pytest.approx(25.0)
    assert patch_loss(right, labels, masks, elsewhere=2) == pytest.approx(50.0)
    assert patch_loss(right, labels, torch.zeros_like(masks)) == 0.0


def test_training_learns_and_a_broken_run_equals_an_unbroken_one(
    examples: JudgeExamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "BATCH", 3)

    def train(folder: str, steps: int, resume: bool = False) -> dict[str, float]:
        plan = TrainingPlan(
            tmp_path / folder, steps=steps, peak_rate=2e-3, warmup_steps=2, decay_share=0.0, log_every=1, look_every=4
        )
        return train_judge(plan, (examples, examples), RECIPE, resume, SMALL)

    whole = train("whole", 4)
    train("broken", 2)
    broken = train("broken", 4, resume=True)
    assert {name: value for name, value in broken.items() if name != "trained_s"} == pytest.approx(
        {name: value for name, value in whole.items() if name != "trained_s"}
    )
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    again = [json.loads(line) for line in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in again] == pytest.approx([line["loss"] for line in lines])
    assert {f"val_{slot}" for slot in JUDGED_SLOTS} <= set(lines[-1])
    assert 0.0 <= lines[-1]["val_mask_iou"] <= 1.0
    with Image.open(tmp_path / "whole" / "look-000004.png") as sheet:
        assert sheet.width > 5 * 96
        assert sheet.height > 2 * len(examples) * 64
    trained = load_judge(tmp_path / "whole" / JUDGE_FILE)
    assert set(judge_figures(trained, examples)) == {*JUDGED_SLOTS, "mask_iou"}
