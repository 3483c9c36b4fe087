"""Where training clips come from: the dungeon renderer, or anything else that numbers its footage."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import render_sample
from clips.dungeon.scene import seeded
from clips.footage.footage import Footage
from model.errors import ModelError

PATH_FRAMES = (17, 25, 33)


class ClipSource(Protocol):
    """Numbered clips with whatever is known of them; clip k is always the same."""

    def __len__(self) -> int:
        """How many clips there are."""
        ...

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width of every clip."""
        ...

    def clip(self, index: int) -> Footage:
        """Clip `index`: frames, depth and cameras; slots, object mask and blockout depths where they are known."""
        ...

    def key(self) -> str:
        """What decides the clips' content: a store of latents belongs to one key."""
        ...


@dataclass(frozen=True)
class DungeonClips:
    """Rooms of the renderer: clip k has renderer seed first_seed + k.

    The camera's path ends after 17, 25 or 33 frames (drawn from the seed), so that walks have several speeds and
    cameras that have arrived are seen too. A share of the blockouts with objects is rough, as careless ones are.

    Raises:
        ModelError: no clips, or a negative seed.
    """

    clips: int
    first_seed: int = 0
    held_out: bool = False
    frames: int = 33
    width: int = 96
    height: int = 64
    fps: float = 8.0

    def __post_init__(self) -> None:
        if self.clips < 1 or self.first_seed < 0:
            raise ModelError(f"clips must be at least 1 and first_seed not negative, got {self}")

    def __len__(self) -> int:
        return self.clips

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width of every clip."""
        return self.frames, self.height, self.width

    def clip(self, index: int) -> Footage:
        """The renderer's clip with its object mask and both blockout depths."""
        seed, size = self.first_seed + index, (self.frames, self.width, self.height)
        path_frames = PATH_FRAMES[seeded(seed, "path frames", self.held_out).integers(len(PATH_FRAMES))]
        sample = render_sample(seed, self.held_out, *size, self.fps, path_frames=path_frames)
        cameras, times = sample.clip.cameras, sample.clip.times
        return Footage(
            sample.clip,
            slots=sample.room.slots,
            object_mask=sample.object_mask,
            room_depth=graybox_depth(graybox_of(sample.room, False), cameras, times),
            objects_depth=graybox_depth(graybox_of(sample.room, True, times, rough_seed=seed), cameras, times),
            source={"seed": seed, "held_out": self.held_out, "path_frames": path_frames},
        )

    def key(self) -> str:
        """The recipe, and a digest of one small clip: clips of a renderer that draws otherwise have another key."""
        probe = replace(self, clips=1, first_seed=0, frames=5, width=24, height=16).clip(0)
        digest = hashlib.sha256(probe.clip.frames.tobytes() + probe.clip.depth.tobytes())
        for depth in (probe.room_depth, probe.objects_depth):
            digest.update(b"" if depth is None else depth.tobytes())
        return f"clips.dungeon {asdict(self)} {digest.hexdigest()[:12]}"
