"""Jobs: durable units of work, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from service.ids import GateId, JobId, SessionId
from service.quality import Quality


class JobKind(StrEnum):
    """CONTENT generates a segment and reconstructs its scene; the others are a designer's single steps."""

    CONTENT = "content"
    GENERATE = "generate"
    RECONSTRUCT = "reconstruct"
    EXPORT = "export"


class JobState(IntEnum):
    """Where a job stands. Numbers are the wire's."""

    QUEUED = 1
    RUNNING = 2
    DONE = 3
    CANCELLED = 4
    DEAD = 5


@dataclass(frozen=True, order=True)
class Waiter:
    """A gate of a session that waits for a job."""

    session: SessionId
    gate: GateId


@dataclass(frozen=True)
class JobRequest:
    """What is wanted.

    `request_id` is unique: two requests with one id are one job (the later one's order and waiters count).
    A CONTENT job's id is `content/{segment key}`; `payload` is plain JSON. `deadline_s` is epoch seconds,
    `rank` orders jobs (lower first; ties by deadline, then age).
    """

    request_id: str
    kind: JobKind
    payload: dict[str, Any]
    quality: Quality
    target: str
    rank: float
    deadline_s: float
    trace_id: str
    waiters: tuple[Waiter, ...] = ()


@dataclass(frozen=True)
class Job:
    """A row of the job table."""

    job_id: JobId
    request: JobRequest
    state: JobState
    stage: str
    chunks_done: int
    chunks_total: int
    attempts: int
    last_error: str
    worker: str
    fencing_token: int
    lease_expire_s: float
    create_s: float
    spent_s: float
    version: int
    """Grows with every change of any job; `JobTable.changes_since` takes it."""
    result: dict[str, Any] = field(default_factory=dict)
