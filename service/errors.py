"""The errors that `service` raises; `api/statuses.py` maps every one of them to a gRPC status.

ServiceError
├── InvalidInput        a field of a request, event, world or setting is wrong    INVALID_ARGUMENT
├── NotFound            no such world, session, segment, asset, job ...           NOT_FOUND
├── AlreadyExists       the id is taken by something else                         ALREADY_EXISTS
├── NotApplicable       right in form, but not in this state (finished chain)     FAILED_PRECONDITION
├── Conflict            another client wrote this sequence number                 ABORTED
├── OutOfWindow         an event too far ahead of those that are missing          OUT_OF_RANGE
├── Unauthenticated     no key or token, or one that is wrong or has expired      UNAUTHENTICATED
├── Forbidden           the token does not allow this                             PERMISSION_DENIED
├── TooMuch             a limit on size, rate or number                           RESOURCE_EXHAUSTED
├── Unavailable         draining, disk full, database locked: try again           UNAVAILABLE   (retryable)
├── Unsupported         part of the contract that this version does not do        UNIMPLEMENTED
└── Corrupt             stored bytes do not match their hash                      DATA_LOSS
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """One wrong field: its path as the client wrote it (`events[3].gate_opened.gate`), and what is wrong."""

    field: str
    message: str


class ServiceError(Exception):
    """Any failure that a caller should hear of; `reason` is UPPER_SNAKE_CASE for google.rpc.ErrorInfo."""

    retryable: bool = False
    reason: str = "SERVICE_ERROR"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        fields: tuple[FieldProblem, ...] = (),
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        self.metadata = metadata or {}
        if reason is not None:
            self.reason = reason


class InvalidInput(ServiceError):
    """A field is wrong; `fields` says which, what was got and what is allowed."""

    reason = "INVALID_INPUT"


class NotFound(ServiceError):
    """Nothing has this name."""

    reason = "NOT_FOUND"


class AlreadyExists(ServiceError):
    """The id is taken by something else."""

    reason = "ALREADY_EXISTS"


class NotApplicable(ServiceError):
    """Right in form, but not possible in the present state."""

    reason = "NOT_APPLICABLE"


class Conflict(ServiceError):
    """Another client wrote this first."""

    reason = "SEQUENCE_CONFLICT"


class OutOfWindow(ServiceError):
    """An event too far ahead of those that are missing."""

    reason = "SEQUENCE_TOO_FAR_AHEAD"


class Unauthenticated(ServiceError):
    """No key or token, or one that is wrong or has expired."""

    reason = "UNAUTHENTICATED"


class Forbidden(ServiceError):
    """The key or token does not allow this."""

    reason = "FORBIDDEN"


class TooMuch(ServiceError):
    """A limit on size, rate or number."""

    reason = "LIMIT_EXCEEDED"


class Unavailable(ServiceError):
    """Not now: draining, disk full, database locked."""

    retryable = True
    reason = "UNAVAILABLE"


class Unsupported(ServiceError):
    """Part of the contract that this version does not do yet."""

    reason = "UNSUPPORTED"


class Corrupt(ServiceError):
    """Stored bytes do not match their hash."""

    reason = "CORRUPT"
