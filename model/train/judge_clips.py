"""What the judge learns from: renders of rooms with every combination of words, some of them coded and decoded.

Decoded latents have the generator's blur and seams; with noise added to the latents first, its mistakes too. A judge
that had seen clean renders alone would hold both against a generated clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from clips.dungeon.attributes import SLOTS, Motion, Shape
from clips.dungeon.graybox import graybox_of
from clips.dungeon.render import DungeonSample, render_room
from clips.dungeon.scene import RoomSpec, sample_camera_path, sample_room, seeded
from model.dit import SlotTable
from model.errors import ModelError
from model.measure.judge import JUDGED_FRAMES, JUDGED_SLOTS, judged_frames
from model.measure.scenes import prop_is_seen, prop_masks
from model.rgbd import pack_rgbd, unpack_rgbd
from model.vae import Vae

FIRST_SEED = 3_000_000_000
"""Far from every seed that trains or measures the generator."""

FRAMES, FPS = 17, 8.0
WIDTH, HEIGHT = 96, 64
LARGEST_NOISE = 0.45
EXAMPLES_FILE = "examples.pt"


@dataclass(frozen=True)
class JudgeRecipe:
    """Which examples.

    Attributes:
        clips: how many; clip k has seed first_seed + k.
        first_seed: of the first clip.
        coded_share: share of them that went through the VAE.
        vae_revision: which VAE; empty where coded_share is 0.

    Raises:
        ModelError: a number is out of range.
    """

    clips: int
    first_seed: int = FIRST_SEED
    coded_share: float = 0.35
    vae_revision: str = ""

    def __post_init__(self) -> None:
        if self.clips < 1 or self.first_seed < 0 or not 0.0 <= self.coded_share <= 1.0:
            raise ModelError(f"judge clips: clips >= 1, first_seed >= 0 and coded_share in [0, 1], got {self}")


@dataclass(frozen=True, eq=False)
class JudgeExamples:
    """Judged frames of N clips with what they show.

    Attributes:
        frames: (N, 5, H, W, 3) uint8.
        masks: pixels of the free object, (N, 5, H, W) bool.
        prop_masks: pixels of the prop, (N, 5, H, W) bool.
        labels: index of every judged slot's value, (N, S) int64.
        prop_seen: whether the prop can be judged, (N,) bool.
    """

    frames: UInt8[Tensor, "N K H W 3"]
    masks: Bool[Tensor, "N K H W"]
    prop_masks: Bool[Tensor, "N K H W"]
    labels: Int64[Tensor, "N S"]
    prop_seen: Bool[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.frames)


def judged_slot_table() -> SlotTable:
    """The judged slots and their values."""
    return tuple((name, tuple(str(value) for value in SLOTS[name])) for name in JUDGED_SLOTS)


def any_room(seed: int) -> RoomSpec:
    """The room of a seed with every word drawn on its own: pairs that training never has occur as any other."""
    rng = seeded(seed, "judge words", False)
    while True:
        words: dict[str, Any] = {name: list(values)[rng.integers(len(values))] for name, values in SLOTS.items()}
        if (words["shape"], words["motion"]) != (Shape.ORB, Motion.TOPPLE):
            return sample_room(seed, **words)


def render_example(seed: int, frames: int = JUDGED_FRAMES) -> DungeonSample:
    """A clip of two seconds in so many frames, every other one from a camera path unlike any of training's."""
    path = sample_camera_path(seeded(seed, "judge camera", False), held_out=seed % 2 == 1)
    fps = FPS * (frames - 1) / (FRAMES - 1)
    return render_room(any_room(seed), path, (frames, WIDTH, HEIGHT), fps)


def make_examples(
    recipe: JudgeRecipe, vae: Vae | None, progress: Callable[[int, int], None] | None = None
) -> JudgeExamples:
    """The recipe's examples; `vae` codes the share of them that it says.

    Raises:
        ModelError: examples are to be coded and there is no VAE.
    """
    if vae is None and recipe.coded_share > 0:
        raise ModelError(f"judge clips: {recipe.coded_share:.0%} are to be coded, which needs a VAE; got none")
    made = []
    for index in range(recipe.clips):
        coded = (index * recipe.coded_share) % 1.0 + recipe.coded_share >= 1.0
        made.append(_example(recipe.first_seed + index, vae if coded else None))
        if progress is not None:
            progress(index + 1, recipe.clips)
    return JudgeExamples(*(torch.stack(part) for part in zip(*made, strict=True)))


def _example(seed: int, vae: Vae | None) -> tuple[Tensor, ...]:
    """The fields of one example, coded where there is a VAE."""
    sample = render_example(seed, JUDGED_FRAMES if vae is None else FRAMES)
    clip, room = sample.clip, sample.room
    rows = judged_frames(len(clip))
    pictures = clip.frames if vae is None else _coded(sample, vae, seed)
    props = prop_masks(room, graybox_of(room, True, times=clip.times), clip.cameras, clip.times)[rows]
    parts = (pictures[rows], sample.object_mask[rows], props)
    return (*(torch.from_numpy(part) for part in parts), label(room), torch.tensor(prop_is_seen(room, props)))


def label(room: RoomSpec) -> Int64[Tensor, " S"]:
    """Index of the value of every judged slot."""
    words = room.slots
    return torch.tensor([values.index(words[name]) for name, values in judged_slot_table()], dtype=torch.int64)


def kept_examples(
    folder: Path, recipe: JudgeRecipe, vae: Vae | None, progress: Callable[[int, int], None] | None = None
) -> JudgeExamples:
    """The recipe's examples, made once and kept in `folder` for a resumed training."""
    path = folder / EXAMPLES_FILE
    if path.exists():
        held = torch.load(path, weights_only=True)
        if held.pop("recipe") == asdict(recipe):
            return JudgeExamples(**held)
    made = make_examples(recipe, vae, progress)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    torch.save({"recipe": asdict(recipe), **{field.name: getattr(made, field.name) for field in fields(made)}}, partial)
    partial.replace(path)
    return made


@torch.inference_mode()
def _coded(sample: DungeonSample, vae: Vae, seed: int) -> UInt8[np.ndarray, "T H W 3"]:
    """The frames after coding and decoding, with noise of a random strength in the latents."""
    random = torch.Generator().manual_seed(seed)
    latents = vae.encode(pack_rgbd(sample.clip.frames, sample.clip.depth)[None])
    strength = LARGEST_NOISE * float(torch.rand((), generator=random))
    noisy = latents + strength * torch.randn(latents.shape, generator=random)
    return unpack_rgbd(vae.decode(noisy)[0])[0]
