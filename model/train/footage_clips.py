"""Training clips from a clip folder: footage of a studio's own engine trains as the dungeon's clips do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from clips.dungeon.attributes import SLOTS
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.footage import Footage
from model.checkpoint import write_atomically
from model.dit import slot_indices
from model.errors import ModelError
from model.prompt import parse_prompt
from model.train.data import ClipRecipe, ClipStore, slot_table


class FolderClips:
    """A `ClipSource` over the usable clips of a clip folder, the first `frames` frames of each.

    Every clip is read once when the source is made; those that cannot be used are named in `skipped`, and the rest
    goes on. Slots are those of slots.json; where it is missing, what the first English or Chinese caption says.

    Attributes:
        names: of the usable clips, in order; clip k is names[k].
        skipped: clips that cannot be used, and why.
        size: frames, height and width of every clip.

    Raises:
        UnreadableClip: the folder is no data set.
        ModelError: clips are to have fewer than 1 frame, may differ in size, or none can be used.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder = ClipFolder.open(folder)
        info = self.folder.info
        if frames < 1:
            raise ModelError(f"clips need at least 1 frame, got {frames}")
        if info.width is None or info.height is None:
            raise ModelError(f"{folder}: its clips may differ in size; fit them with `narthex data import` first")
        self.size = (frames, info.height, info.width)
        names, skipped = [], []
        for name, result in self.folder.read_all():
            if isinstance(result, SkippedClip):
                skipped.append(result)
            elif len(result.clip) < frames:
                skipped.append(SkippedClip(name, f"clip {name}: has {len(result.clip)} frames, {frames} are needed"))
            else:
                names.append(name)
        self.names, self.skipped = tuple(names), tuple(skipped)
        if not names:
            first = f"; the first: {skipped[0].problem}" if skipped else ""
            raise ModelError(f"{folder}: none of its {len(skipped)} clips can be used{first}")

    def __len__(self) -> int:
        return len(self.names)

    def clip(self, index: int) -> Footage:
        """The first frames of clip `index` with whatever is known of them."""
        footage = self.folder.read(self.names[index]).at(np.arange(self.size[0]))
        return footage if footage.slots is not None else replace(footage, slots=caption_slots(footage))

    def key(self) -> str:
        """The clips' names and a digest of every byte of their files."""
        digest = hashlib.sha256(self.folder.info.text().encode())
        for name in self.names:
            root = self.folder.folder / name
            for path in sorted(root.rglob("*")):
                if path.is_file():
                    digest.update(str(path.relative_to(root.parent)).encode() + path.read_bytes())
        return f"clip folder, {len(self)} clips of {self.size[0]} frames, {digest.hexdigest()[:16]}"


def caption_slots(footage: Footage) -> dict[str, str]:
    """What the first caption in a language that the prompt front end reads says of the slots."""
    for language in ("en", "zh"):
        for text in footage.captions.get(language, ())[:1]:
            said = parse_prompt(text).values
            return {name: word for name in SLOTS if (word := said.get(name)) is not None}
    return {}


class FootageStore(ClipStore):
    """The clips of a source as the VAE's training takes them: a `ClipStore` that reads footage instead of rendering.

    Raises:
        ModelError: the folder holds other clips.
    """

    def __init__(self, folder: Path, source: FolderClips) -> None:
        self.source = source
        frames, height, width = source.size
        super().__init__(folder, ClipRecipe(len(source), 0, False, frames, width, height, source.folder.info.fps))

    def ensure(self, index: int) -> None:
        """Read clip `index` unless it is there."""
        if self.done[index]:
            return
        footage = self.source.clip(index)
        clip = footage.clip
        self.frames[index], self.depth[index] = clip.frames, clip.depth
        known = (mask for mask in (footage.object_mask, clip.motion_mask) if mask is not None)
        self.mask[index] = next(known, False)
        self.viewmats[index], self.Ks[index] = clip.cameras.viewmats, clip.cameras.Ks
        self.slots[index] = slot_indices(slot_table(), dict(footage.slots or {}))
        self.done[index] = True

    def _check_recipe(self) -> None:
        path = self.folder / "source.json"
        wanted = json.dumps({"clips": self.source.key()})
        if path.exists() and path.read_text() != wanted:
            raise ModelError(f"{self.folder} holds other clips ({path.read_text()}), wanted {wanted}")
        write_atomically(path, wanted.encode())
        super()._check_recipe()
