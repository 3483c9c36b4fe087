"""kill -9 of workers at random moments loses nothing and doubles nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from service.clock import system_clock
from service.ids import SegmentId
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue, assets
from service.store.database import create_tables, open_database, read
from service.work.job import JobKind, JobRequest, JobState
from service.work.schema import checkpoints
from service.work.table import JobTable
from service.work.usage import usage_rows
from service.work.worker_table import WorkerTable

ROOT = Path(__file__).parents[3]
JOBS, CHUNKS, KILLS, LEASE_S = 24, 12, 6, 0.8


class Workers:
    """Worker processes of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.running: list[subprocess.Popen[bytes]] = []
        path = os.pathsep.join(map(str, (ROOT, ROOT / "protos", Path(__file__).parent)))
        self._environment = os.environ | {"PYTHONPATH": path}

    def start(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        arguments = ["--data", str(self.data), "--name", name, "--handlers", "fake_handlers:make"]
        arguments += ["--lease-s", str(LEASE_S), "--checkpoint-s", "0.02", "--max-attempts", "99", *more]
        with (self.data / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "service.work.worker", *arguments]
            process = subprocess.Popen(command, env=self._environment, stderr=log, cwd=ROOT)
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self.running.remove(process)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path)
    yield workers
    for process in list(workers.running):
        workers.kill(process)


def until(met: Callable[[], bool], waiting: subprocess.Popen[bytes], limit_s: float = 60.0) -> None:
    """Wait for a condition; a worker that ends meanwhile, or the limit, is a failure."""
    end_s = time.monotonic() + limit_s
    while not met():
        assert time.monotonic() < end_s, "waited too long"
        wait_while_running(waiting, 0.01)


def wait_while_running(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        pytest.fail(f"the worker ended by itself with {process.wait(timeout=seconds)}")


def requests(seeds: range, chunks: int = CHUNKS) -> list[JobRequest]:
    return [
        JobRequest(
            f"content/{seed}",
            JobKind.CONTENT,
            {"seed": seed, "chunks": chunks},
            Quality.DRAFT,
            str(seed),
            float(seed),
            1e9,
            f"trace-{seed}",
        )
        for seed in seeds
    ]


def expected_state(seed: int) -> bytes:
    state = str(seed).encode()
    for _ in range(CHUNKS * 4_000):
        state = hashlib.sha256(state).digest()
    return state


def check_once_and_whole(engine: Engine, data: Path) -> None:
    jobs = JobTable(engine, system_clock).list(None, 999)
    assert {job.state for job in jobs} == {JobState.DONE}
    blobs, catalogue = BlobStore(data / "blobs"), Catalogue(engine, system_clock)
    for job in jobs:
        segment = catalogue.segment(SegmentId(job.request.target))
        assert segment is not None
        state = expected_state(int(job.request.target))
        assert blobs.path(segment.assets[0].asset).read_bytes() == state * 10_000
        assert segment.scene_id is not None
        scene = catalogue.scene(segment.scene_id)
        assert scene is not None
        assert blobs.path(scene.assets[0].asset).read_bytes() == state[::-1] * 3_000
    with read(engine) as connection:
        counted = connection.execute(select(usage_rows.c.job_id).where(usage_rows.c.completed)).scalars().all()
        registered = set(connection.execute(select(assets.c.asset)).scalars())
        assert connection.execute(select(checkpoints.c.job_id)).all() == []
    assert sorted(counted) == sorted(job.job_id for job in jobs)
    assert set(blobs.assets()) == registered, "files that nobody registered are leavings of the dead"


def test_workers_killed_at_random_moments_lose_and_double_nothing(workers: Workers) -> None:
    engine = open_database(workers.data / "narthex.db")
    create_tables(engine)
    table, seen = JobTable(engine, system_clock), WorkerTable(engine, system_clock)
    moments = random.Random(20261123)
    steady = workers.start("steady")
    for number in range(KILLS):
        name = f"killed-{number}"
        victim = workers.start(name)
        until(lambda name=name: any(row.name == name and row.state != "starting" for row in seen.seen(60)), victim)
        # Work comes when the victim is up: a fast machine would have done all of it before the first kill.
        table.submit(requests(range(number * JOBS // KILLS, (number + 1) * JOBS // KILLS)))
        wait_while_running(victim, moments.uniform(0.0, 0.3))
        workers.kill(victim)
        if number == KILLS // 2:  # the second worker dies as well, and another takes its name
            workers.kill(steady)
            steady = workers.start("steady")
    until(lambda: all(job.state is JobState.DONE for job in table.list(None, 999)), steady)
    steady.terminate()
    assert steady.wait(30) == 0
    workers.running.remove(steady)
    check_once_and_whole(engine, workers.data)
    interrupted = [job.attempts for job in table.list(None, 999) if job.attempts > 1]
    assert interrupted, "no kill hit a job: the test showed nothing"


def test_a_worker_told_to_end_gives_its_job_back_at_the_next_border(workers: Workers) -> None:
    engine = open_database(workers.data / "narthex.db")
    create_tables(engine)
    table = JobTable(engine, system_clock)
    job = table.submit(requests(range(1), chunks=250))[0]
    worker = workers.start("w")
    until(lambda: table.job(job.job_id).chunks_done > 2, worker)
    worker.terminate()
    assert worker.wait(30) == 0
    left = table.job(job.job_id)
    assert (left.state, left.attempts, left.worker) == (JobState.QUEUED, 0, "")
    state = table.checkpoint(job.job_id)
    assert state is not None
    assert state[0] == left.chunks_done < 250
    assert WorkerTable(engine, system_clock).seen(60) == []
    workers.running.clear()


def test_a_worker_ends_with_its_parent(workers: Workers) -> None:
    engine = open_database(workers.data / "narthex.db")
    create_tables(engine)
    seen = WorkerTable(engine, system_clock)
    code = (
        "import os, subprocess, sys;"
        "p = subprocess.Popen([sys.executable, '-m', 'service.work.worker', *sys.argv[1:],"
        " '--parent-pid', str(os.getpid())]); p.wait()"
    )
    arguments = ["--data", str(workers.data), "--name", "orphan", "--handlers", "fake_handlers:make"]
    with (workers.data / "orphan.log").open("ab") as log:
        command = [sys.executable, "-c", code, *arguments]
        parent = subprocess.Popen(command, env=workers._environment, stderr=log, cwd=ROOT)
    workers.running.append(parent)
    until(lambda: [row.state for row in seen.seen(60)] == ["ready"], parent)
    orphan_pid = seen.seen(60)[0].pid
    workers.kill(parent)
    end_s = time.monotonic() + 30
    while seen.seen(60):
        assert time.monotonic() < end_s, f"worker {orphan_pid} outlives its parent"
