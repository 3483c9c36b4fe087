"""Training clips of the VAE: the dungeon renderer's output in memory-mapped files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from clips.cameras import Cameras
from clips.dungeon.attributes import SLOTS
from clips.dungeon.render import DungeonSample, render_sample
from model.checkpoint import write_atomically
from model.dit import SlotTable, slot_indices
from model.errors import ModelError
from model.rgbd import pack_rgbd
from model.train.array_file import ArrayForm, kept_arrays, require_room

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
        ModelError: the folder holds clips of another recipe, or its disk has not the room for them.
    """

    def __init__(self, folder: Path, recipe: ClipRecipe) -> None:
        self.folder, self.recipe = folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        self._check_recipe()
        shape = (recipe.clips, recipe.frames, recipe.height, recipe.width)
        forms = {
            "frames": ArrayForm((*shape, 3), "u1"),
            "depth": ArrayForm(shape, "f2"),
            "mask": ArrayForm(shape, "?"),
            "viewmats": ArrayForm((*shape[:2], 4, 4), "f8"),
            "Ks": ArrayForm((*shape[:2], 3, 3), "f8"),
            "slots": ArrayForm((recipe.clips, len(SLOTS)), "i8"),
            "done": ArrayForm((recipe.clips,), "?"),
        }
        self._clip_bytes = sum(form.size_bytes for form in forms.values()) // recipe.clips
        arrays = kept_arrays(folder, forms)
        self.frames, self.depth, self.mask = (arrays[name] for name in ("frames", "depth", "mask"))
        self.viewmats, self.Ks = arrays["viewmats"], arrays["Ks"]
        self.slots, self.done = arrays["slots"], arrays["done"]

    def origin(self) -> dict[str, str | int]:
        """Where the clips are from, for the header of weights trained on them."""
        return {"renderer": "clips.dungeon", "first_seed": self.recipe.first_seed}

    def ensure(self, index: int) -> None:
        """Render clip `index` unless it is there. Raises ModelError where the disk is full."""
        if not self.done[index]:
            self.require_room()
            self._put(index, self.render(index))
            self.done[index] = True

    def require_room(self) -> None:
        """Refuse to put another clip on a disk that is full. Raises ModelError."""
        require_room(self.folder, self._clip_bytes, "another clip")

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
