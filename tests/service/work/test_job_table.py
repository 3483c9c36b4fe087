from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql

from service.errors import NotApplicable, NotFound
from service.ids import JobId, SegmentId
from service.quality import Quality
from service.store.catalogue import Catalogue, segments
from service.store.database import read
from service.store.eviction import evict
from service.work import lease
from service.work.claim import ClaimedJob, Directive
from service.work.job import Job, JobKind, JobState
from service.work.schema import jobs
from service.work.table import JobTable
from service.work.usage import UsagePart, read_usage, usage_rows
from tests.service.work.job_samples import FakeClock, claim, request, result_for, state_of, usage_count


def test_submitted_requests_become_queued_jobs_in_order(table: JobTable) -> None:
    wanted = [request("b", 1.0, "s1", "s2"), request("a")]
    jobs = table.submit(wanted)
    assert [job.request for job in jobs] == wanted
    assert {job.state for job in jobs} == {JobState.QUEUED}
    assert [table.job(job.job_id) for job in jobs] == jobs
    assert table.by_request(["content/a", "content/unknown"]) == {"content/a": jobs[1]}
    assert table.submit([]) == []


def test_an_equal_request_is_the_same_job_with_the_later_order_and_waiters(table: JobTable) -> None:
    first = table.submit([request("a", 5.0, "s1"), request("b", 3.0)])[0]
    again = table.submit([request("a", 1.0, "s1", "s2")])[0]
    assert again.job_id == first.job_id
    assert (again.request.rank, len(again.request.waiters)) == (1.0, 2)
    assert claim(table).job.request.target == "a"
    twice = table.submit([request("c", 9.0), request("c", 8.0)])
    assert twice[0] == twice[1]
    assert twice[0].request.rank == 8.0


def test_claims_go_by_rank_then_deadline_then_age(table: JobTable, clock: FakeClock) -> None:
    table.submit([request("late", 1.0, deadline_s=9.0), request("young", 1.0, deadline_s=5.0)])
    clock.now_s += 1
    table.submit([request("best", 0.0, deadline_s=99.0), request("younger", 1.0, deadline_s=5.0)])
    order = [claim(table).job.request.target for _ in range(4)]
    assert order == ["best", "young", "younger", "late"]
    assert table.claim("w", 10.0) is None


def test_a_claim_is_leased_fenced_and_counted(table: JobTable, clock: FakeClock) -> None:
    table.submit([request("a")])
    claimed = claim(table, "worker-1")
    assert claimed.job.state is JobState.RUNNING
    assert (claimed.job.worker, claimed.job.attempts, claimed.fencing_token) == ("worker-1", 1, 1)
    assert claimed.job.lease_expire_s == clock() + 10.0
    assert claimed.job.request.payload == request("a").payload


def test_an_expired_lease_goes_to_the_next_worker_and_fences_the_first_out(
    table: JobTable, clock: FakeClock, engine: Engine
) -> None:
    table.submit([request("a")])
    first = claim(table, "first")
    clock.now_s += 9.9
    assert table.claim("second", 10.0) is None
    assert table.beat(first, "denoise", 1, 9, 1.0, 10.0) is Directive.CONTINUE
    clock.now_s += 9.9
    assert table.keep(first, 10.0)
    clock.now_s += 9.9
    assert table.claim("second", 10.0) is None
    clock.now_s += 0.2
    second = claim(table, "second")
    assert (second.fencing_token, second.job.attempts) == (2, 2)
    assert "first stopped beating during denoise" in second.job.last_error
    assert table.beat(first, "denoise", 2, 9, 2.0, 10.0) is Directive.LOST
    assert not table.keep(first, 10.0)
    assert not table.save_checkpoint(first, b"stale")
    assert table.checkpoint(first.job.job_id) is None
    assert not table.release(first)
    assert not table.fail(first, "late", True)
    assert not table.complete(first, result_for(first))
    assert table.complete(second, result_for(second))
    assert not table.complete(second, result_for(second))
    assert usage_count(engine) == 1
    assert table.job(second.job.job_id).attempts == 2


def test_a_job_whose_workers_keep_dying_is_dead_with_the_reason(
    table: JobTable, clock: FakeClock, engine: Engine
) -> None:
    table.submit([request("a")])
    for _ in range(3):
        claimed = claim(table, "doomed")
        table.beat(claimed, "fuse", 1, 2, 7.0, 10.0)
        clock.now_s += 11
    assert table.expire_leases() == [claimed.job.job_id]
    dead = table.job(claimed.job.job_id)
    assert dead.state is JobState.DEAD
    assert "doomed stopped beating during fuse" in dead.last_error
    assert table.claim("w", 10.0) is None
    assert table.submit([request("a")])[0].state is JobState.DEAD
    assert read_usage(engine).wasted == UsagePart(0, 0.0, 7.0, 0)


def test_a_failure_pauses_then_retries_then_kills(table: JobTable, clock: FakeClock) -> None:
    table.submit([request("a"), request("b", 1.0)])
    for pause_s in (1.0, 2.0):
        claimed = claim(table)
        assert claimed.job.request.target == "a"
        assert table.fail(claimed, "disk full", retryable=True)
        other = claim(table)
        assert other.job.request.target == "b", "a failing job must not keep the others from work"
        table.release(other)
        clock.now_s += pause_s
    claimed = claim(table)
    assert table.fail(claimed, "disk full again", retryable=True)
    job = table.job(claimed.job.job_id)
    assert (job.state, job.last_error, job.attempts) == (JobState.DEAD, "disk full again", 3)


def test_an_error_that_cannot_pass_kills_at_once_and_a_dead_job_can_be_retried(table: JobTable) -> None:
    job = table.submit([request("a")])[0]
    with pytest.raises(NotApplicable, match="QUEUED"):
        table.retry_dead(job.job_id)
    table.fail(claim(table), "no such model", retryable=False)
    assert state_of(table, "a") is JobState.DEAD
    retried = table.retry_dead(job.job_id)
    assert (retried.state, retried.attempts) == (JobState.QUEUED, 0)
    assert claim(table).job.job_id == job.job_id
    with pytest.raises(NotFound):
        table.retry_dead(JobId("nothing"))
    with pytest.raises(NotFound):
        table.job(JobId("nothing"))


def test_completion_registers_result_and_usage_together_or_not_at_all(
    table: JobTable, engine: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.submit([request("a", 0.0, "s1")])
    claimed = claim(table)

    def cut_off(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lease, "add_usage", cut_off)
        with pytest.raises(KeyboardInterrupt):
            table.complete(claimed, result_for(claimed))
    catalogue = Catalogue(engine, clock)
    assert catalogue.segment(SegmentId("a")) is None
    assert usage_count(engine) == 0
    assert table.complete(claimed, result_for(claimed))
    job = table.job(claimed.job.job_id)
    assert (job.state, job.spent_s) == (JobState.DONE, 4.0)
    assert (job.result["segment"], job.result["scene"]) == ("a", "scene-a")
    assert [asset["asset"] for asset in job.result["assets"]] == ["clip-a", "splats-a"]
    assert job.result["stage_s"] == {"denoise": 4.0}
    assert list(catalogue.ready_segments([SegmentId("a")])) == ["a"]
    assert table.pace() == {(JobKind.CONTENT, Quality.DRAFT): 4.0}


def test_a_done_job_is_not_done_again_unless_its_segment_was_evicted(
    table: JobTable, engine: Engine, clock: FakeClock
) -> None:
    table.submit([request("a")])
    claimed = claim(table)
    table.complete(claimed, result_for(claimed))
    assert table.submit([request("a")])[0].state is JobState.DONE
    assert len(evict(engine, clock, 0)) == 2
    assert table.submit([request("a")])[0].state is JobState.QUEUED
    again = claim(table)
    assert table.complete(again, result_for(again, spent_s=9.0))
    with read(engine) as connection:
        assert connection.execute(select(func.count()).select_from(segments)).scalar_one() == 1
    assert read_usage(engine).generated.device_s == 9.0


def test_changes_since_tells_every_change_once_in_order(table: JobTable) -> None:
    assert table.version() == 0
    a, b = table.submit([request("a"), request("b", 1.0)])
    seen = table.changes_since(0)
    assert [job.job_id for job in seen] == [a.job_id, b.job_id]
    version = seen[-1].version
    table.submit([request("a", 2.0)])
    assert table.changes_since(version) == [], "who submits an order knows it"
    claimed = claim(table)
    table.beat(claimed, "denoise", 1, 9, 1.0, 10.0)
    changed = table.changes_since(version)
    assert [(job.job_id, job.stage) for job in changed] == [(b.job_id, "denoise")]
    assert changed[-1].version == table.version()
    assert [job.job_id for job in table.changes_since(0, limit=1)] == [a.job_id]


def test_lists_page_through_all_jobs_newest_first(table: JobTable, clock: FakeClock) -> None:
    for number in range(5):
        table.submit([request(str(number))])
        clock.now_s += 1
    claim(table)
    seen: list[Job] = []
    while page := table.list(None, 2, seen[-1].job_id if seen else None):
        seen += page
    assert [job.request.target for job in seen] == ["4", "3", "2", "1", "0"]
    assert [job.request.target for job in table.list(JobState.RUNNING, 9)] == ["0"]


def test_prune_forgets_ended_jobs_and_keeps_usage(table: JobTable, clock: FakeClock, engine: Engine) -> None:
    table.submit([request("done"), request("cancelled", 1.0), request("queued", 2.0)])
    done = claim(table)
    table.complete(done, result_for(done))
    table.cancel(["content/cancelled"])
    clock.now_s += 100
    assert table.prune(older_than_s=101) == 0
    assert table.prune(older_than_s=99) == 2
    assert [job.request.target for job in table.list(None, 9)] == ["queued"]
    assert usage_count(engine) == 1


def test_only_ended_jobs_can_be_deleted(table: JobTable, engine: Engine) -> None:
    job = table.submit([request("a")])[0]
    with pytest.raises(NotApplicable, match="QUEUED"):
        table.delete(job.job_id)
    claimed = claim(table)
    table.complete(claimed, result_for(claimed))
    table.delete(job.job_id)
    with pytest.raises(NotFound):
        table.delete(job.job_id)
    assert usage_count(engine) == 1


def test_any_order_of_calls_leaves_sums_that_agree(table: JobTable, engine: Engine, clock: FakeClock) -> None:
    random_source = random.Random(7)
    held: list[ClaimedJob] = []
    spent: dict[str, float] = {}
    completed: list[str] = []

    def finish(claimed: ClaimedJob) -> None:
        if table.complete(claimed, result_for(claimed, spent[claimed.job.job_id])):
            completed.append(claimed.job.job_id)

    def beat(claimed: ClaimedJob) -> None:
        spent[claimed.job.job_id] += 1.0
        table.beat(claimed, "x", 1, 2, spent[claimed.job.job_id], 10.0)

    ways: list[Callable[[ClaimedJob], object]] = [finish, beat, table.release, lambda c: table.fail(c, "e", True)]
    for _ in range(400):
        name = str(random_source.randrange(12))
        clock.now_s += random_source.choice((0.1, 3.0))
        action = random_source.randrange(6)
        if action == 0:
            table.submit([request(name, random_source.random())])
        elif action == 1:
            table.cancel([f"content/{name}"])
        elif action == 2 and (claimed := table.claim("w", 10.0)):
            spent.setdefault(claimed.job.job_id, 0.0)
            spent[claimed.job.job_id] = claimed.job.spent_s
            held.append(claimed)
        elif held:
            random_source.choice(ways)(random_source.choice(held))
    assert len(completed) == len(set(completed)) > 3
    with read(engine) as connection:
        rows = connection.execute(select(usage_rows.c.job_id).where(usage_rows.c.completed)).scalars().all()
    assert sorted(rows) == sorted(completed)
    ended = [job for job in table.list(None, 99) if job.state not in (JobState.QUEUED, JobState.RUNNING)]
    with read(engine) as connection:
        sums = select(usage_rows.c.job_id, func.sum(usage_rows.c.device_s)).group_by(usage_rows.c.job_id)
        by_job = {row[0]: row[1] for row in connection.execute(sums)}
    for job in ended:
        assert by_job.get(job.job_id, 0.0) == pytest.approx(job.spent_s)


def test_claims_lock_rows_as_postgresql_needs_it() -> None:
    text = str(lease._due(0.0).with_for_update(skip_locked=True).compile(dialect=postgresql.dialect()))
    assert text.endswith("FOR UPDATE SKIP LOCKED")


def test_the_best_job_and_new_changes_are_found_by_index_without_sorting(engine: Engine) -> None:
    best = lease._due(5.0).order_by(jobs.c.rank, jobs.c.deadline_s, jobs.c.job_id).limit(1)
    newest = select(jobs).where(jobs.c.version > 7).order_by(jobs.c.version)
    with read(engine) as connection:
        for query, index in ((best, "jobs_order"), (newest, "jobs_version")):
            text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            assert f"USING INDEX {index}" in plan
            assert "TEMP B-TREE" not in plan
