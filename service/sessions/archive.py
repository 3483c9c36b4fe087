"""The archive: reads what the journal wrote, and folds it into sessions again. Runs off the event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, select

from service.errors import NotFound, ServiceError
from service.ids import GateId, PlayerId, SessionId, WorldId
from service.play.event import Event, EventKind
from service.play.session import apply, new_session, with_announced
from service.play.state import SessionState
from service.sessions import tables
from service.sessions.handover import Fade
from service.sessions.intake import OldEvent
from service.sessions.json_form import from_json
from service.sessions.live import RECENT_EVENTS, LiveSession, SessionFacts
from service.sessions.rejection import rejection_error
from service.sessions.ring import UpdateRing
from service.sessions.step import snapshot_layout
from service.sessions.views import (
    ClientProfile,
    ContentAnnounced,
    HandoverStarted,
    SessionStatus,
    Update,
    UpdateKind,
)
from service.store.database import read
from service.worlds.world import World

log = logging.getLogger(__name__)
WorldOf = Callable[[WorldId, str], World]
"""Returns a world by its id and revision."""


class Archive:
    """Sessions as they lie in the database. Every method is one consistent read."""

    def __init__(self, engine: Engine, world_of: WorldOf, ring_updates: int) -> None:
        self._engine = engine
        self._world_of = world_of
        self._ring_updates = ring_updates

    def load(self, session_id: SessionId) -> LiveSession:
        """The session as all its durable events and announcements make it. Raises NotFound."""
        with read(self._engine) as connection:
            query = select(tables.sessions).where(tables.sessions.c.session_id == session_id)
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFound(f"no session {session_id!r}", reason="SESSION_NOT_FOUND")
            return self._build(connection, row)

    def old_events(self, session_id: SessionId, sequences: Collection[int]) -> dict[int, OldEvent]:
        """What is stored of some events of a session, by sequence number."""
        columns = tables.events.c
        query = select(columns.sequence, columns.event_id, columns.rejection)
        query = query.where(columns.session_id == session_id, columns.sequence.in_(sorted(sequences)))
        with read(self._engine) as connection:
            return {
                row.sequence: OldEvent(row.event_id, _rejection(row.rejection)) for row in connection.execute(query)
            }

    def session_of_request(self, request_id: str) -> SessionId | None:
        """The session that a CreateSession request made, or None."""
        query = select(tables.session_requests.c.session_id)
        with read(self._engine) as connection:
            found = connection.execute(query.where(tables.session_requests.c.request_id == request_id)).scalar()
        return None if found is None else SessionId(found)

    def exists(self, session_id: SessionId) -> bool:
        """Whether there is such a session."""
        query = select(tables.sessions.c.session_id).where(tables.sessions.c.session_id == session_id)
        with read(self._engine) as connection:
            return connection.execute(query).first() is not None

    def page(self, world_id: WorldId | None, page_size: int, after: SessionId | None) -> list[SessionId]:
        """At most `page_size` session ids in their order, those after `after`, of one world or of all."""
        columns = tables.sessions.c
        query = select(columns.session_id).where(columns.session_id > (after or ""))
        if world_id is not None:
            query = query.where(columns.world_id == world_id)
        with read(self._engine) as connection:
            return [
                SessionId(name)
                for name in connection.execute(query.order_by(columns.session_id).limit(page_size)).scalars()
            ]

    def active_since(self, time_s: float, limit: int) -> list[SessionId]:
        """Open sessions that did something since `time_s`, the newest first."""
        columns = tables.sessions.c
        query = select(columns.session_id).where(
            columns.status != int(SessionStatus.CLOSED), columns.active_s >= time_s
        )
        with read(self._engine) as connection:
            return [
                SessionId(name)
                for name in connection.execute(query.order_by(columns.active_s.desc()).limit(limit)).scalars()
            ]

    def _build(self, connection: Connection, row: RowMapping) -> LiveSession:
        world = self._world_of(WorldId(row["world_id"]), row["world_revision"])
        profile = from_json(ClientProfile, row["profile"])
        facts = SessionFacts(SessionId(row["session_id"]), world, profile, row["create_s"])
        updates = self._newest_updates(connection, facts.session_id)
        ring = UpdateRing(self._ring_updates, updates[-1].cursor if updates else 0, updates)
        announced = _announcements(connection, facts.session_id)
        state, sequence, cursor = _start(connection, facts, from_json(tuple[PlayerId, ...], row["players"]))
        session = LiveSession(facts, state, ring)
        session.snapshot_sequence = sequence
        _fold(connection, session, sequence, [entry for entry in announced if entry[1] > cursor])
        for content in (entry[2] for entry in announced):
            session.add_content(content)
        _recall_events(connection, session)
        session.fades = _fades(ring.kept())
        paused = SessionStatus.PAUSED if session.state.paused else SessionStatus.ACTIVE
        closed = row["status"] == SessionStatus.CLOSED
        session.status = SessionStatus.CLOSED if closed else paused
        session.stored_status, session.stored_active_s = SessionStatus(row["status"]), row["active_s"]
        session.active_s = row["active_s"]
        return session

    def _newest_updates(self, connection: Connection, session_id: SessionId) -> list[Update]:
        columns = tables.updates.c
        query = select(tables.updates).where(columns.session_id == session_id)
        rows = connection.execute(query.order_by(columns.cursor.desc()).limit(self._ring_updates)).mappings().all()
        return [
            Update(row["cursor"], row["time_s"], row["trace_id"], from_json(UpdateKind, row["body"]))
            for row in reversed(rows)
        ]


_Announcement = tuple[int, int, ContentAnnounced]
"""After which event, at which cursor, and what."""


def _announcements(connection: Connection, session_id: SessionId) -> list[_Announcement]:
    columns = tables.announcements.c
    query = select(tables.announcements).where(columns.session_id == session_id).order_by(columns.cursor)
    return [
        (row["applied_sequence"], row["cursor"], from_json(ContentAnnounced, row["body"]))
        for row in connection.execute(query).mappings()
    ]


def _start(connection: Connection, facts: SessionFacts, players: tuple[PlayerId, ...]) -> tuple[SessionState, int, int]:
    """From where to fold: a state, the event and the update up to which it is folded."""
    query = select(tables.snapshots).where(tables.snapshots.c.session_id == facts.session_id)
    row = connection.execute(query).mappings().first()
    if row is not None and row["layout"] == snapshot_layout():
        try:
            return from_json(SessionState, row["body"]), row["applied_sequence"], row["cursor"]
        except ValueError:
            log.warning("a snapshot cannot be read; folding all events", extra={"session": facts.session_id})
    return new_session(facts.world, players, facts.create_s), 0, 0


def _fold(connection: Connection, session: LiveSession, sequence: int, announced: Sequence[_Announcement]) -> None:
    """Fold the events after `sequence`, with what was announced between them; events after a gap stay held."""
    waiting = list(reversed(announced))
    columns = tables.events.c
    query = select(tables.events).where(columns.session_id == session.session_id, columns.sequence > sequence)
    session.applied_sequence = sequence
    _announce_until(session, waiting)
    for row in connection.execute(query.order_by(columns.sequence)).mappings():
        event = _event(row)
        session.remember(event.sequence, event.event_id)
        if event.sequence != session.applied_sequence + 1:
            session.held[event.sequence] = event
            continue
        session.applied_sequence = event.sequence
        session.trace_id = event.trace_id
        if row["rejection"] is None:
            _fold_one(session, event)
        _announce_until(session, waiting)
    session.durable_sequence = session.applied_sequence


def _fold_one(session: LiveSession, event: Event) -> None:
    try:
        session.state, _ = apply(session.world, session.state, event)
    except ServiceError:
        # It could be applied when it came: the rules of an older version. The number stays spent.
        log.warning("a stored event no longer applies", extra={"session": session.session_id, "event": event.event_id})


def _announce_until(session: LiveSession, waiting: list[_Announcement]) -> None:
    while waiting and waiting[-1][0] <= session.applied_sequence:
        ref = waiting.pop()[2].content
        session.state = with_announced(session.state, ref.gate, ref.quality, ref.segment)


def _recall_events(connection: Connection, session: LiveSession) -> None:
    """Remember the newest events' ids and rejections, so that repeats are told without asking the table."""
    columns = tables.events.c
    query = select(columns.sequence, columns.event_id, columns.rejection).where(
        columns.session_id == session.session_id, columns.sequence > session.applied_sequence - RECENT_EVENTS
    )
    for row in connection.execute(query):
        session.event_ids[row.sequence] = row.event_id
        session.sequences[row.event_id] = row.sequence
        if row.rejection is not None:
            session.rejected[row.sequence] = rejection_error(row.rejection)


def _fades(updates: Sequence[Update]) -> dict[GateId, Fade]:
    fades = {}
    for update in updates:
        if isinstance(update.kind, HandoverStarted):
            target, end_s = update.kind.target, update.time_s + update.kind.start_s + update.kind.duration_s
            fades[update.kind.gate] = Fade(target.quality, target.segment, end_s)
    return fades


def _event(row: RowMapping) -> Event:
    kind: Any = from_json(EventKind, row["body"])
    return Event(row["event_id"], row["sequence"], row["time_s"], row["trace_id"], kind)


def _rejection(text: str | None) -> ServiceError | None:
    return None if text is None else rejection_error(text)
