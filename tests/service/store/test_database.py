from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, func, select
from sqlalchemy.exc import IntegrityError

from service.errors import Unavailable
from service.store.database import insert_missing, open_database, read, write

things = Table("things", MetaData(), Column("number", Integer, primary_key=True), Column("data", LargeBinary))


def test_a_full_database_is_retryable_and_keeps_nothing_of_the_transaction(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "full.db")
    with write(engine) as connection:
        things.create(connection)
        connection.execute(things.insert().values(number=0, data=b""))
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

    def fill() -> None:
        with write(engine) as connection:
            for number in range(1, 50):
                connection.execute(things.insert().values(number=number, data=b"x" * 4096))

    with pytest.raises(Unavailable, match="full") as caught:
        fill()
    assert (caught.value.reason, caught.value.retryable) == ("DISK_FULL", True)
    with read(engine) as connection:
        assert connection.execute(select(func.count()).select_from(things)).scalar_one() == 1


def test_a_write_lock_held_elsewhere_is_retryable(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "busy.db")
    with read(engine) as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def try_write() -> None:
        with write(engine):
            pytest.fail("the lock is held elsewhere")

    with pytest.raises(Unavailable, match="locked") as caught:
        try_write()
    assert caught.value.reason == "DATABASE_BUSY"
    other.execute("ROLLBACK")
    other.close()
    with write(engine) as connection:
        things.create(connection)


def test_insert_missing_leaves_rows_that_exist(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "upsert.db")
    with write(engine) as connection:
        things.create(connection)
        insert_missing(connection, things, [])
        insert_missing(connection, things, [{"number": 1, "data": b"first"}])
        insert_missing(connection, things, [{"number": 1, "data": b"second"}, {"number": 2, "data": b"new"}])
        found = [tuple(row) for row in connection.execute(select(things))]
    assert found == [(1, b"first"), (2, b"new")]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "twice.db")
    with write(engine) as connection:
        things.create(connection)

    def insert_twice() -> None:
        with write(engine) as connection:
            connection.execute(things.insert().values(number=1, data=b""))
            connection.execute(things.insert().values(number=1, data=b""))

    with pytest.raises(IntegrityError):
        insert_twice()
