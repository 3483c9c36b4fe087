from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.clock import system_clock
from service.errors import InvalidInput
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.work import worker as worker_module
from service.work.claim import JobResult
from service.work.handlers import HandlerContext, load_handlers
from service.work.job import Job, JobKind, JobRequest, JobState
from service.work.table import JobTable
from service.work.worker import Worker, WorkerSettings, main
from service.work.worker_table import WorkerState, WorkerTable

ROOT = Path(__file__).parents[3]


class OneChunkRun:
    stage, chunks_total = "only", 1

    def __init__(self, on_chunk: Callable[[], None]) -> None:
        self.chunks_done, self._on_chunk = 0, on_chunk

    @property
    def done(self) -> bool:
        return self.chunks_done == 1

    def advance(self) -> None:
        self._on_chunk()
        self.chunks_done = 1

    def state_bytes(self) -> bytes:
        return b""

    def result(self) -> JobResult:
        return JobResult(None, None, 0.0, 0.0)


class OneChunkHandlers:
    def __init__(self, on_chunk: Callable[[], None]) -> None:
        self._on_chunk = on_chunk

    def warm_up(self, say: Callable[[str], None]) -> None:
        say("compile")

    def start(self, job: Job, checkpoint: bytes | None) -> OneChunkRun:
        return OneChunkRun(self._on_chunk)


class Recorded(WorkerTable):
    """Remembers what the worker said."""

    said: list[tuple[WorkerState, str]]

    def report(self, name: str, pid: int, host: str, state: WorkerState, detail: str = "") -> None:
        super().report(name, pid, host, state, detail)
        self.said.append((state, detail))


def make_worker(tmp_path: Path, settings: WorkerSettings, on_chunk: Callable[[], None]) -> tuple[Worker, Recorded]:
    engine = open_database(tmp_path / "narthex.db")
    create_tables(engine)
    table = Recorded(engine, system_clock)
    table.said = []
    jobs = JobTable(engine, system_clock)
    jobs.submit([JobRequest(str(n), JobKind.EXPORT, {}, Quality.DRAFT, "t", n, 9e9, "trace") for n in range(3)])
    return Worker(settings, jobs, table, lambda: OneChunkHandlers(on_chunk)), table


def test_a_worker_says_how_it_is_and_does_all_jobs(tmp_path: Path) -> None:
    chunks: list[None] = []

    def on_chunk() -> None:
        chunks.append(None)
        if len(chunks) == 3:
            worker.stop()

    worker, table = make_worker(tmp_path, WorkerSettings("w"), on_chunk)
    worker.run()
    done = JobTable(open_database(tmp_path / "narthex.db"), system_clock).list(None, 9)
    assert {job.state for job in done} == {JobState.DONE}
    told = list(dict.fromkeys(table.said))
    ready, busy = (WorkerState.READY, ""), (WorkerState.BUSY, "only")
    starting = [(WorkerState.STARTING, ""), (WorkerState.WARMING, "load"), (WorkerState.WARMING, "compile")]
    assert told == [*starting, ready, busy]
    assert table.seen(60) == []


def test_a_worker_without_its_parent_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "parent_is_gone", lambda pid: pid == 12345)
    worker, _ = make_worker(tmp_path, WorkerSettings("w", poll_s=0.01, parent_pid=12345), lambda: None)
    worker._pulse()
    worker.run()
    queued = JobTable(open_database(tmp_path / "narthex.db"), system_clock).list(JobState.QUEUED, 9)
    assert len(queued) == 3


def test_the_table_knows_workers_by_name_and_forgets_only_the_process_that_ends(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "narthex.db")
    create_tables(engine)
    now_s = [100.0]
    table = WorkerTable(engine, lambda: now_s[0])
    table.report("b", 1, "host", WorkerState.READY)
    table.report("a", 2, "host", WorkerState.BUSY, "denoise")
    table.report("b", 3, "host", WorkerState.WARMING, "load")
    assert [(row.name, row.pid, row.state) for row in table.seen(10)] == [
        ("a", 2, WorkerState.BUSY),
        ("b", 3, WorkerState.WARMING),
    ]
    table.remove("b", 1)  # the successor has taken the name
    assert len(table.seen(10)) == 2
    now_s[0] = 120.0
    assert table.seen(10) == []


@pytest.mark.parametrize("entry_point", ["no_such_module:make", "json:no_such_function", "json", ""])
def test_handlers_that_do_not_exist_are_named(tmp_path: Path, entry_point: str) -> None:
    engine = open_database(tmp_path / "narthex.db")
    context = HandlerContext(BlobStore(tmp_path / "b"), Catalogue(engine, system_clock), system_clock, None, 1)
    with pytest.raises(InvalidInput, match="MODULE:FUNCTION"):
        load_handlers(entry_point, context)


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "n" * 65}, {"name": "w", "poll_s": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        WorkerSettings(**wrong)  # type: ignore[arg-type]


def test_missing_weights_end_the_worker_with_one_line(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path), "--name", "w", "--handlers", "fake_handlers:broken", "--weights-dir", "/gone"]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "protos", Path(__file__).parent)))
    command = [sys.executable, "-m", "service.work.worker", *arguments]
    environment = os.environ | {"PYTHONPATH": paths}
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "worker cannot start: /gone/vae.safetensors: cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--name", "w"])
    assert "--data" in capsys.readouterr().err


def test_what_the_server_imports_of_work_and_store_is_light() -> None:
    code = (
        "import sys, service.work.supervisor, service.work.table, service.work.worker, service.store.eviction;"
        "heavy = {'torch', 'numba', 'av', 'recon', 'model.generate'} & set(sys.modules); print(sorted(heavy))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=True)
    assert out.stdout.decode().strip() == "[]"
