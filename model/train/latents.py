"""Latents of training clips in memory-mapped files, each made once, and windows drawn from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clips.footage.footage import Footage
from model.checkpoint import write_atomically
from model.control import CONTROL_CHANNELS, CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM, control_features
from model.dit import Condition, SlotTable, slot_indices
from model.errors import ModelError
from model.rays import RAY_CHANNELS, plucker_rays
from model.rgbd import pack_rgbd
from model.train.array_file import ArrayForm, kept_arrays, require_room
from model.train.clip_source import ClipSource
from model.train.data import Progress
from model.vae import Vae


@dataclass(frozen=True, eq=False)
class LatentCoder:
    """How a clip is coded: the VAE, the revision that its latents are known by, and the order of the slots."""

    vae: Vae
    revision: str
    slots: SlotTable


@dataclass(frozen=True, eq=False)
class Windows:
    """B windows of t latent frames.

    Attributes:
        latents: whitened, (B, C, t, h, w), float32.
        condition: with the control of each window's own `control_kind`.
        coverage: share of each latent cell that the free object covers, (B, t, h, w).
    """

    latents: Float[Tensor, "B C t h w"]
    condition: Condition
    coverage: Float[Tensor, "B t h w"]

    def __len__(self) -> int:
        return len(self.latents)

    def rows(self, index: slice) -> Windows:
        """Some of the windows."""
        return Windows(self.latents[index], self.condition.rows(index), self.coverage[index])


class LatentStore:
    """Latents, rays, control features, object coverage and slots of a source's clips, each made when first wanted.

    `latents.npy` (N, C, t, h, w), `rays.npy` (N, 12, t, h, w), `control.npy` (N, 2, 64, t, h, w) of the room alone and
    of room and objects, `coverage.npy` (N, t, h, w), all float16; `slots.npy` (N, S) int64; `controlled.npy` (N, 2)
    bool says which controls there are, `done.npy` (N,) bool which clips. `store.json` says of what: clips and VAE. A
    clip is a function of its number, so two processes may fill one store: they write the same.

    Raises:
        ModelError: the folder holds latents of other clips or of another VAE, or its disk has not the room for them.
    """

    def __init__(self, folder: Path, source: ClipSource, coder: LatentCoder) -> None:
        self.folder, self.source, self.coder = folder, source, coder
        folder.mkdir(parents=True, exist_ok=True)
        self._check_key()
        config, (frames, height, width) = coder.vae.config, source.size
        size = (config.latent_frames(frames), height // config.patch_px, width // config.patch_px)
        count, channels = len(source), config.latent_channels
        forms = {
            "latents": ArrayForm((count, channels, *size), "f2"),
            "rays": ArrayForm((count, RAY_CHANNELS, *size), "f2"),
            "control": ArrayForm((count, 2, CONTROL_CHANNELS, *size), "f2"),
            "coverage": ArrayForm((count, *size), "f2"),
            "slots": ArrayForm((count, len(coder.slots)), "i8"),
            "controlled": ArrayForm((count, 2), "?"),
            "done": ArrayForm((count,), "?"),
        }
        self._clip_bytes = sum(form.size_bytes for form in forms.values()) // count
        arrays = kept_arrays(folder, forms)
        self.latents, self.rays, self.control = (arrays[name] for name in ("latents", "rays", "control"))
        self.coverage, self.slots = arrays["coverage"], arrays["slots"]
        self.controlled, self.done = arrays["controlled"], arrays["done"]

    def __len__(self) -> int:
        return len(self.done)

    @property
    def frames(self) -> int:
        """Latent frames of a clip."""
        return int(self.latents.shape[2])

    def ensure(self, index: int) -> None:
        """Make the latents of clip `index` unless they are there. Raises ModelError where the disk is full."""
        if not self.done[index]:
            require_room(self.folder, self._clip_bytes, "another clip")
            self._put(index, self.source.clip(index))
            self.done[index] = True

    def fill(self, count: int, progress: Progress | None = None) -> None:
        """Make every one of the first `count` clips that is missing, in order."""
        for index in range(count):
            self.ensure(index)
            if progress is not None:
                progress(index + 1, count)

    def windows(self, clips: list[int], offsets: list[int], kinds: list[int], frames: int) -> Windows:
        """Windows of `frames` latent frames: of these clips from these latent frames on, under these kinds of control.

        A clip that lacks the control of its kind has none.
        """
        for index in clips:
            self.ensure(index)
        pairs = [(index, slice(start, start + frames)) for index, start in zip(clips, offsets, strict=True)]
        held = [
            kind if kind != CONTROL_NONE and self.controlled[index, kind - CONTROL_ROOM] else CONTROL_NONE
            for index, kind in zip(clips, kinds, strict=True)
        ]
        # A clip without control has a row all the same: the network does not look at it.
        control = [
            self.control[index, max(kind, CONTROL_ROOM) - CONTROL_ROOM, :, span]
            for (index, span), kind in zip(pairs, held, strict=True)
        ]
        condition = Condition(
            torch.from_numpy(self.slots[clips]),
            _stacked([self.rays[index, :, span] for index, span in pairs]),
            _stacked(control),
            torch.tensor(held),
            torch.tensor([start == 0 for start in offsets]),
        )
        latents = _stacked([self.latents[index, :, span] for index, span in pairs])
        return Windows(latents, condition, _stacked([self.coverage[index, span] for index, span in pairs]))

    @torch.no_grad()
    def _put(self, index: int, footage: Footage) -> None:
        config, clip = self.coder.vae.config, footage.clip
        self.latents[index] = self.coder.vae.encode(pack_rgbd(clip.frames, clip.depth)[None])[0].numpy()
        self.rays[index] = plucker_rays(clip.cameras, config.group_frames, config.patch_px).numpy()
        for kind, depth in ((CONTROL_ROOM, footage.room_depth), (CONTROL_OBJECTS, footage.objects_depth)):
            self.controlled[index, kind - CONTROL_ROOM] = depth is not None
            if depth is not None:
                features = control_features(depth, config.group_frames, config.patch_px)
                self.control[index, kind - CONTROL_ROOM] = features.numpy()
        if footage.object_mask is not None:
            self.coverage[index] = cell_coverage(footage.object_mask, config.group_frames, config.patch_px)
        self.slots[index] = slot_indices(self.coder.slots, dict(footage.slots or {})).numpy()

    def _check_key(self) -> None:
        path = self.folder / "store.json"
        wanted = json.dumps({"clips": self.source.key(), "vae": self.coder.revision}, sort_keys=True)
        if path.exists() and path.read_text() != wanted:
            raise ModelError(f"{self.folder} holds other latents ({path.read_text()}), wanted {wanted}")
        write_atomically(path, wanted.encode())


def cell_coverage(mask: np.ndarray, group_frames: int, patch_px: int) -> Float[np.ndarray, "t h w"]:
    """Share of the pixels of each latent cell (patch_px x patch_px, one frame or a group) where `mask` (T, H, W) is."""
    _, height, width = mask.shape
    tiled = mask.reshape(len(mask), height // patch_px, patch_px, width // patch_px, patch_px).mean((2, 4))
    groups = tiled[1:].reshape(-1, group_frames, *tiled.shape[1:]).mean(1)
    return np.concatenate([tiled[:1], groups])


def _stacked(parts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(parts)).float()
