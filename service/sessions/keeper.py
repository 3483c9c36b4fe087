"""The keeper: makes steps durable, and what they tell visible after that. The only way to change a session."""

from __future__ import annotations

import asyncio
from typing import Any

from service.clock import Clock
from service.errors import ServiceError, Unavailable
from service.sessions.journal import Journal
from service.sessions.live import LiveSession
from service.sessions.registry import Registry
from service.sessions.settings import DirectorSettings
from service.sessions.step import Step

Outcome = ServiceError | None


class Keeper:
    """Begins steps of sessions and sees them through the journal. Event loop only."""

    def __init__(self, journal: Journal, registry: Registry, clock: Clock, settings: DirectorSettings) -> None:
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._settings = settings
        self._newest: dict[int, asyncio.Future[Outcome]] = {}

    def begin(self, session: LiveSession) -> Step:
        """A new step. Between `begin` and `commit` there must be no await."""
        return Step(session, self._clock(), ring_updates=self._settings.ring_updates)

    def commit(self, step: Step, **first: Any) -> asyncio.Future[Outcome]:
        """Resolves to None when the step is durable, else to what went wrong. The future never raises.

        A step that cannot be made durable takes its session out of memory: the next call reads it anew.
        """
        session, sequence = step.session, step.session.applied_sequence
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        session.pending += 1

        def settled(error: Outcome) -> None:
            session.pending -= 1
            if error is None:
                session.durable_sequence = max(session.durable_sequence, sequence)
                if step.updates:
                    session.ring.publish(step.updates)
            else:
                self._registry.drop(session)
            if self._newest.get(id(session)) is future:
                del self._newest[id(session)]
            if not future.done():
                future.set_result(error)

        self._newest[id(session)] = future
        try:
            self._journal.append(step.write(settled, **first))
        except Unavailable as error:
            session.lineage.broken = True
            settled(error)
        return future

    async def durable(self, session: LiveSession) -> None:
        """Return when everything that was committed of a session so far is durable. Raises what went wrong."""
        future = self._newest.get(id(session))
        error = None if future is None else await asyncio.shield(future)
        if error is not None:
            raise error
