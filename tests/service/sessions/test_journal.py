"""The journal: what is acknowledged is on disk, in few transactions, and a failure is nobody else's."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from service.errors import ServiceError, TooMuch, Unavailable
from service.ids import ChainId, TaskId
from service.play.event import ChainAccepted, TaskProgressed
from service.sessions import journal as journal_module
from service.sessions import tables
from service.sessions.journal import Journal, Lineage, Write
from service.store.database import create_tables, open_database, read, write

RED, KEY = ChainId("red"), TaskId("fetch_key")


@pytest.fixture
def engine(tmp_path):
    engine = open_database(tmp_path / "journal.db")
    create_tables(engine)
    return engine


def session_row(name: str) -> dict[str, object]:
    return {
        "session_id": name,
        "world_id": "w",
        "world_revision": "r",
        "profile": "{}",
        "players": "[]",
        "create_s": 1.0,
        "status": 1,
        "active_s": 1.0,
    }


class Answers:
    def __init__(self) -> None:
        self.by_name: dict[str, ServiceError | None] = {}
        self.order: list[str] = []
        self.done = asyncio.Event()
        self.expected = 0

    def write(self, name: str, lineage: Lineage | None = None, **rows: object) -> Write:
        self.expected += 1

        def settled(error: ServiceError | None) -> None:
            self.by_name[name] = error
            self.order.append(name)
            if len(self.order) == self.expected:
                self.done.set()

        return Write(lineage or Lineage(), settled, **rows)


def stored(engine) -> set[str]:
    with read(engine) as connection:
        return set(connection.execute(select(tables.sessions.c.session_id)).scalars())


class Gate:
    """Holds the writer thread in an errand until it is opened."""

    def __init__(self, journal: Journal) -> None:
        self.event = threading.Event()
        self.task = asyncio.ensure_future(journal.run(lambda: self.event.wait(30)))

    async def open(self) -> None:
        self.event.set()
        await self.task


async def test_what_waits_together_is_written_together_and_settled_in_order(engine):
    journal = Journal(engine, 100)
    journal.start()
    answers, gate = Answers(), Gate(journal)
    await asyncio.sleep(0)
    names = [f"s{index}" for index in range(20)]
    for name in names:
        journal.append(answers.write(name, new_sessions=(session_row(name),)))
    await gate.open()
    await answers.done.wait()
    assert journal.transactions == 1
    assert answers.order == names
    assert set(answers.by_name.values()) == {None}
    assert stored(engine) == set(names)
    await journal.stop()


async def test_rows_at_odds_with_the_database_fail_alone_and_their_followers_with_them(engine):
    journal = Journal(engine, 100)
    journal.start()
    answers, gate, bad = Answers(), Gate(journal), Lineage()
    await asyncio.sleep(0)
    journal.append(answers.write("one", new_sessions=(session_row("one"),)))
    journal.append(answers.write("again", bad, new_sessions=(session_row("one"),)))
    journal.append(answers.write("follower", bad, new_sessions=(session_row("three"),)))
    journal.append(answers.write("four", new_sessions=(session_row("four"),)))
    await gate.open()
    await answers.done.wait()
    failed = {name for name, error in answers.by_name.items() if error is not None}
    assert failed == {"again", "follower"}
    assert answers.by_name["again"].reason == "SESSION_CHANGED_ELSEWHERE"
    assert all(error.retryable for error in answers.by_name.values() if error)
    assert stored(engine) == {"one", "four"}
    await journal.stop()


async def test_too_many_pending_writes_are_refused_before_anything_changes(engine):
    journal = Journal(engine, 3)
    journal.start()
    answers, gate = Answers(), Gate(journal)
    await asyncio.sleep(0)
    journal.check_room()
    for name in ("a", "b", "c"):
        journal.append(answers.write(name, new_sessions=(session_row(name),)))
    with pytest.raises(TooMuch) as caught:
        journal.check_room()
    assert caught.value.reason == "WRITES_PENDING"
    await gate.open()
    await answers.done.wait()
    journal.check_room()
    await journal.stop()


async def test_stopping_writes_what_is_pending_and_takes_nothing_more(engine):
    journal = Journal(engine, 100)
    journal.start()
    answers = Answers()
    for index in range(10):
        journal.append(answers.write(f"s{index}", new_sessions=(session_row(f"s{index}"),)))
    await journal.stop()
    assert len(answers.order) == 10
    assert len(stored(engine)) == 10
    with pytest.raises(Unavailable):
        journal.append(answers.write("late"))


async def test_an_errand_that_fails_tells_its_caller_and_the_thread_lives_on(engine):
    journal = Journal(engine, 100)
    journal.start()

    def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError):
        await journal.run(fail)
    assert await journal.run(lambda: 7) == 7
    await journal.stop()


async def test_a_full_disk_fails_the_call_and_the_session_goes_on_from_what_is_stored(stage, monkeypatch):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    real, failing = journal_module.write_rows, []

    def full(connection, batch):
        real(connection, batch)
        if failing:
            raise Unavailable("database: database or disk is full", reason="DISK_FULL")

    monkeypatch.setattr(journal_module, "write_rows", full)
    failing.append(True)
    lost = [play.event(TaskProgressed(RED, KEY, fraction=0.3)), play.event(TaskProgressed(RED, KEY, fraction=0.6))]
    answers = await asyncio.gather(
        *(stage.director.report(play.session_id, [event]) for event in lost), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert answers[0].reason == "DISK_FULL"
    view = await stage.director.session(play.session_id)
    assert (view.applied_sequence, view.chains[0].tasks[0].fraction) == (1, 0.0)
    failing.clear()
    result = await stage.director.report(play.session_id, lost)
    assert (result.applied_sequence, result.duplicates) == (3, 0)
    updates = await play.updates()
    assert [update.cursor for update in updates] == list(range(1, len(updates) + 1))


async def test_a_call_that_is_given_up_is_stored_all_the_same(stage):
    play = await stage.play()
    event = play.event(ChainAccepted(RED))
    call = asyncio.ensure_future(stage.director.report(play.session_id, [event]))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    result = await stage.director.report(play.session_id, [event])
    assert (result.applied_sequence, result.duplicates) == (1, 1)
    await stage.restart()
    assert (await stage.director.session(play.session_id)).applied_sequence == 1


async def test_many_reports_at_once_share_transactions(stage):
    plays = [await stage.play() for _ in range(20)]
    before = stage.director._journal.transactions
    results = await asyncio.gather(*(play.report(ChainAccepted(RED)) for play in plays))
    assert {result.applied_sequence for result in results} == {1}
    assert stage.director._journal.transactions - before <= 5


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 21, 64, 149])
def test_rows_of_any_number_are_inserted_as_they_are(engine, count):
    rows = [
        {"session_id": f"s{index % 3}", "cursor": index, "applied_sequence": -index, "body": f"é {index} ' ?"}
        for index in range(count)
    ]
    with write(engine) as connection:
        journal_module.insert_rows(connection, tables.announcements, rows)
    with read(engine) as connection:
        query = select(tables.announcements).order_by(tables.announcements.c.cursor)
        assert [dict(row) for row in connection.execute(query).mappings()] == rows


def test_other_databases_get_their_own_text():
    text, positions = journal_module._insert_text(postgresql.dialect(), tables.announcements, 2)
    assert positions is None
    assert "%(cursor_m1)s" in text
