"""The errors that `clips` raises.

    ClipError
    ├── InvalidClip      a clip's arrays disagree, are empty, or hold values that mean nothing
    ├── InvalidCameras   camera matrices that are not finite or not rigid
    └── UnreadableClip   a file is not a clip, is cut short, or is of another version

None of them is worth a retry: the same input fails the same way.
"""

from __future__ import annotations


class ClipError(Exception):
    """Any failure of this package; `retryable` says whether the same call may succeed later."""

    retryable: bool = False


class InvalidClip(ClipError):
    """The arrays of a clip disagree in shape, are empty, or hold values that mean nothing."""


class InvalidCameras(ClipError):
    """Camera matrices are not finite, not rigid, or disagree in number."""


class UnreadableClip(ClipError):
    """A file is not a clip, is cut short, or was written by a version that is not understood."""
