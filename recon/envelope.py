"""Envelope: how far a camera may leave the clip's path before it sees holes, so that an engine can clamp to it.

For a few instants it holds a box of offsets from the clip's camera, in the gate frame, and a largest yaw and pitch;
between them both are linear in time. Any offset in the box may go with any turn within the limits.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from recon.errors import InvalidScene, UnreadableScene

ENVELOPE_KEY = "envelope"
"""Under which name `.4dgs` files hold an envelope in their header's metadata."""
ENVELOPE_VERSION = 1
_FRAME = "gate: x right, y down, z into the room, metres; offsets from the clip's camera at the same time"


@dataclass(frozen=True, eq=False)
class Bounds:
    """What a camera may do at one instant.

    Attributes:
        low_m, high_m: lowest and highest offsets from the clip's camera along the gate's axes, (3,); 0 is within.
        yaw_deg: how far it may turn to either side about the gate's vertical.
        pitch_deg: how far it may then turn up or down about its own x axis.
    """

    low_m: Float[np.ndarray, "3"]
    high_m: Float[np.ndarray, "3"]
    yaw_deg: float
    pitch_deg: float

    def clamp(self, offset_m: np.ndarray) -> Float[np.ndarray, "3"]:
        """The closest offset within the box, (3,): never a step back where the wish goes on."""
        return np.clip(np.asarray(offset_m, np.float64), self.low_m, self.high_m)

    def clamp_turn(self, yaw_deg: float, pitch_deg: float) -> tuple[float, float]:
        """The closest yaw and pitch within the limits, degrees."""
        yaw = min(max(yaw_deg, -self.yaw_deg), self.yaw_deg)
        return yaw, min(max(pitch_deg, -self.pitch_deg), self.pitch_deg)


@dataclass(frozen=True, eq=False)
class Envelope:
    """Bounds over time.

    Attributes:
        times: ascending scene seconds, (K,).
        low_m, high_m: as in `Bounds`, (K, 3).
        yaw_deg, pitch_deg: as in `Bounds`, (K,).
        hole_alpha: a pixel is a hole where less than this is opaque.
        hole_share: the largest share of holes that a view may have.
        held: the share of views at random within it that kept to that when it was found; 1 unless even the path fails.

    Raises:
        InvalidScene: shapes disagree, times do not ascend, a number is not finite, or a box does not hold 0.
    """

    times: Float[np.ndarray, " K"]
    low_m: Float[np.ndarray, "K 3"]
    high_m: Float[np.ndarray, "K 3"]
    yaw_deg: Float[np.ndarray, " K"]
    pitch_deg: Float[np.ndarray, " K"]
    hole_alpha: float = 0.9
    hole_share: float = 0.01
    held: float = 1.0

    def __post_init__(self) -> None:
        count = len(self.times)
        shapes = {
            "times": (count,),
            "low_m": (count, 3),
            "high_m": (count, 3),
            "yaw_deg": (count,),
            "pitch_deg": (count,),
        }
        for name, shape in shapes.items():
            array = np.asarray(getattr(self, name), np.float64)
            if count < 1 or array.shape != shape or not np.isfinite(array).all():
                raise InvalidScene(f"envelope: {name} must be {shape} finite numbers, at least one, got {array.shape}")
            object.__setattr__(self, name, array)
        if (np.diff(self.times) <= 0).any():
            raise InvalidScene(f"envelope: times must ascend, got {self.times.tolist()}")
        if (self.low_m > 0).any() or (self.high_m < 0).any() or (self.yaw_deg < 0).any() or (self.pitch_deg < 0).any():
            raise InvalidScene(
                "envelope: every box must hold the path itself (low <= 0 <= high) and no turn be negative"
            )
        for name in ("hole_alpha", "hole_share", "held"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidScene(f"envelope: {name} must be within [0, 1], got {getattr(self, name)}")

    def at(self, time_s: float) -> Bounds:
        """The bounds at `time_s` scene seconds; before the first and after the last instant theirs hold on."""

        def mixed(values: np.ndarray) -> np.ndarray:
            columns = values.reshape(len(self.times), -1).T
            return np.array([np.interp(time_s, self.times, column) for column in columns])

        turns = mixed(np.stack([self.yaw_deg, self.pitch_deg], axis=1))
        return Bounds(mixed(self.low_m), mixed(self.high_m), float(turns[0]), float(turns[1]))

    def clamp(self, offset_m: np.ndarray, time_s: float = 0.0) -> Float[np.ndarray, "3"]:
        """`offset_m` (3,) brought into the box at `time_s`; see `Bounds.clamp`."""
        return self.at(time_s).clamp(offset_m)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads, numbers rounded towards the path to 0.1 mm and 0.01 degrees."""
        fields = {
            "version": ENVELOPE_VERSION,
            "frame": _FRAME,
            "times_s": [round(float(t), 6) for t in self.times],
            "low_m": (-np.floor(-self.low_m * 1e4) / 1e4 + 0.0).tolist(),
            "high_m": (np.floor(self.high_m * 1e4) / 1e4).tolist(),
            "yaw_deg": (np.floor(self.yaw_deg * 100) / 100).tolist(),
            "pitch_deg": (np.floor(self.pitch_deg * 100) / 100).tolist(),
            "hole_alpha": self.hole_alpha,
            "hole_share": self.hole_share,
            "held": round(self.held, 4),
        }
        return json.dumps(fields, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Envelope:
        """The envelope that `to_json` wrote.

        Raises:
            UnreadableScene: not JSON, of another version, or a field is missing or means nothing.
        """
        try:
            fields = json.loads(text)
            if fields["version"] != ENVELOPE_VERSION:
                raise UnreadableScene(f"envelope: version {fields['version']!r}, expected {ENVELOPE_VERSION}")
            names = ("times_s", "low_m", "high_m", "yaw_deg", "pitch_deg")
            times, low, high, yaw, pitch = (np.asarray(fields[name], np.float64) for name in names)
            alpha, share, held = (float(fields[name]) for name in ("hole_alpha", "hole_share", "held"))
            return Envelope(times, low, high, yaw, pitch, alpha, share, held)
        except (ValueError, KeyError, TypeError, InvalidScene, RecursionError) as error:
            raise UnreadableScene(f"envelope: not readable ({error!r})") from error


def turned(rotation: np.ndarray, yaw_deg: float, pitch_deg: float) -> Float[np.ndarray, "3 3"]:
    """A camera-to-gate rotation after a yaw about the gate's vertical (positive to the right) and a pitch (up)."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    return np.asarray(about_y @ rotation @ about_x)
