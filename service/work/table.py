"""The job table: durable work, the truth about what is to be done, is being done and was done."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from service.clock import Clock
from service.errors import InvalidInput, NotApplicable, NotFound
from service.ids import JobId
from service.quality import Quality
from service.store.catalogue import Catalogue
from service.store.database import read, write
from service.work import lease, submission
from service.work.claim import ClaimedJob, Directive, JobResult
from service.work.job import Job, JobKind, JobRequest, JobState
from service.work.schema import checkpoints, job_of, jobs, payloads, select_jobs, write_job

KEEP_ENDED_S = 7 * 86_400.0
"""How long jobs that ended are kept."""
MAX_CHECKPOINT_BYTES = 64 << 20
_ENDED = (JobState.DONE, JobState.CANCELLED, JobState.DEAD)


class JobTable:
    """Jobs in the database. Every method is one transaction; several processes may use one table.

    A claim carries a fencing token: what a worker writes after its lease ran out and the job was claimed
    again changes nothing and says so.
    """

    def __init__(self, engine: Engine, clock: Clock, *, max_attempts: int = 5) -> None:
        if max_attempts < 1:
            raise InvalidInput(f"max_attempts must be at least 1, got {max_attempts}")
        self._engine = engine
        self._clock = clock
        self._max_attempts = max_attempts
        self._catalogue = Catalogue(engine, clock)

    def submit(self, requests: Sequence[JobRequest]) -> list[Job]:
        """One job for each request, in order.

        By request id: new ones are queued; queued and running ones take the request's rank, deadline and
        waiters (their version stays: it is no news to who submits) and are wanted again if they were asked
        to stop; cancelled ones are queued again with their checkpoint, done ones only if something they made has
        been evicted; dead ones stay dead. The payload is that of the first request.
        """
        if not requests:
            return []
        with read(self._engine) as connection:  # long payloads are written as JSON before the lock is taken
            texts = submission.payload_texts(connection, requests)
        with write(self._engine) as connection:
            return submission.submit(connection, requests, texts, self._clock())

    def cancel(self, request_ids: Collection[str]) -> int:
        """How many jobs were cancelled: queued ones at once, running ones at their next chunk border."""
        if not request_ids:
            return 0
        with write(self._engine) as connection:
            return submission.cancel(connection, request_ids, self._clock())

    def claim(self, worker: str, lease_s: float) -> ClaimedJob | None:
        """The best queued job, leased to `worker` for `lease_s`; None where nothing is due.

        Leases that ran out are ended first, so that their jobs are candidates too. Costs only a read where
        nothing is due.
        """
        now_s = self._clock()
        with read(self._engine) as connection:
            if not lease.anything_due(connection, now_s):
                return None
        with write(self._engine) as connection:
            lease.expire_leases(connection, now_s, self._max_attempts)
            return lease.claim(connection, worker, lease_s, now_s)

    def expire_leases(self) -> list[JobId]:
        """The jobs taken from workers that stopped beating. `claim` does the same."""
        with write(self._engine) as connection:
            gone = lease.expire_leases(connection, self._clock(), self._max_attempts)
        return [JobId(job_id) for job_id in gone]

    def beat(
        self, claimed: ClaimedJob, stage: str, chunks_done: int, chunks_total: int, spent_s: float, lease_s: float
    ) -> Directive:
        """What the worker shall do next, after noting how far the job is and renewing its lease."""
        now_s = self._clock()
        with write(self._engine) as connection:
            row = lease.hold(connection, claimed)
            if row is None:
                return Directive.LOST
            values = {"stage": stage, "chunks_done": chunks_done, "chunks_total": chunks_total}
            write_job(connection, row["job_id"], **values, spent_s=spent_s, lease_expire_s=now_s + lease_s)
            return lease.direct(connection, row, now_s)

    def keep(self, claimed: ClaimedJob, lease_s: float) -> bool:
        """Whether the claim is still good; if so its lease is renewed. For the middle of long chunks."""
        with write(self._engine) as connection:
            if lease.hold(connection, claimed) is None:
                return False
            renewed = jobs.update().where(jobs.c.job_id == claimed.job.job_id)
            connection.execute(renewed.values(lease_expire_s=self._clock() + lease_s))
            return True

    def save_checkpoint(self, claimed: ClaimedJob, state: bytes) -> bool:
        """Whether the checkpoint was saved; False where the claim is no longer good."""
        if len(state) > MAX_CHECKPOINT_BYTES:
            raise InvalidInput(f"a checkpoint has at most {MAX_CHECKPOINT_BYTES} bytes, got {len(state)}")
        with write(self._engine) as connection:
            if lease.hold(connection, claimed) is None:
                return False
            lease.save_checkpoint(connection, claimed, state, self._clock())
            return True

    def checkpoint(self, job_id: JobId) -> bytes | None:
        """The job's last checkpoint, or None."""
        with read(self._engine) as connection:
            query = select(checkpoints.c.state).where(checkpoints.c.job_id == job_id)
            state = connection.execute(query).scalar()
            return None if state is None else bytes(state)

    def release(self, claimed: ClaimedJob, spent_s: float | None = None) -> bool:
        """Give a job back: queued with this attempt not counted, or cancelled if that was asked. False if lost."""
        with write(self._engine) as connection:
            row = lease.hold(connection, claimed)
            if row is not None:
                lease.release(connection, row, self._clock(), _spent(spent_s))
            return row is not None

    def complete(self, claimed: ClaimedJob, result: JobResult) -> bool:
        """Register result and usage and end the job, in one transaction; False (and nothing) if fenced out."""
        with write(self._engine) as connection:
            row = lease.hold(connection, claimed)
            if row is not None:
                lease.complete(connection, row, result, self._catalogue, self._clock())
            return row is not None

    def fail(self, claimed: ClaimedJob, error: str, retryable: bool, spent_s: float | None = None) -> bool:
        """Note an error: queued again after a pause, or dead where it cannot help or attempts ran out."""
        with write(self._engine) as connection:
            row = lease.hold(connection, claimed)
            if row is not None:
                may_retry = retryable and row["attempts"] < self._max_attempts
                lease.fail(connection, row, error[:2000], may_retry, self._clock(), _spent(spent_s))
            return row is not None

    def retry_dead(self, job_id: JobId) -> Job:
        """A dead job, queued again with its attempts forgotten. Raises NotFound, NotApplicable."""
        with write(self._engine) as connection:
            query = select(jobs.c.state).where(jobs.c.job_id == job_id).with_for_update()
            state = connection.execute(query).scalar()
            if state is None:
                raise NotFound(f"no job {job_id}", reason="JOB_NOT_FOUND")
            if state != JobState.DEAD:
                raise NotApplicable(f"job {job_id} is {JobState(state).name}; only DEAD jobs can be retried")
            submission.requeue(connection, job_id, attempts=0, finish_s=None)
            return lease.read_job(connection, job_id)

    def job(self, job_id: JobId) -> Job:
        """The job. Raises NotFound."""
        with read(self._engine) as connection:
            row = connection.execute(select_jobs().where(jobs.c.job_id == job_id)).mappings().first()
        if row is None:
            raise NotFound(f"no job {job_id}", reason="JOB_NOT_FOUND")
        return job_of(row)

    def by_request(self, request_ids: Collection[str]) -> dict[str, Job]:
        """Jobs by request id; those that do not exist are missing."""
        with read(self._engine) as connection:
            found = submission.select_by_request(connection, request_ids)
            return {job.request.request_id: job for job in found}

    def list(self, state: JobState | None, page_size: int, after: JobId | None = None) -> Sequence[Job]:
        """At most `page_size` jobs (in `state`, if given), newest first, older than the job `after`."""
        query = select_jobs().order_by(jobs.c.job_id.desc()).limit(page_size)
        query = query if state is None else query.where(jobs.c.state == state)
        query = query if after is None else query.where(jobs.c.job_id < after)
        return self._select(query)

    def changes_since(self, version: int, limit: int = 1_000) -> Sequence[Job]:
        """Jobs that changed after `version`, oldest change first, at most `limit`: ask again with the last one's."""
        return self._select(select_jobs().where(jobs.c.version > version).order_by(jobs.c.version).limit(limit))

    def version(self) -> int:
        """The version of the newest change; 0 where there are no jobs."""
        with read(self._engine) as connection:
            newest = select(jobs.c.version).order_by(jobs.c.version.desc()).limit(1)
            return int(connection.execute(newest).scalar() or 0)

    def pace(self, last: int = 200) -> dict[tuple[JobKind, Quality], float]:
        """Median seconds that a job of a kind and quality took, of the last jobs that were done."""
        query = select(jobs.c.kind, jobs.c.quality, jobs.c.spent_s).where(jobs.c.state == JobState.DONE)
        found: dict[tuple[JobKind, Quality], list[float]] = {}
        with read(self._engine) as connection:
            for row in connection.execute(query.order_by(jobs.c.finish_s.desc()).limit(last)):
                found.setdefault((JobKind(row.kind), Quality(row.quality)), []).append(row.spent_s)
        return {key: statistics.median(values) for key, values in found.items()}

    def delete(self, job_id: JobId) -> None:
        """Forget a job that has ended; what it made and its usage stay. Raises NotFound, NotApplicable."""
        with write(self._engine) as connection:
            state = connection.execute(select(jobs.c.state).where(jobs.c.job_id == job_id).with_for_update()).scalar()
            if state is None:
                raise NotFound(f"no job {job_id}", reason="JOB_NOT_FOUND")
            if state not in _ENDED:
                raise NotApplicable(f"job {job_id} is {JobState(state).name}; cancel it before it is deleted")
            _forget(connection, [job_id])

    def prune(self, older_than_s: float = KEEP_ENDED_S) -> int:
        """How many jobs were deleted that ended more than `older_than_s` ago. Usage is kept."""
        with write(self._engine) as connection:
            before = jobs.c.finish_s < self._clock() - older_than_s
            old = connection.execute(select(jobs.c.job_id).where(jobs.c.state.in_(_ENDED), before)).scalars().all()
            for start in range(0, len(old), submission.BATCH):
                _forget(connection, old[start : start + submission.BATCH])
            return len(old)

    def _select(self, query: Any) -> Sequence[Job]:
        with read(self._engine) as connection:
            return [job_of(row) for row in connection.execute(query).mappings()]


def _spent(spent_s: float | None) -> dict[str, Any]:
    return {} if spent_s is None else {"spent_s": spent_s}


def _forget(connection: Connection, job_ids: Sequence[str]) -> None:
    for table in (payloads, checkpoints, jobs):
        connection.execute(delete(table).where(table.c.job_id.in_(job_ids)))
