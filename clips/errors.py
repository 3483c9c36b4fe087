"""The errors that `clips` raises.

    ClipError
    ├── InvalidClip      a clip's arrays disagree, are empty, or hold values that mean nothing
    ├── InvalidCameras   camera matrices that are not finite or not rigid
    ├── InvalidRoom      a dungeon room's field is out of range or unknown
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


class InvalidRoom(ClipError):
    """A dungeon room has an unknown field, an unknown word, or a number out of range."""


class UnreadableClip(ClipError):
    """A file is not a clip, is cut short, or was written by a version that is not understood."""
