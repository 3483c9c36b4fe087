"""The database: one SQLAlchemy engine, SQLite in WAL mode now, PostgreSQL by its URL later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from service.errors import Unavailable

metadata = MetaData()
"""Every table of the service; modules add theirs when they are imported."""

_PASSING_FAILURES = (
    ("database or disk is full", "DISK_FULL", "free some space or raise the limit, then try again"),
    ("database is locked", "DATABASE_BUSY", "another process holds the write lock; try again"),
    ("database table is locked", "DATABASE_BUSY", "another process holds the write lock; try again"),
    ("disk I/O error", "DATABASE_IO", "the disk of the database fails or is full; try again"),
)


def open_database(url: str | Path) -> Engine:
    """An engine for `url`, or for the SQLite file at a path. Call `create_tables` once before use."""
    if isinstance(url, Path):
        url = f"sqlite:///{url}"
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def create_tables(engine: Engine) -> None:
    """Create every table that is imported and missing."""
    with write(engine) as connection:
        metadata.create_all(connection)


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its start, so that it never fails half-way for the lock.

    Raises:
        Unavailable: disk full, disk failing or database locked; nothing of the transaction is kept.
    """
    try:
        with engine.connect().execution_options(narthex_write=True) as connection, connection.begin():
            yield connection
    except OperationalError as error:
        raise _as_unavailable(error) from error


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """A read transaction: one consistent snapshot.

    Raises:
        Unavailable: as `write`.
    """
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except OperationalError as error:
        raise _as_unavailable(error) from error


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert `rows`; those whose unique key is taken already are left as they are."""
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def _as_unavailable(error: OperationalError) -> Exception:
    for text, reason, remedy in _PASSING_FAILURES:
        if text in str(error.orig):
            return Unavailable(f"database: {error.orig}; {remedy}", reason=reason)
    return error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy shall begin transactions itself (`_begin_sqlite`), not the driver at its first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("narthex_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
