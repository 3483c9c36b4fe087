"""Wire events become domain events here, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from narthex.v1 import event_pb2

from service.api.convert import names
from service.api.convert.names import bad_field, shown
from service.ids import ChainId, GateId, PlayerId, TaskId
from service.logs import new_trace_id
from service.play import event
from service.quality import Quality

MAX_EVENTS = 256
MAX_EVENT_ID_CHARACTERS = 128
MAX_REASON_CHARACTERS = 1_000
MAX_SEQUENCE = 2**62
MAX_AGE_S = 60.0
CONTENT_KINDS = (event.ContentReady, event.ContentShown, event.ContentFailed)
"""What a player token may say."""
_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")


def to_events(messages: Sequence[event_pb2.Event], now_s: float, trace_id: str = "") -> list[event.Event]:
    """Domain events in the given order; those without a time get `now_s`, without a trace id the given or a new one.

    Raises:
        InvalidInput: none or too many, or a field is malformed; paths begin with `events[i]`. Whether ids are
            known and numbers make sense is for the play state to say.
    """
    if not 1 <= len(messages) <= MAX_EVENTS:
        raise bad_field("events", f"got {len(messages)} events, allowed 1 .. {MAX_EVENTS}")
    events = [_to_event(message, f"events[{index}]", now_s, trace_id) for index, message in enumerate(messages)]
    dated = [index for index, message in enumerate(messages) if message.HasField("event_time")]
    return _rebased(events, dated, now_s) if dated else events


def _rebased(events: list[event.Event], dated: list[int], now_s: float) -> list[event.Event]:
    """The events with those at `dated` in server time. A game's clock may be anything: where the newest would lie in
    the future, or more than a minute back, all are shifted so that it is now, and the times between them stay.
    """
    ahead_s = max(events[index].time_s for index in dated) - now_s
    if not -MAX_AGE_S <= ahead_s <= 0:
        for index in dated:
            events[index] = replace(events[index], time_s=events[index].time_s - ahead_s)
    return events


def _to_event(message: event_pb2.Event, path: str, now_s: float, trace_id: str) -> event.Event:
    if not 1 <= len(message.event_id) <= MAX_EVENT_ID_CHARACTERS:
        got = len(message.event_id)
        raise bad_field(f"{path}.event_id", f"got {got} characters, allowed 1 .. {MAX_EVENT_ID_CHARACTERS}")
    if not 1 <= message.sequence <= MAX_SEQUENCE:
        raise bad_field(f"{path}.sequence", f"got {message.sequence}, allowed 1 and up")
    if message.trace_id and not _TRACE_ID.match(message.trace_id):
        raise bad_field(f"{path}.trace_id", f"got {shown(message.trace_id)}, expected 32 hex digits in lower case")
    kind = message.WhichOneof("kind")
    if kind is None:
        raise bad_field(f"{path}.kind", f"got none, expected one of {', '.join(_KINDS)}")
    return event.Event(
        event_id=message.event_id,
        sequence=message.sequence,
        time_s=names.epoch_s(message.event_time, f"{path}.event_time") if message.HasField("event_time") else now_s,
        trace_id=message.trace_id or trace_id or new_trace_id(),
        kind=_KINDS[kind](getattr(message, kind), f"{path}.{kind}"),
    )


def _progressed(part: event_pb2.TaskProgressed, path: str) -> event.TaskProgressed:
    which = part.WhichOneof("progress")
    if which is None:
        raise bad_field(f"{path}.progress", "got none, expected one of fraction, remaining_steps, eta_s")
    return event.TaskProgressed(ChainId(part.chain), TaskId(part.task), **{which: getattr(part, which)})


def _content(part: Any, path: str) -> tuple[GateId, Any, Quality]:
    quality = to_quality(part.quality, f"{path}.quality")
    return GateId(part.gate), names.segment_id(part.segment, f"{path}.segment"), quality


def _failed(part: event_pb2.ContentFailed, path: str) -> event.ContentFailed:
    return event.ContentFailed(*_content(part, path), reason=part.reason[:MAX_REASON_CHARACTERS])


def _restored(part: event_pb2.StateRestored, path: str) -> event.StateRestored:
    chains = [_chain(c, f"{path}.snapshot.chains[{i}]") for i, c in enumerate(part.snapshot.chains)]
    return event.StateRestored(tuple(chains), tuple(GateId(gate) for gate in part.snapshot.opened_gates))


def _chain(part: event_pb2.ChainSnapshot, path: str) -> event.ChainSnapshot:
    tasks = []
    for index, task in enumerate(part.tasks):
        status = _status(event.TaskStatus, task.status, f"{path}.tasks[{index}].status")
        tasks.append(event.TaskSnapshot(TaskId(task.task), status, task.fraction, task.elapsed_s))
    status = _status(event.ChainStatus, part.status, f"{path}.status")
    return event.ChainSnapshot(ChainId(part.chain), status, tuple(tasks))


def _status(kind: type[Any], value: int, path: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise bad_field(path, f"got {value}, expected one of {', '.join(kind.__members__)}") from None


def to_quality(value: int, path: str) -> Quality:
    """A quality of the wire that is set. Raises InvalidInput."""
    try:
        return Quality(value)
    except ValueError:
        raise bad_field(path, f"got {value}, expected QUALITY_PLACEHOLDER, QUALITY_DRAFT or QUALITY_FULL") from None


def to_players(players: Iterable[str]) -> tuple[PlayerId, ...]:
    """Player ids as the wire has them."""
    return tuple(PlayerId(player) for player in players)


_KINDS: dict[str, Callable[[Any, str], event.EventKind]] = {
    "chain_accepted": lambda part, _: event.ChainAccepted(ChainId(part.chain)),
    "task_started": lambda part, _: event.TaskStarted(ChainId(part.chain), TaskId(part.task)),
    "task_progressed": _progressed,
    "task_completed": lambda part, _: event.TaskCompleted(ChainId(part.chain), TaskId(part.task)),
    "chain_abandoned": lambda part, _: event.ChainAbandoned(ChainId(part.chain)),
    "gate_approached": lambda part, _: event.GateApproached(GateId(part.gate), part.distance_m),
    "gate_opened": lambda part, _: event.GateOpened(GateId(part.gate)),
    "content_ready": lambda part, path: event.ContentReady(*_content(part, path)),
    "content_shown": lambda part, path: event.ContentShown(*_content(part, path), stall_ms=part.stall_ms),
    "content_failed": _failed,
    "session_paused": lambda _, __: event.SessionPaused(),
    "session_resumed": lambda _, __: event.SessionResumed(),
    "state_restored": _restored,
    "party_changed": lambda part, _: event.PartyChanged(to_players(part.players)),
}
