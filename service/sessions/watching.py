"""Watching: a watcher's place is a wake-up and a count; updates stay in the session's ring."""

from __future__ import annotations

import asyncio

from service.ids import SessionId
from service.sessions.registry import Registry


class Subscription:
    """A watcher's place. Use as `with await director.subscribe(session) as subscription`."""

    __slots__ = ("_registry", "_session_id", "_watching")

    def __init__(self, registry: Registry, session_id: SessionId) -> None:
        self._registry = registry
        self._session_id = session_id
        self._watching = False

    async def wait(self, after_cursor: int, timeout_s: float | None = None) -> bool:
        """True as soon as the session has an update after `after_cursor`, or has lost that cursor; False after
        `timeout_s`. Raises what reading the session again may raise.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    ring = (await self._registry.get(self._session_id)).ring
                    if ring.newest != after_cursor:
                        return True
                    await ring.wait()
        except TimeoutError:
            return False

    def __enter__(self) -> Subscription:
        self._watching = True
        self._registry.watching[self._session_id] += 1
        return self

    def __exit__(self, *_: object) -> None:
        if self._watching:
            self._watching = False
            self._registry.watching[self._session_id] -= 1
            if not self._registry.watching[self._session_id]:
                del self._registry.watching[self._session_id]
