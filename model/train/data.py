"""Training clips of the VAE: the dungeon renderer's output in memory-mapped files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.lib.format import open_memmap
from torch import Tensor

from clips.cameras import Cameras
from clips.dungeon.attributes import SLOTS
from clips.dungeon.render import DungeonSample, render_sample
from model.checkpoint import write_atomically
from model.dit import SlotTable, slot_indices
from model.errors import ModelError
from model.rgbd import pack_rgbd

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are to do."""


@dataclass(frozen=True)
class ClipRecipe:
    """Which rendered clips: everything that decides their bytes.

    Attributes:
        clips: how many; clip k has renderer seed first_seed + k.
        held_out: drawn from the renderer's held-out domain.
    """

    clips: int
    first_seed: int = 0
    held_out: bool = False
    frames: int = 17
    width: int = 96
    height: int = 64
    fps: float = 8.0

    def __post_init__(self) -> None:
        if self.clips < 1 or self.first_seed < 0:
            raise ModelError(f"clips must be at least 1 and first_seed not negative, got {self}")


def slot_table() -> SlotTable:
    """The renderer's slots as `DitConfig` takes them."""
    return tuple((name, tuple(str(value) for value in words)) for name, words in SLOTS.items())


class ClipStore:
    """Rendered clips in a folder, each rendered when it is first wanted and kept for later runs.

    `frames.npy` (N, T, H, W, 3) uint8, `depth.npy` (N, T, H, W) float16 metres, `mask.npy` (N, T, H, W) bool: the free
    object, `viewmats.npy`, `Ks.npy`, `slots.npy` (N, S) int64; `recipe.json` says which clips, `done.npy` (N,) which
    are there. A clip is a function of its seed, so two processes may fill one store: they write the same bytes.

    Raises:
        ModelError: the folder holds clips of another recipe.
    """

    def __init__(self, folder: Path, recipe: ClipRecipe) -> None:
        self.folder, self.recipe = folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        self._check_recipe()
        shape = (recipe.clips, recipe.frames, recipe.height, recipe.width)
        self.frames = self._array("frames", (*shape, 3), "u1")
        self.depth = self._array("depth", shape, "f2")
        self.mask = self._array("mask", shape, "?")
        self.viewmats = self._array("viewmats", (*shape[:2], 4, 4), "f8")
        self.Ks = self._array("Ks", (*shape[:2], 3, 3), "f8")
        self.slots = self._array("slots", (recipe.clips, len(SLOTS)), "i8")
        self.done = self._array("done", (recipe.clips,), "?")

    def origin(self) -> dict[str, str | int]:
        """Where the clips are from, for the header of weights trained on them."""
        return {"renderer": "clips.dungeon", "first_seed": self.recipe.first_seed}

    def ensure(self, index: int) -> None:
        """Render clip `index` unless it is there."""
        if not self.done[index]:
            self._put(index, self.render(index))
            self.done[index] = True

    def fill(self, progress: Progress | None = None) -> None:
        """Render every clip that is missing."""
        for index in range(self.recipe.clips):
            self.ensure(index)
            if progress is not None:
                progress(index + 1, self.recipe.clips)

    def render(self, index: int) -> DungeonSample:
        """The renderer's sample of clip `index`."""
        recipe = self.recipe
        seed, size = recipe.first_seed + index, (recipe.frames, recipe.width, recipe.height)
        return render_sample(seed, recipe.held_out, *size, recipe.fps)

    def rgbd(self, index: int, start: int = 0, frames: int | None = None) -> Float[Tensor, "4 T H W"]:
        """What the networks see of a clip, or of `frames` of its frames from `start` on."""
        self.ensure(index)
        stop = self.recipe.frames if frames is None else start + frames
        return pack_rgbd(self.frames[index, start:stop], self.depth[index, start:stop])

    def cameras(self, index: int) -> Cameras:
        """The exact cameras of a clip."""
        self.ensure(index)
        return Cameras(self.viewmats[index], self.Ks[index], self.recipe.width, self.recipe.height)

    def _put(self, index: int, sample: DungeonSample) -> None:
        clip = sample.clip
        self.frames[index] = clip.frames
        self.depth[index] = clip.depth
        self.mask[index] = sample.object_mask
        self.viewmats[index], self.Ks[index] = clip.cameras.viewmats, clip.cameras.Ks
        self.slots[index] = slot_indices(slot_table(), {name: str(getattr(sample.room, name)) for name in SLOTS})

    def _check_recipe(self) -> None:
        path = self.folder / "recipe.json"
        wanted = json.dumps(asdict(self.recipe), sort_keys=True)
        if path.exists() and path.read_text() != wanted:
            raise ModelError(f"{self.folder} holds other clips ({path.read_text()}), wanted {wanted}")
        write_atomically(path, wanted.encode())

    def _array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        if path.exists():
            return open_memmap(path, mode="r+")
        return open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
