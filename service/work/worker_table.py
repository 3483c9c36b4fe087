"""The workers table: which workers there are, and whether they are ready. Workers write it, the server reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Double, Engine, Integer, String, Table, Text, delete, select, update

from service.clock import Clock
from service.store.database import insert_missing, metadata, read, write


class WorkerState(StrEnum):
    """Where a worker stands: `warming` compiles and loads what its first job would have to wait for."""

    STARTING = "starting"
    WARMING = "warming"
    READY = "ready"
    BUSY = "busy"


workers = Table(
    "workers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("last_seen_s", Double, nullable=False),
)


@dataclass(frozen=True)
class WorkerRow:
    """A worker as it last described itself; `detail` names the stage of a job or of the warm-up."""

    name: str
    pid: int
    host: str
    state: WorkerState
    detail: str
    last_seen_s: float


class WorkerTable:
    """The workers of one database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def report(self, name: str, pid: int, host: str, state: WorkerState, detail: str = "") -> None:
        """Say how the worker `name` is now; replaces what an earlier worker of the name said."""
        values = {"pid": pid, "host": host, "state": state, "detail": detail, "last_seen_s": self._clock()}
        with write(self._engine) as connection:
            insert_missing(connection, workers, [values | {"name": name}])
            connection.execute(update(workers).where(workers.c.name == name).values(values))

    def remove(self, name: str, pid: int) -> None:
        """Forget a worker that ends; nothing where another process has taken its name since."""
        with write(self._engine) as connection:
            connection.execute(delete(workers).where(workers.c.name == name, workers.c.pid == pid))

    def seen(self, within_s: float) -> Sequence[WorkerRow]:
        """The workers that said something within the last `within_s`, by name."""
        with read(self._engine) as connection:
            query = select(workers).where(workers.c.last_seen_s >= self._clock() - within_s).order_by(workers.c.name)
            rows = connection.execute(query).mappings().all()
        return [WorkerRow(**{**row, "state": WorkerState(row["state"])}) for row in rows]
