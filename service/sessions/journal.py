"""The journal: what sessions must not forget, written by one thread in as few transactions as possible.

Group commit: while one transaction is on its way to the disk, writes gather; all of them go into the next one. A
write is settled on the event loop after its transaction is durable, in the order in which writes were appended.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Table, bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from service.errors import ServiceError, TooMuch, Unavailable
from service.sessions import tables
from service.store.database import insert_missing, write

Row = dict[str, Any]
Result = TypeVar("Result")
InTransaction = Callable[[Connection], None]
log = logging.getLogger(__name__)

INSERT_SIZES = (64, 16, 4, 1)
"""Rows in one statement. Few sizes, so that few statements are made; 64 rows stay below every limit on values."""

MAX_BATCH = 1024
"""Writes in one transaction: bounds how long the first of them waits for the last."""


class Lineage:
    """The state that a session's writes follow one from the other. Once one of them failed, all later ones do:
    they were made for a state that never came to be, and the session is read from the database again.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken = False


@dataclass(slots=True)
class Write:
    """What one step of one session must make durable, all or nothing.

    Attributes:
        lineage: of the session that the write belongs to.
        settled: called on the event loop with None, or with what went wrong.
        session: changed columns of the session's row, with `row_id`; the last of a transaction counts.
        rejections: rows of `events` that were held and are rejected now: `row_id`, `row_sequence`, `why`.
        kept_cursor: `row_id` and `first_cursor`: older updates are deleted.
        also: further work in the same transaction.
    """

    lineage: Lineage
    settled: Callable[[ServiceError | None], None]
    new_sessions: Sequence[Row] = ()
    requests: Sequence[Row] = ()
    events: Sequence[Row] = ()
    rejections: Sequence[Row] = ()
    updates: Sequence[Row] = ()
    announcements: Sequence[Row] = ()
    session: Row | None = None
    snapshot: Row | None = None
    kept_cursor: Row | None = None
    also: Sequence[InTransaction] = ()


@dataclass(slots=True)
class _Errand:
    """A function that the writer thread runs between two transactions."""

    function: Callable[[], Any]
    future: asyncio.Future[Any] = field(repr=False)


class Journal:
    """The writer thread and its bounded queue. `append` and `run` are for the event loop only."""

    def __init__(self, engine: Engine, max_pending: int) -> None:
        self._engine = engine
        self._max_pending = max_pending
        self._queue: deque[Write | _Errand] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._notified = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="narthex-journal", daemon=True)
        self.transactions = 0
        self.writes = 0

    def start(self) -> None:
        """Start the writer thread; call on the event loop that settles writes."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Write what is pending, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)  # the last settlements were posted before the thread ended

    def check_room(self) -> None:
        """Raise TooMuch where `max_pending` writes wait already; call before changing any state."""
        if len(self._queue) >= self._max_pending:
            raise TooMuch(
                f"{len(self._queue)} writes wait for the disk, at most {self._max_pending} may; try again",
                reason="WRITES_PENDING",
            )

    def append(self, entry: Write) -> None:
        """Put a write into the next transaction."""
        self._push(entry)

    async def run(self, function: Callable[[], Result]) -> Result:
        """The result of `function`, run on the writer thread between two transactions.

        Whatever writes to the database from this process does so here, so that no two threads of it fight over
        the write lock.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._push(_Errand(function, future))
        return await future

    def _push(self, entry: Write | _Errand) -> None:
        if self._stopping:
            raise Unavailable("the server is shutting down", reason="DRAINING")
        self._queue.append(entry)
        if not self._notified and self._loop is not None:
            # The thread is woken once for all that this round of the event loop appends, not for each.
            self._notified = True
            self._loop.call_soon(self._notify)

    def _notify(self) -> None:
        self._notified = False
        with self._wake:
            self._wake.notify()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            if isinstance(batch, _Errand):
                self._run_errand(batch)
            else:
                self._commit(batch)

    def _take(self) -> list[Write] | _Errand | None:
        with self._wake:
            while not self._queue:
                if self._stopping:
                    return None
                self._wake.wait()
            first = self._queue.popleft()
            if isinstance(first, _Errand):
                return first
            batch = [first]
            while self._queue and len(batch) < MAX_BATCH and isinstance(entry := self._queue[0], Write):
                batch.append(entry)
                self._queue.popleft()
            return batch

    def _run_errand(self, errand: _Errand) -> None:
        try:
            result = errand.function()
        except Exception as error:  # handed to whoever waits
            self._post(_fail_future, errand.future, error)
        else:
            self._post(_fill_future, errand.future, result)

    def _commit(self, batch: list[Write]) -> None:
        good = [entry for entry in batch if not entry.lineage.broken]
        outcomes: list[tuple[Write, ServiceError | None]] = [
            (entry, _follower()) for entry in batch if entry.lineage.broken
        ]
        error = self._try(good) if good else None
        if isinstance(error, IntegrityError) and len(good) > 1:
            # One session's rows are at odds with the database; the others' need not wait for it.
            for entry in good:
                self._commit([entry])
            good = []
        failure = None if error is None else _as_failure(error)
        outcomes += [(entry, failure) for entry in good]
        for entry, why in outcomes:
            entry.lineage.broken = entry.lineage.broken or why is not None
        self._post(_settle, outcomes)

    def _try(self, batch: list[Write]) -> Exception | None:
        try:
            with write(self._engine) as connection:
                write_rows(connection, batch)
        except Exception as error:
            # Whatever it is, those who wait must hear of it, and the thread must live on.
            return error
        self.transactions += 1
        self.writes += len(batch)
        return None

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function, *arguments)


def write_rows(connection: Connection, batch: Sequence[Write]) -> None:
    """Put all rows of `batch` into the caller's transaction."""
    for table, name in _INSERTS:
        if rows := [row for entry in batch for row in getattr(entry, name)]:
            insert_rows(connection, table, rows)
    if requests := [row for entry in batch for row in entry.requests]:
        insert_missing(connection, tables.session_requests, requests)
    if rejections := [row for entry in batch for row in entry.rejections]:
        connection.execute(_REJECT, rejections)
    if latest := {entry.session["row_id"]: entry.session for entry in batch if entry.session}:
        connection.execute(_FOLLOW, list(latest.values()))
    if snapshots := {entry.snapshot["session_id"]: entry.snapshot for entry in batch if entry.snapshot}:
        connection.execute(_DROP_SNAPSHOT, [{"row_id": session_id} for session_id in snapshots])
        connection.execute(insert(tables.snapshots), list(snapshots.values()))
    if kept := [entry.kept_cursor for entry in batch if entry.kept_cursor]:
        connection.execute(_DROP_UPDATES, kept)
    for entry in batch:
        for function in entry.also:
            function(connection)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all name every column of `table`, whose columns need no conversion.

    The same as `connection.execute(insert(table), rows)`, but many rows go into one statement whose text is made
    once. Python's sqlite3 gives up the interpreter lock for every statement and every row of executemany, and a busy
    event loop does not hand it back for milliseconds: that was most of the time of a transaction.
    """
    names = [column.name for column in table.columns]
    start = 0
    for size in INSERT_SIZES:
        while len(rows) - start >= size:
            some = rows[start : start + size]
            start += size
            text, positions = _insert_text(connection.dialect, table, size)
            values = {f"{name}_m{index}": row[name] for index, row in enumerate(some) for name in names}
            connection.exec_driver_sql(text, values if positions is None else tuple(values[at] for at in positions))


@cache
def _insert_text(dialect: Dialect, table: Table, size: int) -> tuple[str, tuple[str, ...] | None]:
    """A statement for `size` rows, and in which order the driver wants its values; None where by name."""
    names = [column.name for column in table.columns]
    rows: list[dict[str, Any]] = [{name: bindparam(f"{name}_m{index}") for name in names} for index in range(size)]
    compiled = insert(table).values(rows).compile(dialect=dialect)
    return str(compiled), None if compiled.positiontup is None else tuple(compiled.positiontup)


_INSERTS = (
    (tables.sessions, "new_sessions"),
    (tables.events, "events"),
    (tables.updates, "updates"),
    (tables.announcements, "announcements"),
)
_REJECT = (
    update(tables.events)
    .where(tables.events.c.session_id == bindparam("row_id"), tables.events.c.sequence == bindparam("row_sequence"))
    .values(rejection=bindparam("why"))
)
_FOLLOW = (
    update(tables.sessions)
    .where(tables.sessions.c.session_id == bindparam("row_id"))
    .values(status=bindparam("new_status"), active_s=bindparam("new_active_s"))
)
_DROP_SNAPSHOT = delete(tables.snapshots).where(tables.snapshots.c.session_id == bindparam("row_id"))
_DROP_UPDATES = delete(tables.updates).where(
    tables.updates.c.session_id == bindparam("row_id"), tables.updates.c.cursor < bindparam("first_cursor")
)


def _settle(outcomes: list[tuple[Write, ServiceError | None]]) -> None:
    for entry, error in outcomes:
        entry.settled(error)


def _fill_future(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail_future(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _follower() -> ServiceError:
    return Unavailable("an earlier write of this session failed; it is being read again, try again")


def _as_failure(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, IntegrityError):
        message = f"the session changed in the database behind this server's back ({error.orig}); try again"
        return Unavailable(message, reason="SESSION_CHANGED_ELSEWHERE")
    log.error("a transaction of the journal failed", exc_info=error)
    return Unavailable(f"the database refused a write ({error}); try again", reason="DATABASE_FAILED")
