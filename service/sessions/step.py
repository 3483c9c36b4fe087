"""Step: all that one call or one piece of news changes in one session, gathered into one durable write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection

from service.errors import ServiceError
from service.ids import GateId, SegmentId
from service.play.event import Event, EventKind
from service.play.session import SessionState, with_announced
from service.quality import Quality
from service.sessions.journal import Row, Write
from service.sessions.json_form import layout, to_json
from service.sessions.live import LiveSession
from service.sessions.rejection import rejection_json
from service.sessions.views import ContentAnnounced, Update, UpdateKind

log = logging.getLogger(__name__)

SNAPSHOT_EVENTS = 64
"""Events between two snapshots: how many are folded at most when a session is read."""

ROW_AFTER_S = 30.0
"""How far behind its session a row's time of activity may be."""


@cache
def snapshot_layout() -> str:
    """The layout of snapshots that this version writes; those of another are not read."""
    return layout(SessionState)


@dataclass(frozen=True)
class Arrival:
    """Content that a client says is ready, and how long after its announcement."""

    content: ContentAnnounced
    took_s: float


class Step:
    """Changes `session` in memory as things are added; `write` is what makes them durable, all or nothing."""

    def __init__(self, session: LiveSession, now_s: float, *, ring_updates: int) -> None:
        self.session = session
        self.now_s = now_s
        self.updates: list[Update] = []
        self.arrivals: list[Arrival] = []
        self._ring_updates = ring_updates
        self._events: dict[int, Row] = {}
        self._rejections: list[Row] = []
        self._announcements: list[Row] = []
        self._also: list[Callable[[Connection], None]] = []
        self._changed = False

    def add_event(self, event: Event) -> None:
        """Keep an event: held, or about to be applied."""
        session = self.session
        session.remember(event.sequence, event.event_id)
        self._events[event.sequence] = {
            "session_id": session.session_id,
            "sequence": event.sequence,
            "event_id": event.event_id,
            "time_s": event.time_s,
            "trace_id": event.trace_id,
            "body": to_json(EventKind, event.kind),
            "rejection": None,
        }

    def apply(self, event: Event, state: SessionState) -> None:
        """The event's turn came; `state` is what it led to."""
        self._spend(event)
        self.session.state = state

    def reject(self, event: Event, why: ServiceError) -> None:
        """The event's turn came, and it could not be applied: its sequence number is spent."""
        self._spend(event)
        self.session.rejected[event.sequence] = why
        if event.sequence in self._events:
            self._events[event.sequence]["rejection"] = rejection_json(why)
        else:
            row = {"row_id": self.session.session_id, "row_sequence": event.sequence, "why": rejection_json(why)}
            self._rejections.append(row)

    def tell(self, kind: UpdateKind, trace_id: str) -> None:
        """Add an update for the session's watchers."""
        self.session.cursor += 1
        self.updates.append(Update(self.session.cursor, self.now_s, trace_id, kind))

    def announce(self, content: ContentAnnounced, trace_id: str) -> None:
        """Tell of content, and note in the state that it was announced."""
        session, ref = self.session, content.content
        session.state = with_announced(session.state, content.gate, ref.quality, ref.segment)
        session.add_content(content)
        session.told_s[ref.segment] = self.now_s
        self.tell(content, trace_id)
        names = {"session": session.session_id, "gate": content.gate, "segment": ref.segment, "scene": ref.scene}
        log.info("announced %s", ref.quality.name, extra=names | {"trace_id": trace_id, "reused": content.reused})
        self._announcements.append(
            {
                "session_id": session.session_id,
                "cursor": session.cursor,
                "applied_sequence": session.applied_sequence,
                "body": to_json(ContentAnnounced, content),
            }
        )

    def arrived(self, gate: GateId, segment: SegmentId) -> None:
        """Note that content is ready at the client; counts only once, and only if this process announced it."""
        told_s = self.session.told_s.pop(segment, None)
        content = self.session.announced.get(gate, {}).get(segment)
        if told_s is not None and content is not None and content.content.quality > Quality.PLACEHOLDER:
            self.arrivals.append(Arrival(content, self.now_s - told_s))

    def also(self, function: Callable[[Connection], None]) -> None:
        """Do something else in the same transaction."""
        self._also.append(function)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        parts = (self._events, self._rejections, self.updates, self._also)
        return not self._changed and not any(parts)

    def write(self, settled: Callable[[ServiceError | None], None], **first: Any) -> Write:
        """The durable form of this step; `first` are the rows of a new session and its request."""
        session = self.session
        return Write(
            session.lineage,
            settled,
            events=list(self._events.values()),
            rejections=self._rejections,
            updates=[_update_row(session, update) for update in self.updates],
            announcements=self._announcements,
            session=self._row(),
            snapshot=self._snapshot(),
            kept_cursor=self._kept(),
            also=self._also,
            **first,
        )

    def _spend(self, event: Event) -> None:
        session = self.session
        session.applied_sequence = event.sequence
        session.trace_id = event.trace_id
        session.active_s = self.now_s
        self._changed = True

    def _row(self) -> Row | None:
        session = self.session
        if session.status is session.stored_status and session.active_s - session.stored_active_s < ROW_AFTER_S:
            return None
        session.stored_status, session.stored_active_s = session.status, session.active_s
        return {
            "row_id": session.session_id,
            "new_status": int(session.status),
            "new_active_s": session.active_s,
        }

    def _snapshot(self) -> Row | None:
        session = self.session
        if session.applied_sequence - session.snapshot_sequence < SNAPSHOT_EVENTS:
            return None
        session.snapshot_sequence = session.applied_sequence
        return snapshot_row(session)

    def _kept(self) -> Row | None:
        session, first = self.session, self.session.cursor - self._ring_updates + 1
        if first - session.kept_cursor < self._ring_updates:
            return None
        session.kept_cursor = first
        return {"row_id": session.session_id, "first_cursor": first}


def snapshot_row(session: LiveSession) -> Row:
    """The row of `snapshots` that holds the session as it stands."""
    return {
        "session_id": session.session_id,
        "applied_sequence": session.applied_sequence,
        "cursor": session.cursor,
        "layout": snapshot_layout(),
        "body": to_json(SessionState, session.state),
    }


def _update_row(session: LiveSession, update: Update) -> Row:
    return {
        "session_id": session.session_id,
        "cursor": update.cursor,
        "time_s": update.time_s,
        "trace_id": update.trace_id,
        "body": to_json(UpdateKind, update.kind),
    }
