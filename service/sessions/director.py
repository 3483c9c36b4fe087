"""The Director: the one door to sessions and worlds for `service/api`. Everything here runs on the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine

from service.clock import Clock
from service.errors import NotApplicable, ServiceError, Unavailable
from service.ids import AssetId, PlayerId, SegmentId, SessionId, WorldId
from service.play.event import Event
from service.sessions.archive import Archive
from service.sessions.colliders import store_colliders
from service.sessions.commit_sign import CommitSign
from service.sessions.foreman import Foreman
from service.sessions.founding import Founder, taken
from service.sessions.housekeeper import Housekeeper
from service.sessions.intake import take, unremembered
from service.sessions.job_feed import JobFeed
from service.sessions.journal import Journal
from service.sessions.keeper import Keeper
from service.sessions.ladder import Ladders
from service.sessions.live import LiveSession
from service.sessions.own_placeholder import OwnPlaceholders
from service.sessions.pace import WorkPace
from service.sessions.placeholder import Placeholders
from service.sessions.planner import Planner
from service.sessions.reactions import mark_unseen
from service.sessions.ready import ReadyIndex
from service.sessions.registry import Registry
from service.sessions.replacement import replacement
from service.sessions.ring import UpdateRing
from service.sessions.settings import DirectorSettings
from service.sessions.views import (
    ClientProfile,
    ReportResult,
    SessionClosed,
    SessionStatus,
    SessionView,
    StoredWorld,
    Update,
)
from service.sessions.watching import Subscription
from service.sessions.world_table import WorldTable
from service.specs import ModelInfo
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.work.table import JobTable
from service.worlds.world import World

__all__ = ["Director", "DirectorSettings", "Subscription"]

Result = TypeVar("Result")
log = logging.getLogger(__name__)
READERS = 2


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
        self._clock = clock
        self._settings = settings
        self._draining = False
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="narthex-reader")
        self._worlds = WorldTable(engine, clock, model_info.made)
        self._archive = Archive(engine, self._worlds.revision, settings.ring_updates)
        self._journal = Journal(engine, settings.max_pending_writes)
        self._registry = Registry(self._archive, clock, self._off_loop, settings.max_sessions_loaded)
        self._keeper = Keeper(self._journal, self._registry, clock, settings)
        ready = ReadyIndex(catalogue, jobs, clock, self._off_loop)
        ladders = Ladders(model_info)
        pace = WorkPace()
        self._sign = CommitSign(engine)
        feed = JobFeed(jobs, self._sign, pace, clock, self._off_loop)
        planner = Planner(jobs, self._journal.run, feed, pace, ladders, ready, clock)
        housekeeper = Housekeeper(engine, catalogue, self._registry, self._journal, clock, settings)
        self._foreman = Foreman(self._registry, self._keeper, planner, feed, ready, housekeeper, clock, settings)
        clips = OwnPlaceholders(engine, blobs, catalogue, jobs, clock)
        self._placeholders = Placeholders(engine, blobs, catalogue, clips)
        self._store_colliders = partial(store_colliders, engine=engine, blobs=blobs, catalogue=catalogue)
        self._founder = Founder(self._placeholders, ladders, ready, clock)

    async def start(self) -> None:
        """Start the journal, store the built-in placeholder, load the sessions that were active lately."""
        self._journal.start()
        await self._journal.run(self._placeholders.store_mist)
        await self._foreman.start()
        since_s = self._clock() - self._settings.idle_unload_s
        limit = max(1, self._settings.max_sessions_loaded // 2)
        for session_id in await self._off_loop(lambda: self._archive.active_since(since_s, limit)):
            await self._load_quietly(session_id)

    async def run(self) -> None:
        """Follow jobs, plan, announce and hand over until cancelled or drained."""
        while not self._draining:
            try:
                await self.turn()
            except ServiceError as error:
                if not self._draining:
                    log.warning("a turn of the director failed: %s", error)
            except Exception:
                log.exception("a turn of the director failed")
            await asyncio.sleep(self._settings.turn_s)

    async def turn(self) -> None:
        """One round of what `run` does."""
        await self._foreman.turn()

    async def drain(self) -> None:
        """Refuse new calls (Unavailable), write what is pending, stop the journal."""
        self._draining = True
        await self._registry.stop()
        await self._journal.stop()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._sign.close()

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
        self._check_open()
        async with self._founder.one_at_a_time(request_id):
            if request_id:
                known = await self._off_loop(lambda: self._archive.session_of_request(request_id))
                if known is not None:
                    return await self.session(known)
            with self._founder.reserve(session_id) as new_id:
                session = await self._found(new_id, world_id, profile, players, request_id)
        return session.view(self._clock())

    async def _found(
        self,
        new_id: SessionId,
        world_id: WorldId,
        profile: ClientProfile,
        players: tuple[PlayerId, ...],
        request_id: str,
    ) -> LiveSession:
        exists = await self._off_loop(lambda: self._archive.exists(new_id))
        if exists or self._registry.loaded(new_id) is not None:
            raise taken(new_id)
        world = await self._off_loop(lambda: self._placeholders.restore(self._worlds.world(world_id).world))
        session = self._founder.found(new_id, world, profile, players, UpdateRing(self._settings.ring_updates))
        await self._founder.look_up_content(session)
        self._registry.make_room()
        self._journal.check_room()
        step = self._keeper.begin(session)
        self._founder.announce(step)
        self._registry.add(session)
        await self._settled(self._keeper.commit(step, **self._founder.rows(session, request_id)))
        return session

    async def session(self, session_id: SessionId) -> SessionView:
        """The session as it stands. Raises NotFound."""
        session = await self._registry.get(session_id)
        return session.view(self._clock())

    async def list_sessions(
        self, world_id: WorldId | None, page_size: int, after: SessionId | None
    ) -> list[SessionView]:
        """At most `page_size` sessions by id, those after `after`; of one world only where it is given."""
        views = []
        for session_id in await self._off_loop(lambda: self._archive.page(world_id, page_size, after)):
            session = self._registry.loaded(session_id) or await self._look_at(session_id)
            views.append(session.view(self._clock()))
        return views

    async def close_session(self, session_id: SessionId) -> SessionView:
        """The session, closed; closing a closed one again is fine. Raises NotFound."""
        self._check_open()
        session = await self._registry.get(session_id)
        if session.status is not SessionStatus.CLOSED:
            step = self._keeper.begin(session)
            session.status = SessionStatus.CLOSED
            for gate, at in session.state.gates.items():
                if at.shown is None:
                    mark_unseen(step, gate, wasted=True)
            step.tell(SessionClosed(), session.trace_id)
            self._foreman.dirty(session)
            await self._settled(self._keeper.commit(step))
        await self._keeper.durable(session)
        return session.view(self._clock())

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
        self._check_open()
        session = await self._registry.get(session_id)
        forgotten, old = unremembered(session, events), {}
        if forgotten:
            old = await self._off_loop(lambda: self._archive.old_events(session_id, forgotten))
            session = await self._registry.get(session_id)
        if session.status is SessionStatus.CLOSED:
            metadata = {"applied_sequence": str(session.applied_sequence)}
            raise NotApplicable(f"the session {session_id!r} is closed", reason="SESSION_CLOSED", metadata=metadata)
        self._journal.check_room()
        step = self._keeper.begin(session)
        intake = take(step, events, old)
        if step.is_empty:
            await self._keeper.durable(session)  # what was repeated may still be on its way
        else:
            self._foreman.heard(step)
            await self._settled(self._keeper.commit(step))
        if intake.error is not None:
            raise intake.error
        return ReportResult(session.durable_sequence, intake.duplicates, intake.held)

    async def updates(self, session_id: SessionId, cursor: int, limit: int, wait_s: float) -> list[Update]:
        """At most `limit` updates after `cursor`; waits up to `wait_s` for the first. Raises NotFound.

        Where `cursor` is not kept any more or was never given out, `replacement` comes instead. After the end of a
        session its last update, SessionClosed, is given again.
        """
        session = await self._registry.get(session_id)
        if wait_s > 0 and session.ring.newest == cursor and session.status is not SessionStatus.CLOSED:
            with Subscription(self._registry, session_id) as subscription:
                await subscription.wait(cursor, wait_s)
            session = await self._registry.get(session_id)
        found = session.ring.after(cursor, limit)
        if found is None:
            return replacement(session, cursor, self._clock())
        if not found and session.status is SessionStatus.CLOSED:
            return list(session.ring.after(cursor - 1, 1) or ())
        return found

    async def subscribe(self, session_id: SessionId) -> Subscription:
        """A light place from which to wait for updates. Raises NotFound.

        Loop: `updates(session, cursor, n, 0)`, send them, `await subscription.wait(cursor)`. After the update
        SessionClosed nothing follows.
        """
        session = await self._registry.get(session_id)
        self._foreman.dirty(session)  # its watcher wants forecasts
        return Subscription(self._registry, session_id)

    async def is_released(self, session_id: SessionId, asset: AssetId) -> bool:
        """Whether an asset was announced to a session (what a player token may read). Raises NotFound."""
        session = await self._registry.get(session_id)
        return asset in session.released_assets()

    def segments_on_screen(self) -> frozenset[SegmentId]:
        """Segments that some session in memory shows or was told of: eviction must keep them."""
        told = (of_gate for session in self._registry for of_gate in session.announced.values())
        return frozenset(segment for of_gate in told for segment in of_gate)

    async def put_world(self, world_id: WorldId, source: bytes, validate_only: bool) -> StoredWorld:
        """The world that `source` describes, stored unless `validate_only`. Raises InvalidInput."""
        self._check_open()
        world = await self._off_loop(lambda: self._worlds.check(world_id, source))
        if validate_only:
            return StoredWorld(world, self._clock())
        await self._off_loop(lambda: self._prepare(world))
        return await self._journal.run(lambda: self._worlds.put(world))

    def _prepare(self, world: World) -> None:
        """Store what a world brings with it: meshes to collide with, and clips that are made into placeholders."""
        self._store_colliders(world)
        self._placeholders.prepare(world)

    async def world(self, world_id: WorldId) -> StoredWorld:
        """The newest revision of a world. Raises NotFound."""
        return await self._off_loop(lambda: self._worlds.world(world_id))

    async def worlds(self, page_size: int, after: WorldId | None) -> list[StoredWorld]:
        """At most `page_size` worlds by id, those after `after`."""
        return await self._off_loop(lambda: self._worlds.page(page_size, after))

    async def delete_world(self, world_id: WorldId) -> None:
        """Forget a world; sessions that play it go on. Raises NotFound."""
        self._check_open()
        await self._journal.run(lambda: self._worlds.delete(world_id))

    async def _off_loop(self, function: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, function)
        except RuntimeError as error:
            if not self._draining:
                raise
            raise Unavailable("the server is shutting down", reason="DRAINING") from error

    async def _settled(self, outcome: asyncio.Future[ServiceError | None]) -> None:
        error = await outcome
        if error is not None:
            raise error

    async def _look_at(self, session_id: SessionId) -> LiveSession:
        # Not kept: a listing must not fill the memory.
        return await self._off_loop(lambda: self._archive.load(session_id))

    async def _load_quietly(self, session_id: SessionId) -> None:
        try:
            self._foreman.dirty(await self._registry.get(session_id))
        except ServiceError as error:
            log.error("a session cannot be read", extra={"session": session_id, "error": str(error)})

    def _check_open(self) -> None:
        if self._draining:
            raise Unavailable("the server is shutting down", reason="DRAINING")
