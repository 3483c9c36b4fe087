"""The worker's side of the job table. Every function works in the caller's transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, select

from service.store.catalogue import Catalogue
from service.work.claim import ClaimedJob, Directive, JobResult
from service.work.job import Job, JobState
from service.work.schema import checkpoints, job_of, jobs, select_jobs, waiters_of, write_job
from service.work.submission import end, requeue, usage_row
from service.work.usage import add_usage

BACKOFF_S = 1.0
BACKOFF_LIMIT_S = 60.0


def anything_due(connection: Connection, now_s: float) -> bool:
    """Whether there is a job to claim or a lease that ran out."""
    return any(connection.execute(query.limit(1)).first() is not None for query in (_due(now_s), _expired(now_s)))


def expire_leases(connection: Connection, now_s: float, max_attempts: int) -> list[str]:
    """The jobs taken from workers that stopped beating: queued again, cancelled if that was asked, or dead."""
    rows = connection.execute(_expired(now_s).with_for_update(skip_locked=True)).mappings().all()
    for row in rows:
        lost = f"worker {row['worker']} stopped beating during {row['stage'] or 'its first chunk'}"
        if row["cancel_asked"]:
            end(connection, row, JobState.CANCELLED, now_s, worker="")
        elif row["attempts"] >= max_attempts:
            end(connection, row, JobState.DEAD, now_s, worker="", last_error=lost)
        else:
            requeue(connection, row["job_id"], last_error=lost)
    return [row["job_id"] for row in rows]


def claim(connection: Connection, worker: str, lease_s: float, now_s: float) -> ClaimedJob | None:
    """The best queued job, leased to `worker` under a new fencing token, or None."""
    query = _due(now_s).order_by(jobs.c.rank, jobs.c.deadline_s, jobs.c.job_id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
    if row is None:
        return None
    token = row["fencing_token"] + 1
    write_job(
        connection,
        row["job_id"],
        state=JobState.RUNNING,
        worker=worker,
        fencing_token=token,
        lease_expire_s=now_s + lease_s,
        attempts=row["attempts"] + 1,
    )
    return ClaimedJob(read_job(connection, row["job_id"]), worker, token)


def read_job(connection: Connection, job_id: str) -> Job:
    """A job that is known to exist."""
    return job_of(connection.execute(select_jobs().where(jobs.c.job_id == job_id)).mappings().one())


def hold(connection: Connection, claimed: ClaimedJob) -> RowMapping | None:
    """The job's row, locked; None where the claim is no longer good (fenced out, ended, pruned)."""
    query = select(jobs).where(
        jobs.c.job_id == claimed.job.job_id,
        jobs.c.fencing_token == claimed.fencing_token,
        jobs.c.state == JobState.RUNNING,
    )
    return connection.execute(query.with_for_update()).mappings().first()


def direct(connection: Connection, row: RowMapping, now_s: float) -> Directive:
    """What the worker of a held job shall do next."""
    if row["cancel_asked"]:
        return Directive.CANCEL
    better = _due(now_s).where(jobs.c.rank < row["rank"]).subquery()
    queued = connection.execute(select(func.count()).select_from(better)).scalar_one()
    if not queued:
        return Directive.CONTINUE
    # Of several running jobs only the worst make room, one for each better job that waits.
    worse = select(func.count()).select_from(jobs).where(jobs.c.state == JobState.RUNNING)
    worse = worse.where(jobs.c.rank > row["rank"], jobs.c.lease_expire_s > now_s)
    return Directive.YIELD if queued > connection.execute(worse).scalar_one() else Directive.CONTINUE


def save_checkpoint(connection: Connection, claimed: ClaimedJob, state: bytes, now_s: float) -> None:
    """Replace the job's checkpoint."""
    connection.execute(delete(checkpoints).where(checkpoints.c.job_id == claimed.job.job_id))
    values = {"job_id": claimed.job.job_id, "fencing_token": claimed.fencing_token, "save_s": now_s, "state": state}
    connection.execute(checkpoints.insert().values(values))


def release(connection: Connection, row: RowMapping, now_s: float, spent: dict[str, Any]) -> None:
    """Give a held job back: cancelled if that was asked, else queued with this attempt not counted."""
    if row["cancel_asked"]:
        end(connection, row, JobState.CANCELLED, now_s, worker="", **spent)
    else:
        requeue(connection, row["job_id"], attempts=max(0, row["attempts"] - 1), **spent)


def fail(
    connection: Connection, row: RowMapping, error: str, may_retry: bool, now_s: float, spent: dict[str, Any]
) -> None:
    """End a held job as dead, or queue it again after a pause that doubles with every attempt."""
    if row["cancel_asked"]:
        end(connection, row, JobState.CANCELLED, now_s, worker="", last_error=error, **spent)
    elif not may_retry:
        end(connection, row, JobState.DEAD, now_s, worker="", last_error=error, **spent)
    else:
        pause_s = min(BACKOFF_LIMIT_S, BACKOFF_S * 2.0 ** (row["attempts"] - 1))
        requeue(connection, row["job_id"], last_error=error, not_before_s=now_s + pause_s, **spent)


def complete(connection: Connection, row: RowMapping, result: JobResult, catalogue: Catalogue, now_s: float) -> None:
    """Register a held job's result and its usage, and end it as done."""
    if result.segment is not None:
        catalogue.register_segment(connection, result.segment, result.scene)
    elif result.scene is not None:
        catalogue.register_scene(connection, result.scene)
    segment_id = _segment_of(row, result)
    catalogue.register_assets(connection, f"exports/{row['job_id']}", result.exports, segment_id)
    usage = usage_row(row, result.spent_s, now_s) | {
        "segment_id": segment_id,
        "completed": result.segment is not None,
        "cancelled": False,
        "scene_s": result.scene_s,
        "bytes": sum(asset.size_bytes for asset in result.assets),
    }
    add_usage(connection, usage, [waiter.session for waiter in waiters_of(row["waiters"])])
    connection.execute(delete(checkpoints).where(checkpoints.c.job_id == row["job_id"]))
    write_job(
        connection,
        row["job_id"],
        state=JobState.DONE,
        stage="",
        chunks_done=row["chunks_total"],
        lease_expire_s=0.0,
        cancel_asked=False,
        finish_s=now_s,
        last_error="",
        spent_s=result.spent_s,
        accounted_s=result.spent_s,
        result=json.dumps(_summary(result)),
    )


def _segment_of(row: RowMapping, result: JobResult) -> str:
    if result.segment is not None:
        return result.segment.segment_id
    return result.scene.segment_id if result.scene is not None else str(row["target"])


def _summary(result: JobResult) -> dict[str, Any]:
    return {
        "segment": result.segment.segment_id if result.segment else "",
        "scene": result.scene.scene_id if result.scene else "",
        "assets": [asdict(asset) for asset in result.assets],
        "stage_s": {stage: round(seconds, 3) for stage, seconds in result.stage_s.items()},
    }


def _due(now_s: float) -> Select[Any]:
    return select(jobs).where(jobs.c.state == JobState.QUEUED, jobs.c.not_before_s <= now_s)


def _expired(now_s: float) -> Select[Any]:
    return select(jobs).where(jobs.c.state == JobState.RUNNING, jobs.c.lease_expire_s <= now_s)
