"""PlayService: open a session, report what happens, hear what can be shown."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from narthex.v1 import play_service_pb2 as pb2
from narthex.v1 import session_pb2

from service.api.auth import DEFAULT_TTL_S, MAX_TTL_S, Role
from service.api.call import Access, Call, Door, abort, endpoint
from service.api.convert import names
from service.api.convert.events import CONTENT_KINDS, to_events, to_players
from service.api.convert.session import session_message, to_profile, update_message
from service.api.pages import MAX_PAGE_SIZE, cut_page, read_page
from service.api.statuses import resume_status
from service.clock import Clock
from service.errors import Forbidden, Unauthenticated, Unavailable
from service.ids import SessionId
from service.play.event import Event, GateApproached, TaskProgressed
from service.sessions.director import Director
from service.sessions.views import SessionClosed, Update

logger = logging.getLogger(__name__)

WATCH_BATCH = 64
DEFAULT_UPDATES = 100
MAX_WAIT_S = 30.0
MAX_PLAYERS = 256
OFTEN = (TaskProgressed, GateApproached)
"""Events that come many times a second: logged at the level debug."""


@dataclass(frozen=True)
class WatchSettings:
    """`write_timeout_s`: how long a watcher may leave an update untaken before it is told to resume."""

    write_timeout_s: float = 10.0


class PlayService:
    """Sessions, events and updates."""

    def __init__(self, door: Door, director: Director, clock: Clock, watch: WatchSettings) -> None:
        self.door = door
        self._director = director
        self._clock = clock
        self._watch = watch
        self._watchers: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    @endpoint()
    async def CreateSession(self, request: pb2.CreateSessionRequest, call: Call) -> session_pb2.Session:
        """The new session, or the one that an equal request id made."""
        wanted = request.session
        if len(wanted.players) > MAX_PLAYERS:
            got = len(wanted.players)
            raise names.bad_field("session.players", f"got {got} players, allowed 0 .. {MAX_PLAYERS}")
        view = await self._director.create_session(
            names.world_id(wanted.world, "session.world"),
            to_profile(wanted.profile, "session.profile"),
            to_players(wanted.players),
            SessionId(request.session_id) if request.session_id else None,
            names.request_id(request.request_id),
        )
        return session_message(view)

    @endpoint(Access.PLAYER)
    async def GetSession(self, request: pb2.GetSessionRequest, call: Call) -> session_pb2.Session:
        """The session as it stands."""
        session = names.session_id(request.name, "name")
        call.caller.check_session(session)
        return session_message(await self._director.session(session))

    @endpoint()
    async def ListSessions(self, request: pb2.ListSessionsRequest, call: Call) -> pb2.ListSessionsResponse:
        """A page of sessions."""
        world = names.world_id(request.world, "world") if request.world else None
        listing = f"sessions?world={world or ''}"
        page = read_page(request.page_size, request.page_token, listing)
        after = SessionId(page.after) if page.after else None
        found = await self._director.list_sessions(world, page.size + 1, after)
        views, token = cut_page(found, page, lambda view: view.session_id, listing)
        return pb2.ListSessionsResponse(sessions=map(session_message, views), next_page_token=token)

    @endpoint()
    async def CloseSession(self, request: pb2.CloseSessionRequest, call: Call) -> session_pb2.Session:
        """The session, closed."""
        return session_message(await self._director.close_session(names.session_id(request.name, "name")))

    @endpoint(Access.PLAYER)
    async def ReportEvents(self, request: pb2.ReportEventsRequest, call: Call) -> pb2.ReportEventsResponse:
        """What became of the events, after they are durable."""
        session = names.session_id(request.session, "session")
        call.caller.check_session(session)
        events = to_events(request.events, self._clock(), call.trace_id)
        if call.caller.role is Role.PLAYER:
            _check_content_only(events)
        _log_events(session, events)
        result = await self._director.report(session, events)
        return pb2.ReportEventsResponse(
            applied_sequence=result.applied_sequence, duplicate_count=result.duplicates, held_count=result.held
        )

    @endpoint(Access.PLAYER)
    async def WatchSession(self, request: pb2.WatchSessionRequest, call: Call) -> None:
        """Streams updates until the session is closed or the client goes."""
        session = names.session_id(request.session, "session")
        call.caller.check_session(session)
        # Sent before anything else: a status cannot follow a write that is given up half-way without it.
        await call.context.send_initial_metadata(())
        self._note_watcher()
        watcher = _Watcher(_cursor(request.cursor), call, self._watch.write_timeout_s)
        try:
            with await self._director.subscribe(session) as subscription:
                while not watcher.closed:
                    for update in await self._director.updates(session, watcher.cursor, WATCH_BATCH, 0.0):
                        await watcher.send(update)
                    if not watcher.closed:
                        await subscription.wait(watcher.cursor, self._token_left_s(call))
        except asyncio.CancelledError:
            if not self.door.draining:
                raise
            await watcher.cut_off("the server is shutting down", "DRAINING")
        except Unavailable as error:
            await watcher.cut_off(error.message, error.reason)

    @endpoint(Access.PLAYER)
    async def ListSessionUpdates(
        self, request: pb2.ListSessionUpdatesRequest, call: Call
    ) -> pb2.ListSessionUpdatesResponse:
        """The updates after a cursor, as soon as there is one."""
        session = names.session_id(request.session, "session")
        call.caller.check_session(session)
        if request.page_size < 0:
            raise names.bad_field("page_size", f"got {request.page_size}, allowed 0 .. {MAX_PAGE_SIZE}")
        limit = min(request.page_size or DEFAULT_UPDATES, MAX_PAGE_SIZE)
        wait_s = names.finite(request.wait_s, 0.0, MAX_WAIT_S, "wait_s")
        cursor = _cursor(request.cursor)
        updates = await self._uncut(self._director.updates(session, cursor, limit, wait_s))
        return pb2.ListSessionUpdatesResponse(
            updates=map(update_message, updates), next_cursor=updates[-1].cursor if updates else cursor
        )

    @endpoint()
    async def IssuePlayerToken(self, request: pb2.IssuePlayerTokenRequest, call: Call) -> pb2.IssuePlayerTokenResponse:
        """A token for one session's player."""
        session = names.session_id(request.session, "session")
        ttl_s = names.finite(request.ttl_s, 0.0, MAX_TTL_S, "ttl_s") or DEFAULT_TTL_S
        await self._director.session(session)
        token, expire_s = self.door.doorkeeper.issue(session, ttl_s)
        return pb2.IssuePlayerTokenResponse(token=token, expire_time=names.timestamp(expire_s))

    async def _uncut(self, waiting: Awaitable[list[Update]]) -> list[Update]:
        """What a poll waits for. Raises Unavailable when `cut_watchers` ends the wait."""
        self._note_watcher()
        try:
            return await waiting
        except asyncio.CancelledError:
            if not self.door.draining:
                raise
            raise Unavailable(
                "the server is shutting down; ask again after the same cursor", reason="DRAINING"
            ) from None

    def _note_watcher(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._watchers.add(task)

    def cut_watchers(self) -> int:
        """How many watchers and pollers are told, from now on, to go elsewhere; the door must be closed before."""
        watchers = list(self._watchers)
        for task in watchers:
            task.cancel()
        return len(watchers)

    def _token_left_s(self, call: Call) -> float | None:
        """Seconds until the caller's token expires; None for a server. Raises Unauthenticated when it has."""
        if call.caller.role is Role.SERVER:
            return None
        left_s = call.caller.expire_s - self._clock()
        if left_s <= 0:
            raise Unauthenticated("the player token has expired; ask for another", reason="TOKEN_EXPIRED")
        return left_s


class _Watcher:
    """One open watch: what the client has, and how to write to it. There is no queue: updates stay in the session."""

    __slots__ = ("_call", "_write_timeout_s", "closed", "cursor")

    def __init__(self, cursor: int, call: Call, write_timeout_s: float) -> None:
        self.cursor = cursor
        self.closed = False
        self._call = call
        self._write_timeout_s = write_timeout_s

    async def send(self, update: Update) -> None:
        """Write one update; a client that does not take it in time is cut off.

        The update that was given up on is with the transport already: the client gets it before the status.
        """
        self.cursor = update.cursor
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._call.context.write(update_message(update))
        except TimeoutError:
            await self.cut_off(f"the watcher took no update for {self._write_timeout_s:g} s", "WATCHER_TOO_SLOW")
        self.closed = isinstance(update.kind, SessionClosed)

    async def cut_off(self, message: str, reason: str) -> None:
        """End the watch with UNAVAILABLE and the cursor from which to resume."""
        logger.info("watcher cut off: %s", message, extra={"reason": reason, "cursor": self.cursor})
        await abort(self._call.context, resume_status(message, self.cursor, reason, self._call.trace_id))


def _cursor(value: int) -> int:
    if value < 0:
        raise names.bad_field("cursor", f"got {value}, allowed 0 (from the beginning) and up")
    return value


def _check_content_only(events: list[Event]) -> None:
    for index, event in enumerate(events):
        if not isinstance(event.kind, CONTENT_KINDS):
            kind = type(event.kind).__name__
            raise Forbidden(
                f"events[{index}]: a player token may say content_ready, content_shown and content_failed, got {kind}"
            )


def _log_events(session: SessionId, events: list[Event]) -> None:
    for event in events:
        level = logging.DEBUG if isinstance(event.kind, OFTEN) else logging.INFO
        if logger.isEnabledFor(level):
            extra = {"session": session, "sequence": event.sequence, "trace_id": event.trace_id}
            logger.log(level, "event %s", type(event.kind).__name__, extra=extra)
