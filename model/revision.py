"""Which weights and how they are run: file names, revision, steps and guidance. Imports no torch."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from model.errors import UnreadableCheckpoint
from model.supported import SupportedSize, supported_size

DRAFT_STEPS = 2
FULL_STEPS = 20
GUIDANCE = 2.0
GUIDANCE_INTERVAL = (0.0, 1.0)
"""Sigmas between which guidance acts; outside a step costs half (`model/guidance.py`)."""
MAP_STEPS = 4
"""Up to so many steps a segment is made by the flow map; with more by the guided equation."""
MAP_PUSHES = {1: 0.0, 2: 0.75, 3: 0.5, 4: 0.5}
"""By steps: how far a step of the flow map is pushed beyond the guidance that it was taught, at `GUIDANCE` (see
`model.guidance.guided_map`). Measured: docs/experiments/002; a single step bears none."""
DEFAULT_CONTROL = "layout"
"""What steers a segment where nobody says: "layout" or "none", whichever was measured to be better."""
PIECE_BYTES = 1 << 20
VAE_FILE = "vae.safetensors"
DIT_FILE = "dit.safetensors"


@dataclass(frozen=True)
class ModelInfo:
    """A model and how it is run: `revision` names the weights, steps and guidance are policy.

    `made` is the size of segments that it makes; None where that is not known before it is loaded.

    Raises:
        ValueError: steps outside [1, 1000], draft_steps above full_steps, or guidance outside [0, 20].
    """

    revision: str
    draft_steps: int = DRAFT_STEPS
    full_steps: int = FULL_STEPS
    guidance: float = GUIDANCE
    made: SupportedSize | None = None

    def __post_init__(self) -> None:
        if not self.revision:
            raise ValueError("revision must not be empty")
        if not 1 <= self.draft_steps <= self.full_steps <= 1000:
            raise ValueError(
                f"steps must be 1 <= draft <= full <= 1000, got draft {self.draft_steps}, full {self.full_steps}"
            )
        if not (math.isfinite(self.guidance) and 0 <= self.guidance <= 20):
            raise ValueError(f"guidance must be within [0, 20], got {self.guidance}")


def default_weights() -> Path:
    """The folder of the weights that Narthex ships."""
    return Path(__file__).parent / "weights"


def file_revision(*paths: Path) -> str:
    """First 12 hex digits of the SHA-256 over the files' bytes: the revision that these weights are known by.

    Raises:
        UnreadableCheckpoint: a file is missing or cannot be read.
    """
    hasher = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    hasher.update(piece)
        except OSError as error:
            raise UnreadableCheckpoint(f"{path}: cannot be read ({error})") from error
    return hasher.hexdigest()[:12]


def weights_revision(weights_dir: Path) -> str:
    """The revision of a folder's `vae.safetensors` and `dit.safetensors`. Raises as `file_revision` does."""
    return file_revision(weights_dir / VAE_FILE, weights_dir / DIT_FILE)


def read_model_info(
    weights_dir: Path, draft_steps: int = DRAFT_STEPS, full_steps: int = FULL_STEPS, guidance: float = GUIDANCE
) -> ModelInfo:
    """What the server needs to know of the model in a folder. Raises UnreadableCheckpoint or ValueError."""
    made = supported_size(weights_dir / VAE_FILE, weights_dir / DIT_FILE)
    return ModelInfo(weights_revision(weights_dir), draft_steps, full_steps, guidance, made)
