from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.clock import system_clock
from service.errors import InvalidInput
from service.store.database import create_tables, open_database
from service.work.supervisor import SupervisorSettings, WorkerSupervisor
from service.work.worker_table import WorkerState, WorkerTable

WAIT_FOR_TERM = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
IGNORE_TERM = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause(); signal.pause()"
)
CRASH = "import sys; print('no such weights', file=sys.stderr); sys.exit(3)"


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not met():  # noqa: ASYNC110 (another process writes the file)
            await asyncio.sleep(0.005)


def log_of(data: Path, number: int = 1) -> str:
    path = data / "logs" / f"worker-{number}.log"
    return path.read_text() if path.exists() else ""


async def test_a_worker_that_crashes_is_started_again_after_growing_pauses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            enough.set()
            await asyncio.get_running_loop().create_future()

    settings = SupervisorSettings(command=program(CRASH), backoff_s=1.0, backoff_limit_s=5.0)
    supervisor = WorkerSupervisor(tmp_path, 1, settings, pause=pause)
    await supervisor.start()
    async with asyncio.timeout(30):
        await enough.wait()
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]
    health = supervisor.health()[0]
    assert (health.name, health.pid, health.restarts, health.last_exit) == ("worker-1", None, 5, 3)
    assert log_of(tmp_path).count("no such weights") == 5
    assert {vars(record)["last_words"] for record in caplog.records if "ended" in record.message} == {"no such weights"}
    for task in [slot.task for slot in supervisor._slots if slot.task]:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_worker_killed_from_outside_is_replaced_and_stop_ends_all(tmp_path: Path) -> None:
    settings = SupervisorSettings(command=program(WAIT_FOR_TERM), backoff_s=0.01)
    supervisor = WorkerSupervisor(tmp_path, 2, settings)
    await supervisor.start()
    await until(lambda: "up" in log_of(tmp_path) and "up" in log_of(tmp_path, 2))
    first = supervisor.health()[0].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: log_of(tmp_path).count("up") == 2)
    replaced = supervisor.health()[0]
    assert replaced.last_exit == -signal.SIGKILL
    assert replaced.restarts == 1
    assert replaced.pid not in (None, first)
    await supervisor.stop()
    health = supervisor.health()
    assert [worker.pid for worker in health] == [None, None]
    assert [worker.last_exit for worker in health] == [0, 0]


async def test_a_worker_that_will_not_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    settings = SupervisorSettings(command=program(IGNORE_TERM), grace_s=0.05)
    supervisor = WorkerSupervisor(tmp_path, 1, settings)
    await supervisor.start()
    await until(lambda: "up" in log_of(tmp_path))
    await supervisor.stop()
    assert supervisor.health()[0].last_exit == -signal.SIGKILL


async def test_stop_without_start_and_without_workers_is_fine(tmp_path: Path) -> None:
    await WorkerSupervisor(tmp_path, 1).stop()
    none = WorkerSupervisor(tmp_path, 0)
    await none.start()
    await none.stop()
    assert none.health() == []


async def test_workers_get_their_options_and_one_thread_count(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['OMP_NUM_THREADS']); import signal; signal.pause()"
    settings = SupervisorSettings(command=program(code), threads=3, weights_dir=Path("/w"), lease_s=7.0)
    supervisor = WorkerSupervisor(tmp_path, 1, settings)
    await supervisor.start()
    # Python writes what is left in its buffer when it ends.
    await until(lambda: supervisor.health()[0].pid is not None)
    options = supervisor._options("worker-1")
    assert supervisor._environment()["OMP_NUM_THREADS"] == "3"
    named = dict(zip(options[::2], options[1::2], strict=True))
    assert named["--data"] == str(tmp_path)
    assert (named["--lease-s"], named["--threads"], named["--weights-dir"]) == ("7.0", "3", "/w")
    assert named["--parent-pid"] == str(os.getpid())
    await supervisor.stop()


async def test_health_tells_what_the_running_process_said_and_not_its_predecessor(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    table = WorkerTable(engine, system_clock)
    supervisor = WorkerSupervisor(tmp_path, 1, SupervisorSettings(command=program(WAIT_FOR_TERM)), table=table)
    await supervisor.start()
    await until(lambda: "up" in log_of(tmp_path))
    table.report("worker-1", 1, "host", WorkerState.BUSY, "denoise")
    assert supervisor.health()[0].state is None
    pid = supervisor.health()[0].pid
    assert pid is not None
    table.report("worker-1", pid, "host", WorkerState.READY)
    assert supervisor.health()[0].state is WorkerState.READY
    await supervisor.stop()


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lease_s"):
        SupervisorSettings(lease_s=0)
    with pytest.raises(InvalidInput, match="threads"):
        SupervisorSettings(threads=-1)
    with pytest.raises(InvalidInput, match="workers"):
        WorkerSupervisor(tmp_path, -1)
