"""Training clips from a clip folder: footage of a studio's own engine trains as the dungeon's clips do."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable
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
        captures: by clip name, the capture that it was cut from (`narthex data import`), or its own name.
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
        names: list[str] = []
        skipped: list[SkippedClip] = []
        self.captures: dict[str, str] = {}
        for name, result in self.folder.read_all():
            if isinstance(result, SkippedClip):
                skipped.append(result)
            elif len(result.clip) < frames:
                skipped.append(SkippedClip(name, f"clip {name}: has {len(result.clip)} frames, {frames} are needed"))
            else:
                names.append(name)
                self.captures[name] = str(result.source.get("capture") or name)
        self.names, self.skipped = tuple(names), tuple(skipped)
        self._key: str | None = None
        if not names and not skipped:
            raise ModelError(f"{folder}: has no clip; every clip is a folder in it (docs/clip-folders.md)")
        if not names:
            raise ModelError(f"{folder}: none of its {len(skipped)} clips can be used; the first: {skipped[0].problem}")

    def __len__(self) -> int:
        return len(self.names)

    def clip(self, index: int) -> Footage:
        """The first frames of clip `index` with whatever is known of them."""
        footage = self.folder.read(self.names[index]).at(np.arange(self.size[0]))
        return footage if footage.slots is not None else replace(footage, slots=caption_slots(footage))

    def only(self, names: Iterable[str]) -> FolderClips:
        """The source of these of its clips alone."""
        part = copy.copy(self)
        part.names, part._key = tuple(names), None
        return part

    def key(self) -> str:
        """The clips' names and a digest of every byte of their files, as they are when it is first asked for."""
        if self._key is None:
            self._key = f"clip folder, {len(self)} clips of {self.size[0]} frames, {self._digest()}"
        return self._key

    def _digest(self) -> str:
        digest = hashlib.sha256(self.folder.info.text().encode())
        for name in self.names:
            root = self.folder.folder / name
            for path in sorted(root.rglob("*")):
                if path.is_file():
                    digest.update(str(path.relative_to(root.parent)).encode() + path.read_bytes())
        return digest.hexdigest()[:16]


def check_grid(source: FolderClips, side_px: int, group_frames: int, fewest_frames: int) -> None:
    """Refuse clips that the networks cannot take.

    Their sides must be multiples of `side_px`; their frames 1 + a multiple of `group_frames`, at least `fewest_frames`.

    Raises:
        ModelError: says what they are, what they must be, and the command that makes them so.
    """
    folder, (frames, height, width) = source.folder.folder, source.size
    if width % side_px or height % side_px:
        fitting = f"{max(width // side_px, 1) * side_px}x{max(height // side_px, 1) * side_px}"
        raise ModelError(
            f"{folder}: its clips are {width}x{height}, the networks take multiples of {side_px} pixels; fit them with "
            f"`narthex data import {folder} DEST --size {fitting}`"
        )
    if frames < fewest_frames or (frames - 1) % group_frames:
        wanted = f"{fewest_frames}, {fewest_frames + group_frames}, {fewest_frames + 2 * group_frames}, ..."
        raise ModelError(f"clips of {frames} frames: the networks take {wanted} frames")


def split_held_out(source: FolderClips, count: int | None = None) -> tuple[FolderClips, FolderClips]:
    """(Training clips, held-out clips) of a source: `count` held out, or a tenth, at least one.

    A hash of their captures' names orders the clips, so a folder is always split in the same way, whatever it is called
    and whatever else it is given later changes little. Clips of one capture stay on one side, for they show the same
    place: fewer than `count` may be held out. A folder of one capture alone is split within it.

    Raises:
        ModelError: there are not enough clips to hold out `count` and to train on others.
    """
    total = len(source)
    wanted = max(1, total // 10) if count is None else count
    if not 1 <= wanted < total:
        raise ModelError(
            f"{source.folder.folder}: {total} usable clips, and {wanted} of them held out leave none to train on; add "
            f"clips, hold out fewer, or name a folder of clips to validate on"
        )
    several = len({source.captures[name] for name in source.names}) > 1
    groups: dict[str, list[str]] = {}
    for name in source.names:
        groups.setdefault(source.captures[name] if several else name, []).append(name)
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
    held: list[str] = []
    for group in ordered:
        if len(held) + len(groups[group]) <= wanted:
            held += groups[group]
    if not held:
        held = groups[min(ordered, key=lambda group: len(groups[group]))]
    chosen = set(held)
    return source.only(name for name in source.names if name not in chosen), source.only(sorted(chosen))


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

    def origin(self) -> dict[str, str | int]:
        """The clips' key, for the header of weights trained on them."""
        return {"footage": self.source.key()}

    def ensure(self, index: int) -> None:
        """Read clip `index` unless it is there. Raises ModelError where the disk is full."""
        if self.done[index]:
            return
        self.require_room()
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
