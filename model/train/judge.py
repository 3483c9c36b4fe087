"""Training of the judge: what a few frames show and where the free object is."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from clips.picture import contact_sheet, write_png
from model.measure.accuracy import Accuracy
from model.measure.judge import JUDGE_FILE, JUDGED_SLOTS, PATCH_PX, Judge, JudgeConfig, Seen, save_judge, to_input
from model.measure.object_region import intersection_over_union
from model.train.judge_clips import JudgeExamples, JudgeRecipe, judged_slot_table
from model.train.loop import Moment, OnProgress, Training, TrainingPlan

BATCH = 14
TRAINED_FRAMES = 3
MASK_WEIGHT = 4.0
PATCH_WEIGHT = 0.5
SHAPE, PROP = JUDGED_SLOTS.index("shape"), JUDGED_SLOTS.index("prop")
LARGEST_NOISE = 0.12
BLURRED_SHARE = 0.35
LOOK_CLIPS = 6


def judge_config() -> JudgeConfig:
    """The shipped judge: about 0.6 million parameters."""
    return JudgeConfig(width=64, fine_blocks=2, coarse_blocks=3, hidden=192, slots=judged_slot_table())


@dataclass(frozen=True, eq=False)
class JudgeTask:
    """Name every slot's value and mark the object's pixels."""

    network: Judge
    train: JudgeExamples
    held_out: JudgeExamples

    def loss(self, random: torch.Generator, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the slots (an unseen prop is not asked for), of the mask's pixels and of the patches."""
        rows = torch.randint(len(self.train), (BATCH,), generator=random)
        frames, masks, props = self._batch(rows, random)
        labels = self.train.labels[rows]
        seen: Seen = self.network(frames)
        named = torch.stack(
            [functional.cross_entropy(one, labels[:, k], reduction="none") for k, one in enumerate(seen.words)]
        )
        asked = torch.ones_like(named)
        asked[PROP] = self.train.prop_seen[rows].float()
        of_words = (named * asked).sum() / asked.sum()
        of_masks = mask_loss(seen.object_pixels, masks)
        of_patches = patch_loss(seen.shapes, labels[:, SHAPE], masks) + patch_loss(
            seen.props, labels[:, PROP], props, 0
        )
        parts = {"words": of_words.item(), "masks": of_masks.item(), "patches": of_patches.item()}
        return of_words + MASK_WEIGHT * of_masks + PATCH_WEIGHT * of_patches, parts

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy and mean mask overlap on the held-out renders."""
        figures = judge_figures(_as_judge(network), self.held_out)
        return {f"val_{name}": value for name, value in figures.items()}

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Held-out frames above the masks that the judge sees in them."""
        judge = _as_judge(network)
        rows = []
        for clip in self.held_out.frames[:LOOK_CLIPS].numpy():
            masked = np.where(judge.object_masks(clip)[..., None], clip, clip // 4)
            rows += [list(clip), list(masked)]
        write_png(contact_sheet(rows, gap_px=2), folder / f"look-{step:06d}.png")

    def _batch(self, rows: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Three of each clip's frames, perhaps mirrored, blurred, dimmed and noisy; masks of object and prop."""
        frames = self.train.frames[rows]
        masks = torch.stack([self.train.masks[rows], self.train.prop_masks[rows]], dim=2)
        order = torch.rand(masks.shape[:2], generator=random).argsort(1)[:, :TRAINED_FRAMES].sort(1).values
        each = torch.arange(len(rows)).unsqueeze(1)
        seen, shown = to_input(frames[each, order].numpy()), masks[each, order]
        mirror = torch.rand((len(rows), 1, 1, 1, 1), generator=random) < 0.5
        seen = torch.where(mirror, seen.flip(-1), seen)
        shown = torch.where(mirror, shown.flip(-1), shown)
        blurred = functional.avg_pool2d(seen.flatten(0, 1), 3, 1, 1, count_include_pad=False).view(seen.shape)
        blur = torch.rand((len(rows), 1, 1, 1, 1), generator=random) < BLURRED_SHARE
        seen = torch.where(blur, blurred, seen)
        gain = 1.0 + 0.12 * (torch.rand((len(rows), 1, 1, 1, 1), generator=random) - 0.5)
        strength = LARGEST_NOISE * torch.rand((len(rows), 1, 1, 1, 1), generator=random)
        noisy = (seen + 1.0) * gain - 1.0 + strength * torch.randn(seen.shape, generator=random)
        return noisy, shown[:, :, 0], shown[:, :, 1]


def mask_loss(logits: Float[Tensor, "B K H W"], masks: Bool[Tensor, "B K H W"]) -> Tensor:
    """Mean cross-entropy of the pixels plus one minus the soft overlap (dice)."""
    target = masks.float()
    pixels = functional.binary_cross_entropy_with_logits(logits, target)
    likely = torch.sigmoid(logits)
    both = (likely * target).sum((-1, -2))
    dice = (2.0 * both + 1.0) / (likely.sum((-1, -2)) + target.sum((-1, -2)) + 1.0)
    return pixels + 0.25 * (1.0 - dice).mean()


def patch_loss(
    logits: Float[Tensor, "B K h w V"],
    labels: Int64[Tensor, " B"],
    masks: Bool[Tensor, "B K H W"],
    elsewhere: int | None = None,
) -> Tensor:
    """Cross-entropy of the clip's label at the patches that its thing covers by more than half.

    `elsewhere` is the value at patches without any of it, which then weigh as much as all the others together; None
    asks nothing of them.
    """
    batch, count, rows, columns = logits.shape[:4]
    covered = masks.view(batch, count, rows, PATCH_PX, columns, PATCH_PX).float().mean((3, 5))
    target = labels.view(-1, 1, 1, 1).expand(covered.shape)
    within = (covered > 0.5).float()
    loss = functional.cross_entropy(logits.flatten(0, 3), target.flatten(), reduction="none").view(covered.shape)
    total = (within * loss).sum() / (within.sum() + 1.0)
    if elsewhere is not None:
        nothing = functional.cross_entropy(
            logits.flatten(0, 3), torch.full_like(target, elsewhere).flatten(), reduction="none"
        ).view(covered.shape)
        total = total + nothing[covered == 0.0].mean()
    return total


def judge_figures(judge: Judge, examples: JudgeExamples) -> dict[str, float]:
    """Share right of every slot (props only where one can be seen) and mean IoU of the object's region."""
    clips = list(examples.frames.numpy())
    overlaps = [
        intersection_over_union(judge.object_masks(clip), mask)
        for clip, mask in zip(clips, examples.masks.numpy(), strict=True)
        if mask.any()
    ]
    words = judge.words(clips)
    figures = {}
    for k, (name, values) in enumerate(judge.config.slots):
        asked = examples.prop_seen.tolist() if name == "prop" else [True] * len(clips)
        pairs = zip(words, examples.labels[:, k].tolist(), asked, strict=True)
        figures[name] = Accuracy.of(shown[name] == values[index] for shown, index, ask in pairs if ask).share
    return {**figures, "mask_iou": float(np.mean(overlaps)) if overlaps else float("nan")}


def train_judge(
    plan: TrainingPlan,
    examples: tuple[JudgeExamples, JudgeExamples],
    recipe: JudgeRecipe,
    resume: bool,
    config: JudgeConfig,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Train on (train, held out), write `plan.out / "judge.safetensors"`, return the held-out figures.

    Raises:
        TrainingDiverged: a loss was not finite.
    """
    torch.manual_seed(plan.seed)
    judge = Judge(config)
    training = Training(JudgeTask(judge, *examples), plan, copy.deepcopy(judge), resume)
    training.run(on_progress)
    best = _as_judge(training.average)
    figures = judge_figures(best, examples[1])
    rounded = {f"held_out_{name}": round(value, 4) for name, value in figures.items()}
    facts: dict[str, Any] = {"renderer": "clips.dungeon", **asdict(recipe), "steps": training.step, "batch": BATCH}
    save_judge(best, {**facts, "trained_s": round(training.trained_s), **rounded}, plan.out / JUDGE_FILE)
    return {"steps": float(training.step), "trained_s": training.trained_s, **figures}


def _as_judge(network: nn.Module) -> Judge:
    if not isinstance(network, Judge):
        raise TypeError(f"expected a Judge, got {type(network).__name__}")
    return network
