"""The one table from errors to gRPC statuses, and the google.rpc details that go with each.

`tests/service/api/test_statuses.py` proves that every error class of the packages below is in the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from clips import errors as clips_errors
from model import errors as model_errors
from recon import errors as recon_errors
from service import errors

DOMAIN = "narthex.v1"
RETRY_DELAY_S = 1.0
# A status travels in trailers, of which many peers take 8 KiB only, percent- or base64-encoded.
MAX_MESSAGE_BYTES = 900
MAX_DETAIL_BYTES = 3_000
MAX_FIELD_MESSAGE_CHARACTERS = 300

_Code = grpc.StatusCode

CODES: Mapping[type[Exception], grpc.StatusCode] = MappingProxyType(
    {
        errors.ServiceError: _Code.INTERNAL,
        errors.InvalidInput: _Code.INVALID_ARGUMENT,
        errors.NotFound: _Code.NOT_FOUND,
        errors.AlreadyExists: _Code.ALREADY_EXISTS,
        errors.NotApplicable: _Code.FAILED_PRECONDITION,
        errors.Conflict: _Code.ABORTED,
        errors.OutOfWindow: _Code.OUT_OF_RANGE,
        errors.Unauthenticated: _Code.UNAUTHENTICATED,
        errors.Forbidden: _Code.PERMISSION_DENIED,
        errors.TooMuch: _Code.RESOURCE_EXHAUSTED,
        errors.Unavailable: _Code.UNAVAILABLE,
        errors.Unsupported: _Code.UNIMPLEMENTED,
        errors.Corrupt: _Code.DATA_LOSS,
        clips_errors.ClipError: _Code.INTERNAL,
        clips_errors.InvalidClip: _Code.INVALID_ARGUMENT,
        clips_errors.InvalidCameras: _Code.INVALID_ARGUMENT,
        clips_errors.InvalidRoom: _Code.INVALID_ARGUMENT,
        clips_errors.UnreadableClip: _Code.DATA_LOSS,
        model_errors.ModelError: _Code.INTERNAL,
        model_errors.InvalidSpec: _Code.INVALID_ARGUMENT,
        model_errors.UnsupportedSpec: _Code.FAILED_PRECONDITION,
        model_errors.UnreadableCheckpoint: _Code.FAILED_PRECONDITION,
        model_errors.TrainingDiverged: _Code.INTERNAL,
        model_errors.NoRoom: _Code.RESOURCE_EXHAUSTED,
        recon_errors.ReconError: _Code.INTERNAL,
        recon_errors.InvalidScene: _Code.INVALID_ARGUMENT,
        recon_errors.Unreconstructable: _Code.FAILED_PRECONDITION,
        recon_errors.UnreadableScene: _Code.DATA_LOSS,
    }
)
"""Every error class that a call may raise. Anything else is a fault of ours: INTERNAL, with nothing but a trace id."""


def is_known(error: BaseException) -> bool:
    """Whether a caller may hear of this error in its own words."""
    return type(error) in CODES


def status_of(error: Exception, trace_id: str) -> status_pb2.Status:
    """The status that a caller gets for an error: code, message and details.

    An error that the table does not have becomes INTERNAL and says the trace id only: what went wrong inside is
    for the log, never for the caller.
    """
    if not is_known(error):
        message = f"internal error; the server's log says more under the trace id {trace_id}"
        info = _info("INTERNAL", {"trace_id": trace_id})
        return _status(_Code.INTERNAL, message, [info])
    code = CODES[type(error)]
    reason = getattr(error, "reason", None) or _upper_snake(type(error).__name__)
    metadata = dict(getattr(error, "metadata", None) or {}) | {"trace_id": trace_id}
    parts: list[Message] = [_info(reason, metadata)]
    parts += _details(code, error, reason, metadata)
    if getattr(error, "retryable", False):
        parts.append(details_pb2.RetryInfo(retry_delay=_duration(RETRY_DELAY_S)))
    return _status(code, str(error), parts)


def resume_status(message: str, cursor: int, reason: str, trace_id: str) -> status_pb2.Status:
    """UNAVAILABLE for a watcher that is cut off: it may resume after `cursor` (metadata of ErrorInfo)."""
    info = _info(reason, {"cursor": str(cursor), "trace_id": trace_id})
    retry = details_pb2.RetryInfo(retry_delay=_duration(RETRY_DELAY_S))
    return _status(_Code.UNAVAILABLE, f"{message}; resume from cursor {cursor}", [info, retry])


def _details(code: grpc.StatusCode, error: Exception, reason: str, metadata: Mapping[str, str]) -> Iterator[Message]:
    fields: tuple[errors.FieldProblem, ...] = getattr(error, "fields", ())
    if fields:
        yield _bad_request(fields)
    if code is _Code.FAILED_PRECONDITION:
        violation = details_pb2.PreconditionFailure.Violation(
            type=reason,
            subject=metadata.get("resource", ""),
            description=_cut(str(error), MAX_FIELD_MESSAGE_CHARACTERS),
        )
        yield details_pb2.PreconditionFailure(violations=[violation])
    if code in (_Code.NOT_FOUND, _Code.ALREADY_EXISTS) and "resource" in metadata:
        name = metadata["resource"]
        yield details_pb2.ResourceInfo(resource_type=f"{DOMAIN}/{name.partition('/')[0]}", resource_name=name)
    if code is _Code.RESOURCE_EXHAUSTED:
        violation = details_pb2.QuotaFailure.Violation(subject=reason, description=_cut(str(error), 300))
        yield details_pb2.QuotaFailure(violations=[violation])


def _bad_request(fields: tuple[errors.FieldProblem, ...]) -> details_pb2.BadRequest:
    """As many violations as fit into the trailers; the last says how many more there are."""
    request = details_pb2.BadRequest()
    for count, problem in enumerate(fields):
        violation = request.field_violations.add(
            field=_cut(problem.field, 200), description=_cut(problem.message, MAX_FIELD_MESSAGE_CHARACTERS)
        )
        if request.ByteSize() > MAX_DETAIL_BYTES - 500:
            request.field_violations.remove(violation)
            request.field_violations.add(description=f"and {len(fields) - count} more")
            break
    return request


def _info(reason: str, metadata: Mapping[str, str]) -> details_pb2.ErrorInfo:
    kept = {key: _cut(str(value), 200) for key, value in metadata.items()}
    return details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=kept)


def _status(code: grpc.StatusCode, message: str, parts: list[Message]) -> status_pb2.Status:
    number: Any = code.value[0]
    status = status_pb2.Status(code=number, message=_cut_bytes(message, MAX_MESSAGE_BYTES))
    for part in parts:
        packed = any_pb2.Any()
        packed.Pack(part)
        status.details.append(packed)
    return status


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


def _cut(text: str, characters: int) -> str:
    """At most `characters` of `text`, in which lone surrogates, that protobuf cannot carry, have become "?"."""
    kept = text if len(text) <= characters else f"{text[: characters - 1]}…"
    return kept.encode(errors="replace").decode()


def _cut_bytes(text: str, limit: int) -> str:
    """`text` with at most `limit` bytes as grpc-message sends it: three for every byte that is not printable ASCII."""
    kept = _cut(text, limit)
    while (over := sum(1 if " " <= letter <= "~" else 3 * len(letter.encode()) for letter in kept) - limit) > 0:
        kept = _cut(kept, len(kept) - max(1, over // 12))
    return kept


def _upper_snake(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() and at else letter for at, letter in enumerate(name)).upper()
