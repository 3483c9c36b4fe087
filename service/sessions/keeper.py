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
        self._waiting: dict[LiveSession, list[asyncio.Future[Outcome]]] = {}

    def begin(self, session: LiveSession) -> Step:
        """A new step. Between `begin` and `commit` there must be no await."""
        return Step(session, self._clock(), ring_updates=self._settings.ring_updates)

    def commit(self, step: Step, **first: Any) -> asyncio.Future[Outcome]:
        """Resolves to None when the step is durable, else to what went wrong; it never raises.

        The future is the caller's own: cancelling it takes nothing back. A step that cannot be made durable takes its
        session out of memory: the next call reads it anew.
        """
        session, sequence, updates = step.session, step.session.applied_sequence, step.updates
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        session.pending += 1

        def settled(error: Outcome) -> None:
            session.pending -= 1
            if error is not None:
                self._registry.drop(session)
            else:
                session.durable_sequence = max(session.durable_sequence, sequence)
                if updates:
                    session.ring.publish(updates)
            if not session.pending or error is not None:
                for waiting in self._waiting.pop(session, ()):
                    _resolve(waiting, error)
            _resolve(future, error)

        try:
            self._journal.append(step.write(settled, **first))
        except Unavailable as error:
            session.lineage.broken = True
            settled(error)
        return future

    async def durable(self, session: LiveSession) -> None:
        """Return when everything that was committed of a session so far is durable. Raises what went wrong."""
        if session.pending:
            future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(session, []).append(future)
            error = await future
            if error is not None:
                raise error


def _resolve(future: asyncio.Future[Outcome], error: Outcome) -> None:
    if not future.done():
        future.set_result(error)
