"""The errors that `recon` raises.

    ReconError
    ├── InvalidScene       a Scene4D's arrays disagree or hold values that mean nothing
    ├── Unreconstructable  a clip cannot become a scene (too few frames, cameras contradict depth)
    └── UnreadableScene    a file is not a scene, is cut short, or is of another version

None of them is worth a retry: the same input fails the same way.
"""

from __future__ import annotations


class ReconError(Exception):
    """Any failure of this package; `retryable` says whether the same call may succeed later."""

    retryable: bool = False


class InvalidScene(ReconError):
    """Arrays of a Scene4D disagree in length or hold values that mean nothing."""


class Unreconstructable(ReconError):
    """A clip cannot become a scene; the message names the frames and what is wrong with them."""


class UnreadableScene(ReconError):
    """A file is not a scene, is cut short, or is of a version that is not understood."""
