"""The Director: the one door to sessions and worlds for `service/api`. Everything here runs on the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from service.clock import Clock
from service.ids import AssetId, PlayerId, SessionId, WorldId
from service.play.event import Event
from service.sessions.views import ClientProfile, ReportResult, SessionView, StoredWorld, Update
from service.specs import ModelInfo
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.work.table import JobTable


@dataclass(frozen=True)
class DirectorSettings:
    """Policy of the Director.

    Attributes:
        max_pending_writes: calls that may wait for the disk before further ones get TooMuch.
        ring_updates: newest updates of a session that a watcher can resume from.
        plan_interval_s: planning happens at most this often.
        idle_unload_s: a session without calls or watchers for so long leaves memory (never the database).
        max_sessions_loaded: sessions in memory; more get TooMuch.
    """

    max_pending_writes: int = 8192
    ring_updates: int = 512
    plan_interval_s: float = 0.1
    idle_unload_s: float = 900.0
    max_sessions_loaded: int = 20_000


class Subscription:
    """A watcher's place: nothing but a wake-up. Use as `with director.subscribe(session) as subscription`."""

    async def wait(self, after_cursor: int, timeout_s: float | None = None) -> bool:
        """True as soon as the session has an update after `after_cursor`; False after `timeout_s`."""
        raise NotImplementedError

    def __enter__(self) -> Subscription:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError


class Director:
    """Sessions and worlds: durable events in; updates, plans and hand-overs out.

    Construct it, then `await start()`, run `run()` as a task, and `await drain()` at the end.
    Every method raises service.errors only.
    """

    def __init__(
        self,
        engine: Engine,
        blobs: BlobStore,
        catalogue: Catalogue,
        jobs: JobTable,
        clock: Clock,
        model_info: ModelInfo,
        settings: DirectorSettings,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Start the journal, store the built-in placeholder, load the sessions that were active lately."""
        raise NotImplementedError

    async def run(self) -> None:
        """Follow jobs, plan, announce and hand over until cancelled or drained."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Refuse new calls (Unavailable), write what is pending, snapshot sessions, stop the journal."""
        raise NotImplementedError

    async def create_session(
        self,
        world_id: WorldId,
        profile: ClientProfile,
        players: tuple[PlayerId, ...],
        session_id: SessionId | None = None,
        request_id: str = "",
    ) -> SessionView:
        """The new session, or the one that an equal `request_id` made.

        Raises:
            NotFound: no such world.
            AlreadyExists: `session_id` is taken.
            InvalidInput: `session_id` or a player id is malformed (fields `session_id`, `session.players[i]`).
        """
        raise NotImplementedError

    async def session(self, session_id: SessionId) -> SessionView:
        """The session as it stands. Raises NotFound."""
        raise NotImplementedError

    async def list_sessions(
        self, world_id: WorldId | None, page_size: int, after: SessionId | None
    ) -> list[SessionView]:
        """At most `page_size` sessions by id, those after `after`; of one world only where it is given."""
        raise NotImplementedError

    async def close_session(self, session_id: SessionId) -> SessionView:
        """The session, closed; closing a closed one again is fine. Raises NotFound."""
        raise NotImplementedError

    async def report(self, session_id: SessionId, events: Sequence[Event]) -> ReportResult:
        """Apply events in order; returns when they are durable.

        Raises (errors carry metadata `applied_sequence`; field paths begin with `events[i]`):
            NotFound: no such session.
            NotApplicable: the session is closed, or an event is not possible in the present state.
            InvalidInput: an event names something unknown.
            Conflict: a known sequence number with another event id.
            OutOfWindow: more than 256 ahead of the next expected event (metadata `expected_sequence`).
            TooMuch: too many writes are pending.
        """
        raise NotImplementedError

    async def updates(self, session_id: SessionId, cursor: int, limit: int, wait_s: float) -> list[Update]:
        """At most `limit` updates after `cursor`; waits up to `wait_s` for the first. Raises NotFound.

        Where `cursor` is not kept any more or was never given out, the first is SessionReplaced.
        """
        raise NotImplementedError

    async def subscribe(self, session_id: SessionId) -> Subscription:
        """A light place from which to wait for updates. Raises NotFound.

        Loop: `updates(session, cursor, n, 0)`, send them, `await subscription.wait(cursor)`. After the update
        SessionClosed nothing follows.
        """
        raise NotImplementedError

    async def is_released(self, session_id: SessionId, asset: AssetId) -> bool:
        """Whether an asset was announced to a session (what a player token may read). Raises NotFound."""
        raise NotImplementedError

    async def put_world(self, world_id: WorldId, source: bytes, validate_only: bool) -> StoredWorld:
        """The world that `source` describes, stored unless `validate_only`. Raises InvalidInput."""
        raise NotImplementedError

    async def world(self, world_id: WorldId) -> StoredWorld:
        """The newest revision of a world. Raises NotFound."""
        raise NotImplementedError

    async def worlds(self, page_size: int, after: WorldId | None) -> list[StoredWorld]:
        """At most `page_size` worlds by id, those after `after`."""
        raise NotImplementedError

    async def delete_world(self, world_id: WorldId) -> None:
        """Forget a world; sessions that play it go on. Raises NotFound."""
        raise NotImplementedError
