"""Clips to learn a style from: a clip folder's usable clips in pieces of the model's length, and why others are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import render_room
from clips.dungeon.scene import RoomSpec, sample_camera_path, sample_room, seeded
from clips.errors import InvalidRoom
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.footage import Footage
from model.dit import Dit
from model.errors import ModelError
from model.measure.scenes import ClipSize
from model.train.footage_clips import caption_slots
from model.vae import Vae

FEWEST = 20
MOST = 200
PRIOR_SEED = 4_000_000_000
"""Far from every seed that trains the base, the judge, or measures either."""


@dataclass(frozen=True, eq=False)
class StyleClips:
    """Pieces of a clip folder's clips, each as long as the model's clips; a `ClipSource`.

    Attributes:
        pieces: footage of exactly the model's frames and size, with slots where they are known.
        clips: how many clips of the folder they are of.
        uncaptioned: how many of those have neither slots nor a caption that says any: they train with nothing said.
        skipped: clips that cannot be used, and why.
    """

    pieces: tuple[Footage, ...]
    clips: int
    uncaptioned: int
    skipped: tuple[SkippedClip, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def size(self) -> tuple[int, int, int]:
        """(frames, height, width) of every clip."""
        frames, height, width = self.pieces[0].clip.depth.shape
        return frames, height, width

    def clip(self, index: int) -> Footage:
        """Piece `index`."""
        return self.pieces[index]

    def key(self) -> str:
        """A digest of pictures, depth, cameras and slots of every piece."""
        digest = hashlib.sha256()
        for piece in self.pieces:
            digest.update(piece.clip.frames.tobytes() + piece.clip.depth.tobytes())
            digest.update(piece.clip.cameras.digest().encode())
            digest.update(json.dumps(dict(piece.slots or {}), sort_keys=True).encode())
            for depth in (piece.room_depth, piece.objects_depth):
                digest.update(b"" if depth is None else depth.tobytes())
        return f"style clips {len(self)} {digest.hexdigest()[:16]}"


def read_style_clips(folder: Path, size: ClipSize, *, few: bool = False) -> StyleClips:
    """The usable clips of a folder (docs/clip-folders.md) for a model that makes clips of `size`.

    Clips longer than the model's are cut into several pieces, what is left over is not used.

    Raises:
        ModelError: fewer than FEWEST usable clips (unless `few` and at least one), or more than MOST.
        UnreadableClip: the folder is no clip folder.
    """
    pieces: list[Footage] = []
    skipped: list[SkippedClip] = []
    clips = uncaptioned = 0
    for name, read in ClipFolder.open(folder).read_all():
        problem = read if isinstance(read, SkippedClip) else _misfit(name, read, size)
        if problem is not None or isinstance(read, SkippedClip):
            skipped.append(problem or read)  # type: ignore[arg-type]
            continue
        slots = dict(read.slots) if read.slots else caption_slots(read)
        clips, uncaptioned = clips + 1, uncaptioned + (not slots)
        starts = range(0, len(read.clip) - size.frames + 1, max(size.frames - 1, 1))
        pieces += [replace(read, slots=slots).at(np.arange(start, start + size.frames)) for start in starts]
    _check_number(folder, clips, skipped, few=few)
    return StyleClips(tuple(pieces), clips, uncaptioned, tuple(skipped))


def clip_size(vae: Vae, dit: Dit, fps: float = 8.0) -> ClipSize:
    """The size of the clips that these networks make."""
    (time, rows, columns), config = dit.config.latent_size, vae.config
    return ClipSize(1 + (time - 1) * config.group_frames, columns * config.patch_px, rows * config.patch_px, fps)


@dataclass(frozen=True, eq=False)
class PriorClips:
    """Rooms of the base's own renderer with the words of given clips: clip k has those of `words[k]`; a `ClipSource`.

    What `words` leave out is drawn anew. They say where an adapter must leave the base alone (`model/train/lora.py`).
    """

    words: tuple[Mapping[str, str], ...]
    clip_size: ClipSize

    def __len__(self) -> int:
        return len(self.words)

    @property
    def size(self) -> tuple[int, int, int]:
        """(frames, height, width) of every clip."""
        return self.clip_size.frames, self.clip_size.height, self.clip_size.width

    def clip(self, index: int) -> Footage:
        """Room `index` with its slots and both blockout depths."""
        seed = PRIOR_SEED + index
        path = sample_camera_path(seeded(seed, "camera", False))
        size = (self.clip_size.frames, self.clip_size.width, self.clip_size.height)
        sample = render_room(_room(seed, self.words[index]), path, size, self.clip_size.fps)
        cameras, times = sample.clip.cameras, sample.clip.times
        return Footage(
            sample.clip,
            slots=sample.room.slots,
            object_mask=sample.object_mask,
            room_depth=graybox_depth(graybox_of(sample.room, False), cameras, times),
            objects_depth=graybox_depth(graybox_of(sample.room, True), cameras, times),
        )

    def key(self) -> str:
        """A digest of the words, the size and one small clip."""
        words = json.dumps([dict(sorted(one.items())) for one in self.words]) + str(self.clip_size)
        probe = replace(self, words=self.words[:1], clip_size=ClipSize(5, 24, 16, self.clip_size.fps)).clip(0)
        digest = hashlib.sha256(words.encode() + probe.clip.frames.tobytes() + probe.clip.depth.tobytes())
        return f"prior clips {len(self)} {digest.hexdigest()[:16]}"


def _room(seed: int, words: Mapping[str, str]) -> RoomSpec:
    try:
        return sample_room(seed, False, **dict(words))
    except InvalidRoom:
        # Words that the renderer does not have together: keep those of the room, draw the object's motion anew.
        return sample_room(seed, False, **{name: word for name, word in words.items() if name != "motion"})


def _misfit(name: str, footage: Footage, size: ClipSize) -> SkippedClip | None:
    clip = footage.clip
    got, expected = (clip.cameras.width, clip.cameras.height), (size.width, size.height)
    if got != expected:
        way = f"narthex data import can fit it to {expected[0]}x{expected[1]}"
        return SkippedClip(
            name, f"clip {name}: is {got[0]}x{got[1]}, the model makes {expected[0]}x{expected[1]}; {way}"
        )
    if len(clip) < size.frames:
        return SkippedClip(name, f"clip {name}: has {len(clip)} frames, the model's clips have {size.frames}")
    return None


def _check_number(folder: Path, clips: int, skipped: list[SkippedClip], *, few: bool) -> None:
    why = f" ({len(skipped)} skipped; the first: {skipped[0].problem})" if skipped else ""
    if clips > MOST:
        raise ModelError(f"{folder}: {clips} usable clips{why}; an adapter takes {MOST} at the most")
    if clips < (1 if few else FEWEST):
        hint = "" if few or not clips else "; --few trains on them all the same, and will know them by heart"
        raise ModelError(f"{folder}: {clips} usable clips{why}; an adapter needs {FEWEST} or more{hint}")
