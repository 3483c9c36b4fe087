"""Resource names: `sessions/{session}` on the wire, the bare id inside. Times: Timestamp and epoch seconds."""

from __future__ import annotations

import math
import re

from google.protobuf.timestamp_pb2 import Timestamp

from service.errors import FieldProblem, InvalidInput
from service.ids import AssetId, JobId, PinId, SceneId, SegmentId, SessionId, WorldId

MAX_ID_CHARACTERS = 128
NANOS = 1_000_000_000
# Timestamps are of the years 1 to 9999 (google/protobuf/timestamp.proto); games have no use for less than 0.
MAX_TIME_S = 253_402_300_799
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def bad_field(field: str, message: str) -> InvalidInput:
    """An error about one field; `message` says what was got and what is allowed."""
    return InvalidInput(f"{field}: {message}", fields=(FieldProblem(field, message),))


def shown(text: str, limit: int = 60) -> str:
    """`text` quoted for a message, cut to `limit` characters."""
    return repr(text) if len(text) <= limit else f"{text[:limit]!r} and {len(text) - limit} characters more"


def parse_name(name: str, collection: str, field: str) -> str:
    """The id in `{collection}/{id}`.

    Raises:
        InvalidInput: `name` has another form; it names `field`.
    """
    head, _, tail = name.partition("/")
    if head != collection or not _ID.match(tail) or len(tail) > MAX_ID_CHARACTERS:
        raise bad_field(field, f"got {shown(name)}, expected {collection}/{{id}}")
    return tail


def session_id(name: str, field: str) -> SessionId:
    """The id in `sessions/{session}`. Raises InvalidInput."""
    return SessionId(parse_name(name, "sessions", field))


def world_id(name: str, field: str) -> WorldId:
    """The id in `worlds/{world}`. Raises InvalidInput."""
    return WorldId(parse_name(name, "worlds", field))


def segment_id(name: str, field: str) -> SegmentId:
    """The id in `segments/{segment}`. Raises InvalidInput."""
    return SegmentId(parse_name(name, "segments", field))


def scene_id(name: str, field: str) -> SceneId:
    """The id in `scenes/{scene}`. Raises InvalidInput."""
    return SceneId(parse_name(name, "scenes", field))


def pin_id(name: str, field: str) -> PinId:
    """The id in `pins/{pin}`. Raises InvalidInput."""
    return PinId(parse_name(name, "pins", field))


def job_id(name: str, field: str, collection: str = "jobs") -> JobId:
    """The id in `jobs/{job}` or `operations/{job}`. Raises InvalidInput."""
    return JobId(parse_name(name, collection, field))


def asset_id(name: str, field: str) -> AssetId:
    """The hash in `assets/{sha256}`. Raises InvalidInput."""
    digest = parse_name(name, "assets", field)
    if not _SHA256.match(digest):
        raise bad_field(field, f"got {shown(name)}, expected assets/ and 64 hex digits in lower case")
    return AssetId(digest)


def to_name(collection: str, identifier: str | None) -> str:
    """`{collection}/{identifier}`, or "" for no identifier."""
    return f"{collection}/{identifier}" if identifier else ""


def timestamp(epoch_s: float) -> Timestamp:
    """The wire's form of epoch seconds, to the microsecond."""
    micros = round(epoch_s * 1_000_000)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def epoch_s(value: Timestamp, field: str) -> float:
    """Epoch seconds of a wire timestamp.

    Raises:
        InvalidInput: before 1970, after 9999, or with nanoseconds out of range.
    """
    if not 0 <= value.seconds <= MAX_TIME_S or not 0 <= value.nanos < NANOS:
        raise bad_field(field, f"got {value.seconds} s {value.nanos} ns, allowed 1970-01-01 to 9999-12-31")
    return value.seconds + value.nanos / NANOS


def finite(value: float, low: float, high: float, field: str) -> float:
    """`value`, which is a number within [low, high]. Raises InvalidInput (also for NaN)."""
    if not math.isfinite(value) or not low <= value <= high:
        raise bad_field(field, f"got {value}, allowed {low:g} .. {high:g}")
    return value


def request_id(value: str) -> str:
    """A request id of at most 128 printable characters, "" for none. Raises InvalidInput."""
    if len(value) > MAX_ID_CHARACTERS or not (value.isprintable() or not value):
        raise bad_field("request_id", f"got {shown(value)}, allowed 0 .. {MAX_ID_CHARACTERS} printable characters")
    return value
