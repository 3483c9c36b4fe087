"""SegmentSpec: everything that decides a segment's bytes. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from clips.cameras import Cameras
from model.errors import InvalidSpec
from model.spec_control import NO_CONTROL, Control, ControlKind, FirstFrame

MAX_PROMPT_CHARACTERS = 4_000
MAX_STEPS = 1_000
SEED_LIMIT = 2**63

_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category that show nothing: fillers of Hangul, the empty braille cell."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Mn", "Me", "Mc", "Zs", "Zl", "Zp"})
"""Categories of Unicode whose characters show nothing where they stand alone."""


@dataclass(frozen=True, eq=False)
class SegmentSpec:
    """What to generate. Two specs with one `key()` give the same bytes on the same machine.

    Attributes:
        prompt: free text, 1 to 4,000 characters of which one can be seen.
        seed: 0 <= seed < 2**63.
        cameras: the exact cameras of every frame (their number and size are the segment's).
        fps: frames per second of scene time.
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 is none.
        model_revision: which weights, and which adapters they wear (`Generator.revision`).
        control: what steers the picture besides the prompt.
        first_frame: the picture that the segment begins with; None: the model makes it up.

    Raises:
        InvalidSpec: a field is out of range, or a control depth or first frame has another size than the cameras;
            the message names field, value and range.
    """

    prompt: str
    seed: int
    cameras: Cameras
    fps: float
    steps: int
    guidance: float
    model_revision: str
    control: Control = NO_CONTROL
    first_frame: FirstFrame | None = None

    def __post_init__(self) -> None:
        _check_kinds(self)
        check_prompt(self.prompt)
        if not 0 <= self.seed < SEED_LIMIT:
            raise InvalidSpec(f"seed must be within [0, 2**63), got {self.seed}")
        if not 1 <= self.steps <= MAX_STEPS:
            raise InvalidSpec(f"steps must be within [1, {MAX_STEPS}], got {self.steps}")
        if not 0.0 <= self.guidance <= 20.0:
            raise InvalidSpec(f"guidance must be within [0, 20], got {self.guidance}")
        if not 0.1 <= self.fps <= 240.0:
            raise InvalidSpec(f"fps must be within [0.1, 240], got {self.fps}")
        self.control.check_size(self.cameras)
        if self.first_frame is not None:
            self.first_frame.check_size(self.cameras)

    def key(self) -> str:
        """SHA-256 (hex) of the canonical form: the address of the segment.

        What is not steered has no part in it, so that specs of before there was control keep their addresses.
        """
        fields: dict[str, Any] = {
            "prompt": self.prompt,
            "seed": self.seed,
            "cameras": self.cameras.digest(),
            "fps": round(self.fps, 6),
            "steps": self.steps,
            "guidance": round(self.guidance, 6),
            "model_revision": self.model_revision,
        }
        if self.control.kind is not ControlKind.NONE:
            fields["control"] = self.control.digest
        if self.first_frame is not None:
            fields["first_frame"] = self.first_frame.digest
        return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values from which `from_json` makes a spec with the same key."""
        fields: dict[str, Any] = {
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
            "control": self.control.to_json(),
        }
        if self.first_frame is not None:
            fields["first_frame"] = self.first_frame.to_json()
        return fields

    @staticmethod
    def from_json(fields: dict[str, Any]) -> SegmentSpec:
        """The spec that `to_json` described; one of before there was control has none.

        Raises:
            InvalidSpec: a field is missing or of the wrong type.
            InvalidCameras: the matrices are not cameras.
        """
        try:
            viewmats = np.asarray(fields["viewmats"], dtype=np.float64).reshape(-1, 4, 4)
            Ks = np.asarray(fields["Ks"], dtype=np.float64).reshape(-1, 3, 3)
            cameras = Cameras(viewmats, Ks, int(fields["width_px"]), int(fields["height_px"]))
            first_frame = fields.get("first_frame")
            return SegmentSpec(
                prompt=str(fields["prompt"]),
                seed=int(fields["seed"]),
                cameras=cameras,
                fps=float(fields["fps"]),
                steps=int(fields["steps"]),
                guidance=float(fields["guidance"]),
                model_revision=str(fields["model_revision"]),
                control=Control.from_json(fields.get("control", {"kind": "none"})),
                first_frame=None if first_frame is None else FirstFrame.from_json(first_frame),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidSpec(f"not a segment spec: {error!r}") from error


def check_prompt(prompt: str) -> None:
    """Refuse what no segment can have for a prompt; every way in (spec, world, server, CLI) has this one rule.

    Raises:
        InvalidSpec: empty, longer than MAX_PROMPT_CHARACTERS, only spaces and characters that show nothing, or no
            valid Unicode.
    """
    if not 1 <= len(prompt) <= MAX_PROMPT_CHARACTERS:
        raise InvalidSpec(f"prompt must have 1 to {MAX_PROMPT_CHARACTERS} characters, got {len(prompt)}")
    if all(sign in _FILLERS or unicodedata.category(sign) in _UNSEEN for sign in prompt):
        raise InvalidSpec(f"prompt must have a character that can be seen, got {len(prompt)} that cannot")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidSpec(f"prompt must be valid Unicode, got an unpaired surrogate at {error.start}") from None


def _check_kinds(spec: SegmentSpec) -> None:
    """Raises InvalidSpec for a prompt that is no text, and for a seed or steps that are no whole numbers."""
    if not isinstance(spec.prompt, str):
        raise InvalidSpec(f"prompt must be text, got {type(spec.prompt).__name__}")
    for name in ("seed", "steps"):
        value: object = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise InvalidSpec(f"{name} must be a whole number, got {str(value)[:40]!r} ({type(value).__name__})")
        # NumPy's integers would be no JSON.
        object.__setattr__(spec, name, int(value))
