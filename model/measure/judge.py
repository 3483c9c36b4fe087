"""The judge: a small network that says what a clip shows, from its colours alone, and where its free object is.

It is trained on real renders of rooms with every combination of words (`model/train/judge.py`), so it can tell
whether a generated room has the words of its prompt. It never sees depth: a clip must show what it was told.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from model.checkpoint import SCHEMA_VERSION, load_checkpoint, network_of, write_atomically
from model.dit import SlotTable
from model.errors import InvalidSpec
from model.linear import Linear
from model.supported import HEADER_KEY

JUDGE_FILE = "judge.safetensors"
JUDGED_SLOTS = ("light", "wall", "floor", "ceiling", "size", "color", "shape", "prop")
"""Slots that a few frames can show; motion is not among them."""

JUDGED_FRAMES = 5
"""Frames, evenly from first to last, that attributes are judged from."""

PATCH_PX = 4


@dataclass(frozen=True)
class JudgeConfig:
    """Architecture of the judge.

    Attributes:
        width: channels of a 4x4 pixel patch; cells of 8x8 pixels have twice as many.
        fine_blocks, coarse_blocks: at either resolution.
        hidden: width of the layer before the verdicts.
        slots: ((slot name, (value, ...)), ...).

    Raises:
        InvalidSpec: a number is not positive, or the slots lack shape or prop.
    """

    width: int
    fine_blocks: int
    coarse_blocks: int
    hidden: int
    slots: SlotTable

    def __post_init__(self) -> None:
        if min(self.width, self.fine_blocks, self.coarse_blocks, self.hidden) < 1:
            raise InvalidSpec(f"judge: widths and blocks must be positive, got {self}")
        if not {"shape", "prop"} <= {name for name, _ in self.slots}:
            raise InvalidSpec(f"judge: shape and prop must be among its slots, got {[name for name, _ in self.slots]}")


class ConvBlock(nn.Module):
    """ConvNeXt block (arXiv 2201.03545) over (N, H, W, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = Linear(width, 3 * width)
        self.contract = Linear(3 * width, width)

    def forward(self, features: Float[Tensor, "N H W D"]) -> Float[Tensor, "N H W D"]:
        """The features plus what this block adds; the same shape."""
        spatial = self.depthwise(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        hidden = functional.gelu(self.expand(self.norm(spatial)), approximate="tanh")
        added: Tensor = self.contract(hidden)
        return features + added


@dataclass(frozen=True, eq=False)
class Seen:
    """What the judge makes of K frames of B clips.

    Attributes:
        words: logits of every slot's values, each (B, values).
        object_pixels: logit of every pixel being the free object's, (B, K, H, W).
        shapes: logits of the object's shape at every 4x4 patch, (B, K, h, w, shapes).
        props: logits of the prop at every patch, (B, K, h, w, props).
    """

    words: list[Float[Tensor, "B values"]]
    object_pixels: Float[Tensor, "B K H W"]
    shapes: Float[Tensor, "B K h w shapes"]
    props: Float[Tensor, "B K h w props"]


class Judge(nn.Module):
    """Words and object masks of a few frames of each clip.

    Shape and prop are named patch by patch first (training knows where both are), which takes far fewer examples
    than naming them from the whole picture; the words weigh that evidence.
    """

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self._values = {name: len(values) for name, values in config.slots}
        local = self._values["shape"] + self._values["prop"]
        self.embed = Linear(3 * PATCH_PX**2 + 2, width)
        self.fine = nn.Sequential(*(ConvBlock(width) for _ in range(config.fine_blocks)))
        self.merge = Linear(4 * width, 2 * width)
        self.coarse = nn.Sequential(*(ConvBlock(2 * width) for _ in range(config.coarse_blocks)))
        self.split = Linear(2 * width, 4 * width)
        self.patch_hidden = Linear(2 * width + 3 * PATCH_PX**2, width)
        self.patch_out = Linear(width, PATCH_PX**2 + local)
        # Mean and largest over the picture and the object's own features, each as mean and largest over the frames.
        self.hidden = Linear(2 * (4 * width + 2 * width), config.hidden)
        self.heads = nn.ModuleList(Linear(config.hidden + 2 * local, count) for count in self._values.values())

    def forward(self, frames: Float[Tensor, "B K 3 H W"]) -> Seen:
        """What these frames show: sRGB-encoded colour in [-1, 1]; H and W are multiples of 8."""
        batch, count = frames.shape[:2]
        patches = _patches(frames.flatten(0, 1))
        fine = self.fine(self.embed(torch.cat([patches, _places(patches)], dim=-1)))
        coarse = self.coarse(self.merge(_merged(fine)))
        both = torch.cat([fine, _unmerged(self.split(coarse))], dim=-1)
        hidden = functional.gelu(self.patch_hidden(torch.cat([both, patches], dim=-1)), approximate="tanh")
        pixels, shapes, props = self.patch_out(hidden).split(
            [PATCH_PX**2, self._values["shape"], self._values["prop"]], dim=-1
        )
        weight = torch.sigmoid(pixels.detach()).mean(-1, keepdim=True)
        weight = weight / (weight.sum((1, 2), keepdim=True) + 1e-3)
        of_object = (weight * both).sum((1, 2))
        # How much of the picture each prop seems to cover counts by its size's logarithm.
        evidence = torch.cat([(weight * shapes).sum((1, 2)), props.softmax(-1).sum((1, 2)).add(0.1).log()], dim=-1)
        seen = torch.cat([coarse.mean((1, 2)), coarse.amax((1, 2)), of_object], dim=-1)
        pooled = functional.gelu(self.hidden(_over_frames(seen, batch)), approximate="tanh")
        told = torch.cat([pooled, _over_frames(evidence, batch)], dim=-1)
        object_pixels = _pixels(pixels)
        return Seen(
            [head(told) for head in self.heads],
            object_pixels.view(batch, count, *object_pixels.shape[1:]),
            shapes.unflatten(0, (batch, count)),
            props.unflatten(0, (batch, count)),
        )

    @torch.inference_mode()
    def words(self, clips: list[UInt8[np.ndarray, "T H W 3"]], batch: int = 16) -> list[dict[str, str]]:
        """What each clip shows: the likeliest value of every slot."""
        found = []
        for start in range(0, len(clips), batch):
            frames = np.stack([clip[judged_frames(len(clip))] for clip in clips[start : start + batch]])
            seen: Seen = self(to_input(frames))
            best = torch.stack([values.argmax(1) for values in seen.words], dim=1).tolist()
            found += [self._named(row) for row in best]
        return found

    @torch.inference_mode()
    def object_masks(self, clip: UInt8[np.ndarray, "T H W 3"]) -> Bool[np.ndarray, "T H W"]:
        """Pixels of each frame that show the free object."""
        seen: Seen = self(to_input(clip[None]))
        masks: np.ndarray = (seen.object_pixels[0] > 0.0).numpy()
        return masks

    def _named(self, row: list[int]) -> dict[str, str]:
        return {name: values[index] for (name, values), index in zip(self.config.slots, row, strict=True)}


def judged_frames(frames: int) -> list[int]:
    """The frames that attributes are judged from."""
    return [int(index) for index in np.linspace(0, frames - 1, min(JUDGED_FRAMES, frames)).round()]


def to_input(frames: UInt8[np.ndarray, "B K H W 3"]) -> Float[Tensor, "B K 3 H W"]:
    """Frames as the judge sees them, float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 2).float() / 127.5 - 1.0


def save_judge(judge: Judge, recipe: dict[str, Any], path: Path) -> None:
    """Write the judge as fp16 with its configuration and recipe."""
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in judge.state_dict().items()}
    header = {"schema_version": SCHEMA_VERSION, "kind": "judge", "config": asdict(judge.config), "recipe": recipe}
    write_atomically(path, save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)}))


def load_judge(path: Path) -> Judge:
    """The judge of a file, in evaluation mode.

    Raises:
        UnreadableCheckpoint: missing, cut short, of another version or kind, with NaN, or not this architecture.
    """
    return network_of(load_checkpoint(path, "judge"), path, lambda config: Judge(_config(config)))


def _config(fields: dict[str, Any]) -> JudgeConfig:
    slots = tuple((str(name), tuple(values)) for name, values in fields["slots"])
    return JudgeConfig(**{**fields, "slots": slots})


def _over_frames(features: Float[Tensor, "N D"], batch: int) -> Float[Tensor, "B D2"]:
    """Mean and largest over each clip's frames."""
    frames = features.view(batch, -1, features.shape[-1])
    return torch.cat([frames.mean(1), frames.amax(1)], dim=-1)


def _patches(frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N h w P"]:
    count, channels, height, width = frames.shape
    tiled = frames.reshape(count, channels, height // PATCH_PX, PATCH_PX, width // PATCH_PX, PATCH_PX)
    return tiled.permute(0, 2, 4, 1, 3, 5).flatten(3)


def _pixels(patches: Float[Tensor, "N h w P"]) -> Float[Tensor, "N H W"]:
    count, rows, columns, _ = patches.shape
    tiled = patches.view(count, rows, columns, PATCH_PX, PATCH_PX).permute(0, 1, 3, 2, 4)
    return tiled.reshape(count, rows * PATCH_PX, columns * PATCH_PX)


def _places(patches: Float[Tensor, "N h w P"]) -> Float[Tensor, "N h w 2"]:
    """Row and column of every patch, -1 to 1: a floor lies below, a ceiling above."""
    count, rows, columns, _ = patches.shape
    grid = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    return torch.stack(grid, dim=-1).expand(count, rows, columns, 2)


def _merged(fine: Float[Tensor, "N h w D"]) -> Float[Tensor, "N h2 w2 D4"]:
    count, rows, columns, width = fine.shape
    tiled = fine.reshape(count, rows // 2, 2, columns // 2, 2, width)
    return tiled.permute(0, 1, 3, 2, 4, 5).flatten(3)


def _unmerged(coarse: Float[Tensor, "N h2 w2 D4"]) -> Float[Tensor, "N h w D"]:
    count, rows, columns, wide = coarse.shape
    tiled = coarse.view(count, rows, columns, 2, 2, wide // 4).permute(0, 1, 3, 2, 4, 5)
    return tiled.reshape(count, rows * 2, columns * 2, wide // 4)
