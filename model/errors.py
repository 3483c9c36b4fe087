"""The errors that `model` raises.

    ModelError
    ├── InvalidSpec          a SegmentSpec's field is out of range
    ├── UnsupportedSpec      the spec is fine, but this model cannot make it (size, length, revision)
    ├── UnreadableCheckpoint weights cut short, of another version, or with NaN
    ├── TrainingDiverged     a loss became NaN or infinite
    └── NoRoom               the disk is full, or too small for what is asked (retryable)

None of the others is worth a retry: the same input fails the same way.
"""

from __future__ import annotations


class ModelError(Exception):
    """Any failure of this package; `retryable` says whether the same call may succeed later."""

    retryable: bool = False


class InvalidSpec(ModelError):
    """A field of a SegmentSpec is out of range; the message names field, value and range."""


class UnsupportedSpec(ModelError):
    """The spec is valid, but this model cannot make it (picture size, length or revision)."""


class UnreadableCheckpoint(ModelError):
    """Weights are missing, cut short, of another version, or hold NaN."""


class TrainingDiverged(ModelError):
    """A training loss became NaN or infinite; the last good checkpoint is kept."""


class NoRoom(ModelError):
    """The disk has not the room for what is to be written; the message says how much is wanted and how much is free."""

    retryable = True
