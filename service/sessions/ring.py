"""The newest updates of one session, and the wake-up of those who wait for more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from service.sessions.views import Update


class UpdateRing:
    """At least the newest `capacity` updates by their cursors (at most twice as many), and those who wait.

    A watcher that waits is a future: no queue and no task.
    """

    __slots__ = ("_capacity", "_updates", "_waiting", "newest")

    def __init__(self, capacity: int, newest: int = 0, updates: Iterable[Update] = ()) -> None:
        """`updates` have consecutive cursors up to `newest`."""
        self._capacity = capacity
        self._updates = list(updates)[-capacity:]
        self._waiting: list[asyncio.Future[None]] = []
        self.newest = newest

    def __len__(self) -> int:
        return len(self._updates)

    @property
    def first(self) -> int:
        """The oldest cursor that is kept; `newest + 1` where none is."""
        return self.newest - len(self._updates) + 1

    def publish(self, updates: Iterable[Update]) -> None:
        """Add updates, whose cursors go on from `newest`, and wake all who wait."""
        self._updates.extend(updates)
        self.newest = self._updates[-1].cursor if self._updates else self.newest
        if len(self._updates) > 2 * self._capacity:  # trimmed rarely, so that publishing stays cheap
            del self._updates[: -self._capacity]
        self.wake()

    def after(self, cursor: int, limit: int) -> list[Update] | None:
        """At most `limit` updates after `cursor`; None where those are not kept or `cursor` was never given out."""
        start = cursor - self.first + 1
        if start < 0 or cursor > self.newest:
            return None
        return self._updates[start : start + limit]

    def kept(self) -> tuple[Update, ...]:
        """All updates that are kept."""
        return tuple(self._updates)

    def wake(self) -> None:
        """Let everybody look again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Return at the next `publish` or `wake`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                self._waiting = [other for other in self._waiting if other is not future]
