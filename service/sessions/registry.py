"""Registry: the sessions in memory, read from the archive when they are asked for and dropped when they idle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from service.clock import Clock
from service.errors import TooMuch
from service.ids import SessionId
from service.sessions.archive import Archive
from service.sessions.live import LiveSession
from service.sessions.views import SessionStatus

RECENT_S = 60.0
"""A session that was asked for within this time is not dropped to make room."""

Load = Callable[[Callable[[], LiveSession]], Awaitable[LiveSession]]


class Registry:
    """Sessions by id. Event loop only.

    `on_load` hears of each session that came from the archive. A session with writes on their way, or with
    watchers, is never dropped for idling.
    """

    def __init__(self, archive: Archive, clock: Clock, off_loop: Load, max_loaded: int) -> None:
        self._archive = archive
        self._clock = clock
        self._off_loop = off_loop
        self._max_loaded = max_loaded
        self._sessions: dict[SessionId, LiveSession] = {}
        self._loading: dict[SessionId, asyncio.Task[LiveSession]] = {}
        self.watching: Counter[SessionId] = Counter()
        self.on_load: Callable[[LiveSession], None] = lambda session: None
        self.on_drop: Callable[[LiveSession], None] = lambda session: None

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._sessions.values()))

    def loaded(self, session_id: SessionId) -> LiveSession | None:
        """The session if it is in memory."""
        return self._sessions.get(session_id)

    async def get(self, session_id: SessionId) -> LiveSession:
        """The session. Raises NotFound; TooMuch where memory holds all that it may.

        The caller uses it before it awaits anything else: later it may be another object.
        """
        while (session := self._sessions.get(session_id)) is None:
            self.make_room()
            task = self._loading.get(session_id)
            if task is None:
                task = asyncio.create_task(self._load(session_id), name=f"load-{session_id}")
                task.add_done_callback(_look_at_failure)
                self._loading[session_id] = task
            await asyncio.shield(task)
        session.touched_s = self._clock()
        return session

    def add(self, session: LiveSession) -> None:
        """Take in a session that was just made."""
        session.touched_s = self._clock()
        self._sessions[session.session_id] = session

    def drop(self, session: LiveSession) -> None:
        """Forget a session object; the next call reads it again. Its watchers look again."""
        if self._sessions.get(session.session_id) is session:
            del self._sessions[session.session_id]
            self.on_drop(session)
        session.ring.wake()

    def drop_idle(self, idle_s: float) -> int:
        """How many sessions left memory because nobody asked for them for `idle_s`."""
        before_s = self._clock() - idle_s
        idle = [session for session in self._sessions.values() if self._is_idle(session, before_s)]
        for session in idle:
            self.drop(session)
        return len(idle)

    def make_room(self) -> None:
        """Drop sessions of no recent use if memory holds all it may. Raises TooMuch where that does not help."""
        if len(self._sessions) >= self._max_loaded and not self.drop_idle(RECENT_S):
            raise TooMuch(
                f"{len(self._sessions)} sessions are active, at most {self._max_loaded} may be; try again later",
                reason="SESSIONS_ACTIVE",
            )

    async def stop(self) -> None:
        """Let loads end."""
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    def _is_idle(self, session: LiveSession, before_s: float) -> bool:
        if session.pending or session.touched_s > before_s:
            return False
        return not self.watching[session.session_id] or session.status is SessionStatus.CLOSED

    async def _load(self, session_id: SessionId) -> LiveSession:
        try:
            session = await self._off_loop(lambda: self._archive.load(session_id))
            self._sessions[session_id] = session
            session.touched_s = self._clock()
            self.on_load(session)
            return session
        finally:
            del self._loading[session_id]


def _look_at_failure(task: asyncio.Task[LiveSession]) -> None:
    # Whoever waited hears of a failure; where all of them were cancelled, nobody needs to.
    if not task.cancelled():
        task.exception()
