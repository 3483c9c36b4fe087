"""SupportedSize: which segments some weights make, as their files' headers say it. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

HEADER_KEY = "narthex"
"""The one key of metadata in every file of weights: a JSON object."""
MAX_WINDOWS = 2
"""Windows of the longest segment: 17 and 33 frames of the shipped model."""


@dataclass(frozen=True)
class SupportedSize:
    """The segment size that a model makes: `frames` in one window, more in several.

    Raises:
        ValueError: a window of one frame, which no other can continue, or a picture without pixels.
    """

    frames: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.frames < 2 or self.width < 1 or self.height < 1:
            raise ValueError(f"a segment has 2 frames or more of 1x1 pixels or more, got {self}")

    @property
    def frame_counts(self) -> tuple[int, ...]:
        """The lengths that can be made: windows overlap by a latent frame, so each adds `frames` - 1."""
        return tuple(1 + windows * (self.frames - 1) for windows in range(1, MAX_WINDOWS + 1))

    @property
    def lengths(self) -> str:
        """`frame_counts` in words: "17 or 33"."""
        return " or ".join(map(str, self.frame_counts))

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width}x{self.height}"


def size_of(latent_size: Sequence[int], group_frames: int, patch_px: int) -> SupportedSize:
    """The size of a transformer's latents (frames, rows, columns) as an autoencoder decodes them. Raises ValueError."""
    time, rows, columns = latent_size
    return SupportedSize(1 + (time - 1) * group_frames, columns * patch_px, rows * patch_px)


def supported_size(vae_path: Path, dit_path: Path) -> SupportedSize | None:
    """The size that an autoencoder and a transformer make, by their files' headers alone.

    None where they are no files of Narthex or damaged: who loads them says what is wrong with them.
    """
    try:
        vae, dit = _config(vae_path), _config(dit_path)
        return size_of([int(part) for part in dit["latent_size"]], int(vae["group_frames"]), int(vae["patch_px"]))
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _config(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        config: dict[str, Any] = json.loads(file.metadata()[HEADER_KEY])["config"]
    return config
