"""Which weights: a short name for the bytes of the weight files. Imports no torch."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from model.errors import UnreadableCheckpoint

DRAFT_STEPS = 4
FULL_STEPS = 20
GUIDANCE = 4.0
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelInfo:
    """A model and how it is run: `revision` names the weights, steps and guidance are policy.

    Raises:
        ValueError: steps outside [1, 1000], draft_steps above full_steps, or guidance outside [0, 20].
    """

    revision: str
    draft_steps: int = DRAFT_STEPS
    full_steps: int = FULL_STEPS
    guidance: float = GUIDANCE

    def __post_init__(self) -> None:
        if not self.revision:
            raise ValueError("revision must not be empty")
        if not 1 <= self.draft_steps <= self.full_steps <= 1000:
            raise ValueError(
                f"steps must be 1 <= draft <= full <= 1000, got draft {self.draft_steps}, full {self.full_steps}"
            )
        if not (math.isfinite(self.guidance) and 0 <= self.guidance <= 20):
            raise ValueError(f"guidance must be within [0, 20], got {self.guidance}")


def weights_revision(weights_dir: Path) -> str:
    """First 12 hex digits of the SHA-256 over the weight files, in the order of their names.

    Raises:
        UnreadableCheckpoint: there is no `.safetensors` file, or one cannot be read.
    """
    paths = sorted(weights_dir.glob("*.safetensors"))
    if not paths:
        raise UnreadableCheckpoint(f"{weights_dir}: expected weights (*.safetensors), found none")
    hasher = hashlib.sha256()
    for path in paths:
        try:
            hasher.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    hasher.update(piece)
        except OSError as error:
            raise UnreadableCheckpoint(f"{path}: cannot be read ({error})") from error
    return hasher.hexdigest()[:12]


def read_model_info(
    weights_dir: Path, draft_steps: int = DRAFT_STEPS, full_steps: int = FULL_STEPS, guidance: float = GUIDANCE
) -> ModelInfo:
    """What the server needs to know of the model in a folder. Raises UnreadableCheckpoint or ValueError."""
    return ModelInfo(weights_revision(weights_dir), draft_steps, full_steps, guidance)
