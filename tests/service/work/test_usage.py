from __future__ import annotations

from sqlalchemy import Engine

from service.ids import SegmentId, SessionId
from service.store.database import write
from service.work.table import JobTable
from service.work.usage import UsagePart, mark_pending, mark_reached, mark_wasted, read_usage
from tests.service.work.job_samples import FakeClock, claim, request, result_for


def complete_for(table: JobTable, name: str, *sessions: str) -> None:
    table.submit([request(name, 0.0, *sessions)])
    claimed = claim(table)
    table.complete(claimed, result_for(claimed))


def test_usage_says_what_became_of_the_work(table: JobTable, engine: Engine, clock: FakeClock) -> None:
    for name, sessions in (("shown", "xy"), ("half", "xy"), ("dead", "xy"), ("open", "x"), ("nobody", "")):
        complete_for(table, name, *sessions)
    one = UsagePart(1, 1.5 / 60.0, 4.0, 1_000)
    assert read_usage(engine).pending.segments == 5
    x, y = SessionId("x"), SessionId("y")
    with write(engine) as connection:
        mark_reached(connection, SegmentId("shown"), x)
        mark_wasted(connection, SegmentId("shown"), x)  # shown before: stays reached
        mark_wasted(connection, SegmentId("shown"), y)
        mark_wasted(connection, SegmentId("half"), x)
        mark_wasted(connection, SegmentId("dead"), x)
        mark_wasted(connection, SegmentId("dead"), y)
        mark_reached(connection, SegmentId("open"), SessionId("later"))  # reused by a session that came later
    report = read_usage(engine)
    assert (report.reached.segments, report.wasted, report.pending.segments) == (2, one, 2)
    mine = read_usage(engine, x)
    assert (mine.generated.segments, mine.reached.segments, mine.wasted.segments, mine.pending.segments) == (4, 1, 2, 1)
    assert read_usage(engine, SessionId("later")).generated == UsagePart()
    assert read_usage(engine, None, clock() + 1).generated == UsagePart()
    assert read_usage(engine, None, 0.0, clock()).generated == UsagePart()
    with write(engine) as connection:
        mark_pending(connection, SegmentId("dead"), x)  # the gate can be reached again
    assert read_usage(engine).wasted == UsagePart()
