"""Putting work into the job table and taking it out again. Every function works in the caller's transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from service.ids import JobId
from service.store.catalogue import assets
from service.work.job import Job, JobRequest, JobState
from service.work.schema import (
    job_of,
    job_with,
    jobs,
    next_versions,
    payloads,
    select_jobs,
    waiters_json,
    waiters_of,
    write_job,
)
from service.work.usage import add_usage

BATCH = 500


def submit(connection: Connection, requests: Sequence[JobRequest], texts: dict[str, str], now_s: float) -> list[Job]:
    """One job for each request, in order; see `JobTable.submit`. `texts` are payloads as JSON, by request id."""
    latest = {request.request_id: request for request in requests}
    existing = _lock_requests(connection, latest)
    again = _to_queue_again(connection, existing)
    _insert(connection, [request for key, request in latest.items() if key not in existing], texts, now_s)
    live = (JobState.QUEUED, JobState.RUNNING)
    changed = [
        _order_of(latest[key]) | {"key": row["job_id"]}
        for key, row in existing.items()
        if (row["state"] in live or key in again) and _differs(row, latest[key])
    ]
    if changed:
        connection.execute(_REORDER, changed)
    for key in again:
        requeue(connection, existing[key]["job_id"], attempts=0, finish_s=None, last_error="")
    rows = existing if not (changed or again or len(existing) < len(latest)) else _rows(connection, latest)
    found = {key: job_with(row, latest[key].payload) for key, row in rows.items()}
    return [found[request.request_id] for request in requests]


def payload_texts(connection: Connection, requests: Sequence[JobRequest]) -> dict[str, str]:
    """Payloads as JSON by request id, of requests that have no job yet."""
    known: set[str] = set()
    for some in _batches(sorted({request.request_id for request in requests})):
        query = select(jobs.c.request_id).where(jobs.c.request_id.in_(some))
        known |= set(connection.execute(query).scalars())
    return {r.request_id: _payload_text(r) for r in requests if r.request_id not in known}


def select_by_request(connection: Connection, request_ids: Collection[str]) -> Iterator[Job]:
    """The jobs that have one of the request ids."""
    for some in _batches(sorted(set(request_ids))):
        query = select_jobs().where(jobs.c.request_id.in_(some))
        yield from (job_of(row) for row in connection.execute(query).mappings())


def cancel(connection: Connection, request_ids: Collection[str], now_s: float) -> int:
    """How many live jobs were cancelled or told to stop; see `JobTable.cancel`."""
    count = 0
    for row in _lock_requests(connection, request_ids).values():
        if row["state"] == JobState.QUEUED:
            end(connection, row, JobState.CANCELLED, now_s)
        elif row["state"] == JobState.RUNNING and not row["cancel_asked"]:
            write_job(connection, row["job_id"], cancel_asked=True)
        else:
            continue
        count += 1
    return count


def requeue(connection: Connection, job_id: str, **values: Any) -> None:
    """Put a job back into the queue, due at once unless `values` say otherwise."""
    fields: dict[str, Any] = {"worker": "", "lease_expire_s": 0.0, "cancel_asked": False, "not_before_s": 0.0}
    write_job(connection, job_id, **(fields | {"state": JobState.QUEUED} | values))


def end(connection: Connection, row: RowMapping, state: JobState, now_s: float, **values: Any) -> None:
    """End a job that made nothing; what was spent on it is a row of usage, once."""
    spent_s = values.get("spent_s", row["spent_s"])
    if spent_s > row["accounted_s"]:
        usage = usage_row(row, spent_s, now_s) | {"completed": False, "cancelled": True}
        add_usage(connection, usage, [waiter.session for waiter in waiters_of(row["waiters"])])
    fields = {"state": state, "cancel_asked": False, "finish_s": now_s, "accounted_s": spent_s, "lease_expire_s": 0.0}
    write_job(connection, row["job_id"], **(fields | values))


def usage_row(row: RowMapping, spent_s: float, now_s: float) -> dict[str, Any]:
    """A row of usage for what was spent on a job and is in no row yet; it made nothing unless the caller says so."""
    return {
        "job_id": row["job_id"],
        "kind": row["kind"],
        "segment_id": row["target"],
        "quality": row["quality"],
        "device_s": max(0.0, spent_s - row["accounted_s"]),
        "scene_s": 0.0,
        "bytes": 0,
        "finish_s": now_s,
    }


_REORDER = (
    update(jobs)
    .where(jobs.c.job_id == bindparam("key"))
    .values(
        rank=bindparam("new_rank"),
        deadline_s=bindparam("new_deadline_s"),
        waiters=bindparam("new_waiters"),
        cancel_asked=False,
    )
)


def _order_of(request: JobRequest) -> dict[str, Any]:
    return {
        "new_rank": request.rank,
        "new_deadline_s": request.deadline_s,
        "new_waiters": waiters_json(request.waiters),
    }


def _differs(row: RowMapping, request: JobRequest) -> bool:
    order = (row["rank"], row["deadline_s"], row["waiters"])
    return bool(row["cancel_asked"]) or order != tuple(_order_of(request).values())


def _to_queue_again(connection: Connection, existing: dict[str, RowMapping]) -> list[str]:
    """Cancelled jobs, and done ones of whose assets one has been evicted since."""
    made = {
        key: {asset["asset"] for asset in json.loads(row["result"]).get("assets", ())}
        for key, row in existing.items()
        if row["state"] == JobState.DONE
    }
    kept: set[str] = set()
    for some in _batches(sorted(set().union(*made.values()))):
        kept |= set(connection.execute(select(assets.c.asset).where(assets.c.asset.in_(some))).scalars())
    cancelled = [key for key, row in existing.items() if row["state"] == JobState.CANCELLED]
    return cancelled + [key for key, files in made.items() if not files <= kept]


def _payload_text(request: JobRequest) -> str:
    return json.dumps(request.payload, separators=(",", ":"))


def _insert(connection: Connection, requests: Sequence[JobRequest], texts: dict[str, str], now_s: float) -> None:
    if not requests:
        return
    first = next_versions(connection, len(requests))
    rows, bodies = [], []
    for index, request in enumerate(requests):
        job_id = _new_job_id(now_s, index)
        bodies.append({"job_id": job_id, "payload": texts.get(request.request_id) or _payload_text(request)})
        rows.append(
            {
                "job_id": job_id,
                "request_id": request.request_id,
                "kind": request.kind,
                "quality": int(request.quality),
                "target": request.target,
                "rank": request.rank,
                "deadline_s": request.deadline_s,
                "trace_id": request.trace_id,
                "waiters": waiters_json(request.waiters),
                "state": JobState.QUEUED,
                "create_s": now_s,
                "version": first + index,
            }
        )
    connection.execute(jobs.insert(), rows)
    connection.execute(payloads.insert(), bodies)


def _new_job_id(now_s: float, index: int) -> JobId:
    # Ids sort by age; the index keeps the order within one submission.
    return JobId(f"{int(now_s * 1000):012x}{index:04x}{secrets.token_hex(6)}")


def _lock_requests(connection: Connection, request_ids: Iterable[str]) -> dict[str, RowMapping]:
    return _rows(connection, request_ids, lock=True)


def _rows(connection: Connection, request_ids: Iterable[str], lock: bool = False) -> dict[str, RowMapping]:
    found: dict[str, RowMapping] = {}
    for some in _batches(sorted(set(request_ids))):
        query = select(jobs).where(jobs.c.request_id.in_(some)).order_by(jobs.c.request_id)
        query = query.with_for_update() if lock else query
        found |= {row["request_id"]: row for row in connection.execute(query).mappings()}
    return found


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]
