"""Usage: what work was done, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    RowMapping,
    String,
    Table,
    func,
    select,
    update,
)

from service.ids import SegmentId, SessionId
from service.store.database import insert_missing, metadata, read


class Outcome(StrEnum):
    """What became of a segment in a session."""

    PENDING = "pending"
    REACHED = "reached"
    WASTED = "wasted"


usage_rows = Table(
    "usage",
    metadata,
    Column("usage_id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("segment_id", String(200), nullable=False, index=True),
    Column("quality", Integer, nullable=False),
    Column("completed", Boolean, nullable=False),
    # True where the work was given up; False again once the job is completed after all.
    Column("cancelled", Boolean, nullable=False),
    Column("device_s", Double, nullable=False),
    Column("scene_s", Double, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("finish_s", Double, nullable=False, index=True),
)
outcomes = Table(
    "segment_outcomes",
    metadata,
    Column("segment_id", String(200), primary_key=True),
    Column("session", String(128), primary_key=True),
    Column("outcome", String(8), nullable=False),
    # True where the session waited for the work; False where it got content that was there already.
    Column("waited", Boolean, nullable=False),
)


@dataclass(frozen=True)
class UsagePart:
    """Segments, minutes of scene time, seconds that a device was busy, bytes stored."""

    segments: int = 0
    minutes: float = 0.0
    device_s: float = 0.0
    bytes: int = 0

    def __add__(self, other: UsagePart) -> UsagePart:
        return UsagePart(
            self.segments + other.segments,
            self.minutes + other.minutes,
            self.device_s + other.device_s,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True)
class UsageReport:
    """`generated` is all work; the others are what became of it, and add up to it."""

    generated: UsagePart = UsagePart()
    reached: UsagePart = UsagePart()
    wasted: UsagePart = UsagePart()
    pending: UsagePart = UsagePart()


def mark_reached(connection: Connection, segment_id: SegmentId, session: SessionId) -> None:
    """Note, in the caller's transaction, that a player of the session was shown the segment."""
    _mark(connection, segment_id, session, Outcome.REACHED, unless=())


def mark_wasted(connection: Connection, segment_id: SegmentId, session: SessionId) -> None:
    """Note that the session will never show the segment; one that it has shown stays reached."""
    _mark(connection, segment_id, session, Outcome.WASTED, unless=(Outcome.REACHED,))


def mark_pending(connection: Connection, segment_id: SegmentId, session: SessionId) -> None:
    """Take `mark_wasted` back: the gate can be reached again."""
    _mark(connection, segment_id, session, Outcome.PENDING, unless=(Outcome.REACHED,))


def add_usage(connection: Connection, row: dict[str, Any], sessions: Collection[SessionId]) -> None:
    """Add one row of usage in the caller's transaction, and the sessions that waited for it."""
    if row["completed"]:
        # Work that was given up before is part of this result after all: the same checkpoint went on.
        earlier = update(usage_rows).where(usage_rows.c.job_id == row["job_id"])
        connection.execute(earlier.values(cancelled=False))
    connection.execute(usage_rows.insert().values(row))
    waiting = [
        {"segment_id": row["segment_id"], "session": session, "outcome": Outcome.PENDING, "waited": True}
        for session in sorted(set(sessions))
    ]
    insert_missing(connection, outcomes, waiting)


def read_usage(
    engine: Engine, session: SessionId | None = None, start_s: float = 0.0, end_s: float = float("inf")
) -> UsageReport:
    """What work ended within [start_s, end_s) and what became of it.

    For one session: the work that it waited for, in full, even where others waited for it too; content that
    was there already costs it nothing and is not counted.
    """
    end_s = min(end_s, 1e18)
    with read(engine) as connection:
        query = _one_session(session) if session is not None else _all_sessions()
        within = (usage_rows.c.finish_s >= start_s, usage_rows.c.finish_s < end_s)
        rows = connection.execute(query.where(*within)).mappings().all()
    report = UsageReport()
    for row in rows:
        part = UsagePart(int(row["completed"]), row["scene_s"] / 60.0, row["device_s"], row["bytes"])
        outcome = _outcome(row)
        sums = {"generated": report.generated + part, outcome: getattr(report, outcome) + part}
        report = replace(report, **sums)
    return report


def _outcome(row: RowMapping) -> str:
    if row["cancelled"]:
        return Outcome.WASTED.value
    if row["reached"]:
        return Outcome.REACHED.value
    # Wasted only where every session that had the segment has given it up.
    return Outcome.WASTED.value if row["known"] and row["wasted"] == row["known"] else Outcome.PENDING.value


def _tally() -> Any:
    reached = func.sum((outcomes.c.outcome == Outcome.REACHED).cast(Integer)).label("reached")
    wasted = func.sum((outcomes.c.outcome == Outcome.WASTED).cast(Integer)).label("wasted")
    return select(outcomes.c.segment_id, reached, wasted, func.count().label("known"))


def _all_sessions() -> Any:
    tally = _tally().group_by(outcomes.c.segment_id).subquery()
    joined = usage_rows.outerjoin(tally, tally.c.segment_id == usage_rows.c.segment_id)
    return select(usage_rows, tally.c.reached, tally.c.wasted, tally.c.known).select_from(joined)


def _one_session(session: SessionId) -> Any:
    mine = (outcomes.c.session == session, outcomes.c.waited.is_(True))
    tally = _tally().where(*mine).group_by(outcomes.c.segment_id).subquery()
    joined = usage_rows.join(tally, tally.c.segment_id == usage_rows.c.segment_id)
    return select(usage_rows, tally.c.reached, tally.c.wasted, tally.c.known).select_from(joined)


def _mark(connection: Connection, segment_id: str, session: str, outcome: Outcome, unless: tuple[Outcome, ...]) -> None:
    row = {"segment_id": segment_id, "session": session, "outcome": outcome, "waited": False}
    insert_missing(connection, outcomes, [row])
    chosen = update(outcomes).where(outcomes.c.segment_id == segment_id, outcomes.c.session == session)
    connection.execute(chosen.where(outcomes.c.outcome.not_in(unless)).values(outcome=outcome))
