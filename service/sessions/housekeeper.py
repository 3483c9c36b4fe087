"""The housekeeper: what sessions leave behind is put away, now and then."""

from __future__ import annotations

from sqlalchemy import Engine, delete

from service.clock import Clock
from service.ids import SegmentId
from service.sessions import tables
from service.sessions.journal import Journal
from service.sessions.registry import Registry
from service.sessions.settings import DirectorSettings
from service.store.catalogue import Catalogue
from service.store.database import write

EVERY_S = 60.0
REQUESTS_KEPT_S = 7 * 86_400.0
"""How long a CreateSession request can be repeated."""


class Housekeeper:
    """Drops idle sessions from memory, old request ids from the table, and notes which content is in use."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        registry: Registry,
        journal: Journal,
        clock: Clock,
        settings: DirectorSettings,
    ) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._next_s = 0.0
        self._last_s = clock()

    async def turn(self) -> None:
        """Do it all, if it is time again."""
        now_s = self._clock()
        if now_s < self._next_s:
            return
        since_s, self._last_s, self._next_s = self._last_s, now_s, now_s + EVERY_S
        used = self._used_since(since_s)
        self._registry.drop_idle(self._settings.idle_unload_s)
        await self._journal.run(lambda: self._put_away(used, now_s))

    def _used_since(self, time_s: float) -> set[SegmentId]:
        """What sessions that were asked for since then were told of."""
        sessions = (session for session in self._registry if session.touched_s >= time_s)
        return {segment for session in sessions for of_gate in session.announced.values() for segment in of_gate}

    def _put_away(self, used: set[SegmentId], now_s: float) -> None:
        if used:
            self._catalogue.used(used)
        with write(self._engine) as connection:
            old = tables.session_requests.c.create_s < now_s - REQUESTS_KEPT_S
            connection.execute(delete(tables.session_requests).where(old))
