from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from model.errors import UnsupportedSpec
from service.errors import InvalidInput, Unavailable
from service.ids import AssetId, SceneId, SegmentId
from service.quality import Quality
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.store.records import FOURDGS, AssetRecord, SceneRecord, SegmentRecord
from service.work import attempt
from service.work.attempt import Attempt, AttemptSettings
from service.work.claim import JobResult
from service.work.handlers import StaleCheckpoint
from service.work.heart import Heart
from service.work.job import Job, JobKind, JobRequest, JobState
from service.work.table import JobTable
from service.work.usage import read_usage

CHUNKS = 4


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class ScriptedRun:
    """Counts chunks; before each, whatever the test put into `before` for its number happens."""

    chunks_total = CHUNKS

    def __init__(self, handlers: ScriptedHandlers, job: Job, chunks_done: int) -> None:
        self._handlers, self._job, self.chunks_done = handlers, job, chunks_done

    @property
    def stage(self) -> str:
        return "first" if self.chunks_done < 2 else "second"

    @property
    def done(self) -> bool:
        return self.chunks_done == CHUNKS

    def advance(self) -> None:
        self._handlers.before.get(self.chunks_done, lambda: None)()
        self._handlers.ran.append(self.chunks_done)
        self.chunks_done += 1

    def state_bytes(self) -> bytes:
        return str(self.chunks_done).encode()

    def result(self) -> JobResult:
        self._handlers.before.get(CHUNKS, lambda: None)()
        segment_id, scene_id = SegmentId(self._job.request.target), SceneId("scene")
        splats = AssetRecord(AssetId("splats"), 10, FOURDGS, 0.0, 1.0)
        segment = SegmentRecord(segment_id, {}, Quality.DRAFT, (), scene_id, 60.0, 0.0)
        return JobResult(segment, SceneRecord(scene_id, segment_id, (splats,), 1, 60.0, 0.0), 0.0, 60.0)


class ScriptedHandlers:
    def __init__(self) -> None:
        self.before: dict[int, Callable[[], object]] = {}
        self.ran: list[int] = []

    def warm_up(self, say: Callable[[str], None]) -> None:
        say("nothing")

    def start(self, job: Job, checkpoint: bytes | None) -> ScriptedRun:
        if checkpoint == b"stale":
            raise StaleCheckpoint("of another version")
        return ScriptedRun(self, job, int(checkpoint or b"0"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    return engine


@pytest.fixture
def jobs(engine: Engine, clock: FakeClock) -> JobTable:
    return JobTable(engine, clock)


@pytest.fixture
def handlers() -> ScriptedHandlers:
    return ScriptedHandlers()


def submit(jobs: JobTable, name: str = "a", rank: float = 5.0) -> Job:
    return jobs.submit([JobRequest(f"r/{name}", JobKind.CONTENT, {}, Quality.DRAFT, name, rank, 9e9, "trace")])[0]


def attempt_one(jobs: JobTable, handlers: ScriptedHandlers, stopping: threading.Event | None = None) -> Job:
    """The job as it is after one attempt at the best one."""
    claimed = jobs.claim("w", 10.0)
    assert claimed is not None
    heart = Heart(jobs, 10.0, lambda: None)
    settings = AttemptSettings(lease_s=10.0, checkpoint_s=1_000.0)
    Attempt(claimed, settings, jobs, heart, stopping or threading.Event()).do(handlers, lambda stage: None)
    return jobs.job(claimed.job.job_id)


def test_a_job_runs_to_its_end_and_says_what_it_took(
    jobs: JobTable, handlers: ScriptedHandlers, engine: Engine, clock: FakeClock
) -> None:
    submit(jobs)
    done = attempt_one(jobs, handlers)
    assert (done.state, done.chunks_done, handlers.ran) == (JobState.DONE, CHUNKS, [0, 1, 2, 3])
    assert list(done.result["stage_s"]) == ["start", "first", "second", "store"]
    assert done.spent_s > 0
    segment = Catalogue(engine, clock).segment(SegmentId("a"))
    assert segment is not None
    assert segment.device_s == done.spent_s == read_usage(engine).generated.device_s


def test_a_better_job_comes_first_and_the_other_goes_on_where_it_was(
    jobs: JobTable, handlers: ScriptedHandlers
) -> None:
    first = submit(jobs)
    handlers.before[1] = lambda: submit(jobs, "urgent", 1.0)
    left = attempt_one(jobs, handlers)
    assert (left.job_id, left.state, left.chunks_done, left.attempts) == (first.job_id, JobState.QUEUED, 2, 0)
    assert left.spent_s > 0
    handlers.before.clear()
    assert attempt_one(jobs, handlers).request.target == "urgent"
    handlers.ran.clear()
    done = attempt_one(jobs, handlers)
    assert (done.job_id, done.state, handlers.ran) == (first.job_id, JobState.DONE, [2, 3])
    assert done.spent_s > left.spent_s


def test_a_cancelled_job_stops_at_the_next_border(jobs: JobTable, handlers: ScriptedHandlers, engine: Engine) -> None:
    job = submit(jobs)
    handlers.before[1] = lambda: jobs.cancel(["r/a"])
    left = attempt_one(jobs, handlers)
    assert (left.state, handlers.ran) == (JobState.CANCELLED, [0, 1])
    assert read_usage(engine).wasted.device_s == left.spent_s > 0
    assert jobs.checkpoint(job.job_id) == b"2"


def test_a_job_lost_to_another_worker_is_dropped(
    jobs: JobTable, handlers: ScriptedHandlers, clock: FakeClock, engine: Engine
) -> None:
    submit(jobs)

    def stand_still() -> None:
        clock.now_s += 11
        assert jobs.claim("other", 10.0) is not None

    handlers.before[1] = stand_still
    job = attempt_one(jobs, handlers)
    assert (job.state, job.worker, handlers.ran) == (JobState.RUNNING, "other", [0, 1])
    handlers.before = {CHUNKS: lambda: None}
    assert read_usage(engine).generated.device_s == 0


def test_a_result_of_a_job_that_was_lost_meanwhile_is_not_registered(
    jobs: JobTable, handlers: ScriptedHandlers, clock: FakeClock, engine: Engine
) -> None:
    submit(jobs)

    def stand_still() -> None:
        clock.now_s += 11
        assert jobs.claim("other", 10.0) is not None

    handlers.before[CHUNKS] = stand_still
    assert attempt_one(jobs, handlers).state is JobState.RUNNING
    assert Catalogue(engine, clock).segment(SegmentId("a")) is None


def test_a_worker_that_ends_gives_the_job_back(jobs: JobTable, handlers: ScriptedHandlers) -> None:
    submit(jobs)
    stopping = threading.Event()
    handlers.before[2] = stopping.set
    left = attempt_one(jobs, handlers, stopping)
    assert (left.state, left.chunks_done, handlers.ran) == (JobState.QUEUED, 3, [0, 1, 2])
    assert jobs.checkpoint(left.job_id) == b"3"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ValueError("of ours"), JobState.QUEUED),
        (UnsupportedSpec("another size"), JobState.DEAD),
        (Unavailable("disk full", reason="DISK_FULL"), JobState.QUEUED),
    ],
)
@pytest.mark.parametrize("chunk", [1, CHUNKS])
def test_a_failure_is_noted_and_retried_if_it_may_pass(
    jobs: JobTable, handlers: ScriptedHandlers, error: Exception, state: JobState, chunk: int
) -> None:
    submit(jobs)

    def fail() -> None:
        raise error

    handlers.before[chunk] = fail
    job = attempt_one(jobs, handlers)
    assert (job.state, job.last_error) == (state, f"{type(error).__name__}: {error}")
    assert job.spent_s > 0


def test_a_stale_checkpoint_costs_the_progress_only(jobs: JobTable, handlers: ScriptedHandlers) -> None:
    submit(jobs)
    claimed = jobs.claim("w", 10.0)
    assert claimed is not None
    jobs.save_checkpoint(claimed, b"stale")
    jobs.release(claimed)
    assert attempt_one(jobs, handlers).state is JobState.DONE
    assert handlers.ran == [0, 1, 2, 3]


def test_a_result_waits_for_a_busy_database(
    jobs: JobTable, handlers: ScriptedHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "PATIENCE_S", (0.0, 0.0))
    complete, tries = jobs.complete, []

    def busy_twice(*arguments: object) -> bool:
        tries.append(arguments)
        if len(tries) < 3:
            raise Unavailable("database is locked", reason="DATABASE_BUSY")
        return complete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "complete", busy_twice)
    submit(jobs)
    assert attempt_one(jobs, handlers).state is JobState.DONE
    assert len(tries) == 3


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="lease_s"):
        AttemptSettings(lease_s=0.0)
    with pytest.raises(InvalidInput, match="checkpoint_s"):
        AttemptSettings(checkpoint_s=-1.0)


def test_the_heart_keeps_a_lease_while_its_block_runs_and_no_longer(jobs: JobTable, clock: FakeClock) -> None:
    submit(jobs)
    claimed = jobs.claim("w", 10.0)
    assert claimed is not None
    heart = Heart(jobs, 10.0, lambda: None)
    with heart.beating(claimed):
        for _ in range(5):
            clock.now_s += 6
            heart.beat()
        assert jobs.claim("other", 10.0) is None
    clock.now_s += 6
    heart.beat()
    clock.now_s += 6
    other = jobs.claim("other", 10.0)
    assert other is not None
    with heart.beating(claimed):
        heart.beat()  # the claim is lost: the other's lease must not be touched
    assert jobs.job(other.job.job_id).lease_expire_s == clock.now_s + 10.0


def test_the_heart_survives_a_busy_database_and_beats_by_itself(
    jobs: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(jobs)
    claimed = jobs.claim("w", 10.0)
    assert claimed is not None
    beaten, failures = threading.Event(), [Unavailable("locked"), Unavailable("locked")]
    keep = jobs.keep

    def busy_twice(*arguments: object) -> bool:
        if failures:
            raise failures.pop()
        beaten.set()
        return keep(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "keep", busy_twice)
    pulses: list[None] = []
    heart = Heart(jobs, 0.03, lambda: pulses.append(None))
    heart.start()
    with heart.beating(claimed):
        assert beaten.wait(30)
    heart.stop()
    assert len(pulses) >= 3
