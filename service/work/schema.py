"""The tables of durable work, and how their rows become jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    select,
    update,
)

from service.ids import GateId, JobId, SessionId
from service.quality import Quality
from service.store.database import insert_missing, metadata
from service.work.job import Job, JobKind, JobRequest, JobState, Waiter

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("request_id", String(200), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("quality", Integer, nullable=False),
    Column("target", String(200), nullable=False),
    Column("rank", Double, nullable=False),
    Column("deadline_s", Double, nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("waiters", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("stage", String(64), nullable=False, default=""),
    Column("chunks_done", Integer, nullable=False, default=0),
    Column("chunks_total", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
    Column("worker", String(64), nullable=False, default=""),
    Column("fencing_token", Integer, nullable=False, default=0),
    Column("lease_expire_s", Double, nullable=False, default=0.0),
    Column("not_before_s", Double, nullable=False, default=0.0),
    Column("cancel_asked", Boolean, nullable=False, default=False),
    Column("create_s", Double, nullable=False),
    Column("finish_s", Double),
    Column("spent_s", Double, nullable=False, default=0.0),
    Column("accounted_s", Double, nullable=False, default=0.0),
    Column("version", Integer, nullable=False),
    Column("result", Text, nullable=False, default="{}"),
)
Index("jobs_version", jobs.c.version, unique=True)
Index("jobs_order", jobs.c.state, jobs.c.rank, jobs.c.deadline_s, jobs.c.job_id)
Index("jobs_finished", jobs.c.state, jobs.c.finish_s)

# The payload never changes and is by far the largest part: a row of its own keeps every beat small.
payloads = Table(
    "job_payloads",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("payload", Text, nullable=False),
)
checkpoints = Table(
    "job_checkpoints",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("fencing_token", Integer, nullable=False),
    Column("save_s", Double, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Integer, nullable=False),
)


_JOB_FIELDS = (
    "stage",
    "chunks_done",
    "chunks_total",
    "attempts",
    "last_error",
    "worker",
    "fencing_token",
    "lease_expire_s",
    "create_s",
    "spent_s",
    "version",
)


def next_versions(connection: Connection, count: int) -> int:
    """The first of `count` new versions. Take it after the job rows are locked: this lock is held to the end.

    Holding it makes versions become visible in their order, so that `changes_since` misses none.
    """
    raised = update(counters).where(counters.c.name == "jobs").values(value=counters.c.value + count)
    last = connection.execute(raised.returning(counters.c.value)).scalar()
    if last is None:
        insert_missing(connection, counters, [{"name": "jobs", "value": 0}])
        return next_versions(connection, count)
    return int(last) - count + 1


def write_job(connection: Connection, job_id: str, **values: Any) -> int:
    """The job's new version, after setting some of its columns."""
    version = next_versions(connection, 1)
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(version=version, **values))
    return version


def select_jobs() -> Any:
    """A query for jobs with their payloads; `job_of` reads its rows."""
    return select(jobs, payloads.c.payload).join(payloads, payloads.c.job_id == jobs.c.job_id)


def job_of(row: RowMapping) -> Job:
    """The job that a row of `select_jobs` describes."""
    return job_with(row, json.loads(row["payload"]))


def job_with(row: Mapping[Any, Any], payload: dict[str, Any]) -> Job:
    """The job that a row of `jobs` describes, with a payload that is known already."""
    request = JobRequest(
        request_id=row["request_id"],
        kind=JobKind(row["kind"]),
        payload=payload,
        quality=Quality(row["quality"]),
        target=row["target"],
        rank=row["rank"],
        deadline_s=row["deadline_s"],
        trace_id=row["trace_id"],
        waiters=waiters_of(row["waiters"]),
    )
    values = {name: row[name] for name in _JOB_FIELDS}
    state, result = JobState(row["state"]), json.loads(row["result"])
    return Job(job_id=JobId(row["job_id"]), request=request, state=state, result=result, **values)


def waiters_json(waiters: tuple[Waiter, ...]) -> str:
    """Waiters as stored."""
    return json.dumps([[waiter.session, waiter.gate] for waiter in waiters], separators=(",", ":"))


def waiters_of(text: str) -> tuple[Waiter, ...]:
    """The waiters that `waiters_json` wrote."""
    return tuple(Waiter(SessionId(session), GateId(gate)) for session, gate in json.loads(text))
