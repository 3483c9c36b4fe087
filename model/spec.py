"""SegmentSpec: everything that decides a segment's bytes. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from clips.cameras import Cameras
from model.errors import InvalidSpec

MAX_PROMPT_CHARACTERS = 4_000
MAX_STEPS = 1_000
SEED_LIMIT = 2**63


@dataclass(frozen=True, eq=False)
class SegmentSpec:
    """What to generate. Two specs with one `key()` give the same bytes on the same machine.

    Attributes:
        prompt: free text, 1 to 4,000 characters.
        seed: 0 <= seed < 2**63.
        cameras: the exact cameras of every frame (their number and size are the segment's).
        fps: frames per second of scene time.
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 is none.
        model_revision: which weights.

    Raises:
        InvalidSpec: a field is out of range; the message names field, value and range.
    """

    prompt: str
    seed: int
    cameras: Cameras
    fps: float
    steps: int
    guidance: float
    model_revision: str

    def __post_init__(self) -> None:
        if not self.prompt.strip() or len(self.prompt) > MAX_PROMPT_CHARACTERS:
            raise InvalidSpec(f"prompt must have 1 to {MAX_PROMPT_CHARACTERS} characters, got {len(self.prompt)}")
        try:
            self.prompt.encode()
        except UnicodeEncodeError as error:
            raise InvalidSpec(f"prompt must be valid Unicode, got an unpaired surrogate at {error.start}") from None
        if not 0 <= self.seed < SEED_LIMIT:
            raise InvalidSpec(f"seed must be within [0, 2**63), got {self.seed}")
        if not 1 <= self.steps <= MAX_STEPS:
            raise InvalidSpec(f"steps must be within [1, {MAX_STEPS}], got {self.steps}")
        if not 0.0 <= self.guidance <= 20.0:
            raise InvalidSpec(f"guidance must be within [0, 20], got {self.guidance}")
        if not 0.1 <= self.fps <= 240.0:
            raise InvalidSpec(f"fps must be within [0.1, 240], got {self.fps}")

    def key(self) -> str:
        """SHA-256 (hex) of the canonical form: the address of the segment."""
        fields = {
            "prompt": self.prompt,
            "seed": self.seed,
            "cameras": self.cameras.digest(),
            "fps": round(self.fps, 6),
            "steps": self.steps,
            "guidance": round(self.guidance, 6),
            "model_revision": self.model_revision,
        }
        return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values from which `from_json` makes a spec with the same key."""
        return {
            "prompt": self.prompt,
            "seed": self.seed,
            "width_px": self.cameras.width,
            "height_px": self.cameras.height,
            "viewmats": self.cameras.viewmats.reshape(-1).tolist(),
            "Ks": self.cameras.Ks.reshape(-1).tolist(),
            "fps": self.fps,
            "steps": self.steps,
            "guidance": self.guidance,
            "model_revision": self.model_revision,
        }

    @staticmethod
    def from_json(fields: dict[str, Any]) -> SegmentSpec:
        """The spec that `to_json` described.

        Raises:
            InvalidSpec: a field is missing or of the wrong type.
            InvalidCameras: the matrices are not cameras.
        """
        try:
            viewmats = np.asarray(fields["viewmats"], dtype=np.float64).reshape(-1, 4, 4)
            Ks = np.asarray(fields["Ks"], dtype=np.float64).reshape(-1, 3, 3)
            cameras = Cameras(viewmats, Ks, int(fields["width_px"]), int(fields["height_px"]))
            return SegmentSpec(
                prompt=str(fields["prompt"]),
                seed=int(fields["seed"]),
                cameras=cameras,
                fps=float(fields["fps"]),
                steps=int(fields["steps"]),
                guidance=float(fields["guidance"]),
                model_revision=str(fields["model_revision"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSpec(f"not a segment spec: {error!r}") from error
