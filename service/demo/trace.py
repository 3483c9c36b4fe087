"""Reads traces (docs/traces.md): every line is checked before anything is played."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from narthex.v1 import event_pb2

from service.demo.trace_names import Names, unknown_names
from service.demo.world_file import WorldFile, read_world_file
from service.errors import FieldProblem, InvalidInput, NotFound, TooMuch

MAX_TRACE_BYTES = 64 * 2**20
MAX_LINE_BYTES = 2**20
MAX_OFFSET_S = 7 * 86_400.0
MAX_PROBLEMS = 50
IGNORED_FIELDS = frozenset({"eventId", "event_id", "sequence", "eventTime", "event_time", "traceId", "trace_id"})
SAID_BY_CLIENTS = frozenset({"content_ready", "content_shown", "content_failed"})
_KINDS = event_pb2.Event.DESCRIPTOR.oneofs_by_name["kind"].fields
KINDS = {name: field.name for field in _KINDS for name in (field.name, field.json_name)}


@dataclass(frozen=True)
class TraceEvent:
    """One event of a trace: when, what, and on which line it stands."""

    offset_s: float
    happened: Message
    line: int


@dataclass(frozen=True)
class Trace:
    """A whole trace.

    Attributes:
        path: its file.
        world: the world that its first line names.
        events: in order; content_* events of the recorded client are left out.
        skipped: how many were left out.
    """

    path: Path
    world: WorldFile
    events: tuple[TraceEvent, ...]
    skipped: int


class _Problem(Exception):
    """What is wrong with a line."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def read_trace(path: Path) -> Trace:
    """The trace in a file, all of it checked against its world.

    Raises:
        NotFound: no such file, or no such world file.
        TooMuch: the file or a line is too large.
        InvalidInput: lines or the world are wrong; names file, line, field, what was got and what is allowed, for
            the first 50 problems.
    """
    lines = list(_lines(path))
    if not lines:
        raise InvalidInput(f'{path}: is empty; the first line must be {{"world": FILE}}')
    world = _world(path, *lines[0])
    names = Names.of(world.world)
    events: list[TraceEvent] = []
    problems: list[FieldProblem] = []
    skipped, last_s = 0, 0.0
    for number, text in lines[1:]:
        try:
            event = _event(number, text, last_s)
            last_s = event.offset_s
            if _kind_name(event.happened) in SAID_BY_CLIENTS:
                skipped += 1
                continue
            for field, message in unknown_names(event.happened, names):
                raise _Problem(field, message)
            events.append(event)
        except _Problem as problem:
            problems.append(FieldProblem(f"{path}:{number}: {problem.field}", problem.message))
    if problems:
        raise _invalid(problems)
    return Trace(path, world, tuple(events), skipped)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of all lines that are not empty."""
    try:
        size = path.stat().st_size
        if size > MAX_TRACE_BYTES:
            raise TooMuch(f"{path}: got {size:,} bytes, a trace has at most {MAX_TRACE_BYTES:,}")
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path}: cannot be read ({error.strerror})") from error
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if len(raw) > MAX_LINE_BYTES:
            raise TooMuch(f"{path}:{number}: got a line of {len(raw):,} bytes, allowed {MAX_LINE_BYTES:,}")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            at = f"byte {raw[error.start]:#04x} at column {error.start + 1}"
            raise InvalidInput(f"{path}:{number}: got {at}, allowed UTF-8 text, one JSON object a line") from error
        if text:
            yield number, text


def _world(path: Path, number: int, text: str) -> WorldFile:
    try:
        head = _object(text)
        if not isinstance(head.get("world"), str) or not head["world"].strip():
            raise _Problem("world", f'got {_shown(text)}, the first line must be {{"world": FILE}}')
    except _Problem as problem:
        raise _invalid([FieldProblem(f"{path}:{number}: {problem.field}", problem.message)]) from problem
    for folder in (path.parent, Path.cwd()):
        if _is_file(folder / head["world"]):
            return read_world_file(folder / head["world"])
    named = _shown(repr(head["world"]))
    raise NotFound(
        f"{path}:{number}: world: got {named}, which is no file beside the trace, in {path.parent}, nor here"
    )


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _event(number: int, text: str, last_s: float) -> TraceEvent:
    fields = _object(text)
    offset_s = _offset(fields, last_s)
    named = [name for name in fields if name != "offset_s" and name not in IGNORED_FIELDS]
    unknown = [name for name in named if name not in KINDS]
    if unknown:
        allowed = f"allowed offset_s and one of {', '.join(sorted(set(KINDS.values())))}"
        raise _Problem(unknown[0][:60], f"got an unknown field, {allowed}")
    if len(named) != 1:
        got = f"got {', '.join(named)}" if named else "got no event"
        raise _Problem("event", f"{got}, allowed exactly one kind of event a line")
    kind = named[0]
    event = event_pb2.Event()
    try:
        json_format.ParseDict({kind: fields[kind]}, event)
    except (json_format.ParseError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _Problem(kind, f"got {_shown(json.dumps(fields[kind]))}: {_first_line(error)}") from error
    if event.WhichOneof("kind") is None:
        raise _Problem(kind, f"got {_shown(json.dumps(fields[kind]))}, allowed an object with the event's fields")
    happened: Message = getattr(event, KINDS[kind])
    for field, value in _numbers(happened):
        if not math.isfinite(value) or value < 0:
            raise _Problem(f"{kind}.{field}", f"got {value}, allowed a finite number of 0 or more")
    return TraceEvent(offset_s, happened, number)


def _offset(fields: Mapping[str, Any], last_s: float) -> float:
    value = fields.get("offset_s")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Problem("offset_s", f"got {_shown(json.dumps(value))}, allowed a number of seconds")
    if not math.isfinite(value) or not 0.0 <= value <= MAX_OFFSET_S:
        raise _Problem("offset_s", f"got {value}, allowed 0 to {MAX_OFFSET_S:.0f} seconds")
    if value < last_s:
        raise _Problem("offset_s", f"got {value}, allowed {last_s} or more: the line before has that")
    return float(value)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Problem("line", f"got {_shown(text)}, allowed one JSON object ({_first_line(error)})") from error
    if not isinstance(value, dict):
        raise _Problem("line", f"got {_shown(text)}, allowed one JSON object")
    return value


def _numbers(message: Message) -> Iterator[tuple[str, float]]:
    """Every number that is set in a message and the messages in it, with its path."""
    for field, value in message.ListFields():
        for item in value if isinstance(value, list) or hasattr(value, "add") else [value]:
            if isinstance(item, Message):
                yield from ((f"{field.name}.{name}", number) for name, number in _numbers(item))
            elif isinstance(item, float | int) and not isinstance(item, bool):
                yield field.name, float(item)


def _kind_name(happened: Message) -> str:
    return next(field.name for field in _KINDS if field.message_type is happened.DESCRIPTOR)


def _invalid(problems: list[FieldProblem]) -> InvalidInput:
    shown = problems[:MAX_PROBLEMS]
    text = "\n".join(f"{problem.field}: {problem.message}" for problem in shown)
    more = f"\nand {len(problems) - len(shown)} problems more" if len(problems) > len(shown) else ""
    return InvalidInput(text + more, fields=tuple(shown))


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
