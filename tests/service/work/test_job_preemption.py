from __future__ import annotations

import pytest
from sqlalchemy import Engine

from service.errors import InvalidInput
from service.work.claim import Directive
from service.work.job import JobState
from service.work.table import JobTable
from service.work.usage import UsagePart, read_usage
from tests.service.work.job_samples import FakeClock, claim, request, result_for, state_of, usage_count


def test_a_better_job_makes_only_the_worst_running_ones_yield(table: JobTable) -> None:
    table.submit([request("a", 1.0), request("b", 2.0), request("c", 3.0)])
    a, b, c = (claim(table) for _ in range(3))
    table.submit([request("new", 0.5)])
    beats = [table.beat(claimed, "x", 1, 2, 1.0, 10.0) for claimed in (a, b, c)]
    assert beats == [Directive.CONTINUE, Directive.CONTINUE, Directive.YIELD]
    table.submit([request("newer", 0.6)])
    beats = [table.beat(claimed, "x", 1, 2, 1.0, 10.0) for claimed in (a, b, c)]
    assert beats == [Directive.CONTINUE, Directive.YIELD, Directive.YIELD]
    table.submit([request("same rank", 1.0)])
    assert table.beat(a, "x", 1, 2, 1.0, 10.0) is Directive.CONTINUE


def test_a_released_job_keeps_checkpoint_and_progress_and_its_attempt_is_not_counted(table: JobTable) -> None:
    table.submit([request("a")])
    for _ in range(10):  # more often than max_attempts
        claimed = claim(table)
        table.beat(claimed, "denoise", 3, 9, 2.5, 10.0)
        assert table.save_checkpoint(claimed, b"earlier")
        assert table.save_checkpoint(claimed, b"latents")
        assert table.release(claimed)
    job = table.job(claimed.job.job_id)
    assert (job.state, job.attempts, job.chunks_done, job.spent_s) == (JobState.QUEUED, 0, 3, 2.5)
    assert table.checkpoint(job.job_id) == b"latents"
    done = claim(table)
    table.complete(done, result_for(done))
    assert table.checkpoint(job.job_id) is None
    with pytest.raises(InvalidInput, match="at most"):
        table.save_checkpoint(done, bytes((64 << 20) + 1))


def test_cancelling_takes_queued_jobs_at_once_and_running_ones_at_their_border(table: JobTable, engine: Engine) -> None:
    table.submit([request("run"), request("wait", 1.0), request("done", 2.0)])
    running = claim(table)
    assert table.cancel(["content/run", "content/wait", "content/unknown"]) == 2
    assert table.cancel(["content/run", "content/wait"]) == 0
    assert table.cancel([]) == 0
    assert (state_of(table, "run"), state_of(table, "wait")) == (JobState.RUNNING, JobState.CANCELLED)
    assert usage_count(engine) == 0
    assert table.beat(running, "denoise", 4, 9, 3.0, 10.0) is Directive.CANCEL
    table.save_checkpoint(running, b"half")
    assert table.release(running)
    job = table.job(running.job.job_id)
    assert (job.state, job.spent_s) == (JobState.CANCELLED, 3.0)
    assert read_usage(engine).wasted == UsagePart(0, 0.0, 3.0, 0)


def test_a_cancelled_job_that_is_wanted_again_goes_on_from_its_checkpoint(table: JobTable, engine: Engine) -> None:
    table.submit([request("a")])
    claimed = claim(table)
    table.beat(claimed, "denoise", 4, 9, 3.0, 10.0)
    table.save_checkpoint(claimed, b"half")
    table.cancel(["content/a"])
    table.release(claimed)
    assert table.submit([request("a", 0.0, "s1")])[0].state is JobState.QUEUED
    again = claim(table)
    assert table.checkpoint(again.job.job_id) == b"half"
    assert again.job.spent_s == 3.0
    table.complete(again, result_for(again, spent_s=5.0))
    report = read_usage(engine)
    assert usage_count(engine) == 2
    assert (report.generated.device_s, report.pending.device_s, report.wasted.device_s) == (5.0, 5.0, 0.0)
    assert report.generated.segments == 1


def test_a_running_job_that_is_wanted_again_before_its_border_just_goes_on(table: JobTable) -> None:
    table.submit([request("a")])
    claimed = claim(table)
    table.cancel(["content/a"])
    table.submit([request("a")])
    assert table.beat(claimed, "denoise", 4, 9, 3.0, 10.0) is Directive.CONTINUE


def test_a_cancelled_job_whose_worker_dies_is_cancelled_all_the_same(table: JobTable, clock: FakeClock) -> None:
    table.submit([request("a")])
    claimed = claim(table)
    table.beat(claimed, "denoise", 4, 9, 3.0, 10.0)
    table.cancel(["content/a"])
    clock.now_s += 11
    assert table.claim("w", 10.0) is None
    assert state_of(table, "a") is JobState.CANCELLED
    failing = table.submit([request("b")])[0]
    claimed = claim(table)
    table.cancel(["content/b"])
    table.fail(claimed, "whatever", retryable=True)
    assert table.job(failing.job_id).state is JobState.CANCELLED
