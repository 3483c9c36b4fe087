"""The worker process: claims the best job, runs one chunk, asks again.

    python -m service.work.worker --data DIR --name worker-1

Whatever happens to it, nothing is lost and nothing is done twice: what counts is in the job table, and a job
whose worker falls silent goes to another one (tests/service/work/test_worker_killed.py).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.clock import system_clock
from service.errors import InvalidInput, Unavailable
from service.logs import set_up_logs
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.work.attempt import Attempt, AttemptSettings
from service.work.handlers import DEFAULT_HANDLERS, HandlerContext, Handlers, load_handlers
from service.work.heart import Heart
from service.work.platform_posix import end_with_parent, parent_is_gone, peak_memory_bytes
from service.work.table import JobTable
from service.work.worker_table import WorkerState, WorkerTable

logger = logging.getLogger("service.work.worker")  # not __main__


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker works.

    Attributes:
        name: unique among the workers of one database.
        poll_s: how often an idle worker looks for work.
        parent_pid: the worker ends when this process is no longer its parent; 0: never.
        attempt: how it works at one job.
    """

    name: str
    poll_s: float = 0.05
    parent_pid: int = 0
    attempt: AttemptSettings = field(default_factory=AttemptSettings)

    def __post_init__(self) -> None:
        if not self.poll_s > 0:
            raise InvalidInput(f"poll_s must be above 0 seconds, got {self.poll_s}")
        if not 1 <= len(self.name) <= 64:
            raise InvalidInput(f"name must have 1 to 64 characters, got {len(self.name)}")


class Worker:
    """One worker; `run` returns when `stop` was called, or the parent is gone."""

    def __init__(
        self, settings: WorkerSettings, jobs: JobTable, workers: WorkerTable, load: Callable[[], Handlers]
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._workers = workers
        self._load = load
        self._stopping = threading.Event()
        self._heart = Heart(jobs, settings.attempt.lease_s, self._pulse)
        self._state = (WorkerState.STARTING, "")

    def stop(self) -> None:
        """Finish the chunk, give the job back, and end."""
        self._stopping.set()

    def run(self) -> None:
        """Warm up, then do jobs until stopped."""
        self._report(WorkerState.STARTING)
        self._heart.start()
        try:
            handlers = self._warm_up()
            self._report(WorkerState.READY)
            while not self._stopping.is_set():
                if not self._do_one(handlers):
                    self._stopping.wait(self._settings.poll_s)
        finally:
            self._heart.stop()
            self._workers.remove(self._settings.name, os.getpid())
        logger.info("worker ends", extra={"worker": self._settings.name})

    def _warm_up(self) -> Handlers:
        start_s = time.perf_counter()
        self._report(WorkerState.WARMING, "load")
        handlers = self._load()
        handlers.warm_up(lambda what: self._report(WorkerState.WARMING, what))
        seconds = round(time.perf_counter() - start_s, 3)
        figures = {"worker": self._settings.name, "warm_up_s": seconds, "peak_memory_mb": peak_memory_bytes() >> 20}
        logger.info("worker ready", extra=figures)
        return handlers

    def _do_one(self, handlers: Handlers) -> bool:
        """Whether there was anything to do."""
        try:
            claimed = self._jobs.claim(self._settings.name, self._settings.attempt.lease_s)
        except Unavailable as error:
            logger.warning("cannot claim: %s", error)
            return False
        if claimed is None:
            return False
        attempt = Attempt(claimed, self._settings.attempt, self._jobs, self._heart, self._stopping)
        try:
            attempt.do(handlers, lambda stage: self._report(WorkerState.BUSY, stage))
        except Unavailable as error:
            # Not even the failure could be noted: the lease runs out, and the job is done again.
            logger.warning("dropped: %s", error, extra=attempt.names)
        self._report(WorkerState.READY)
        return True

    def _report(self, state: WorkerState, detail: str = "") -> None:
        if (state, detail) == self._state and state is not WorkerState.STARTING:
            return
        self._state = (state, detail)
        if state in (WorkerState.STARTING, WorkerState.WARMING):
            logger.info(" ".join(("worker", state.value, detail)).rstrip(), extra={"worker": self._settings.name})
        self._say()

    def _pulse(self) -> None:
        if parent_is_gone(self._settings.parent_pid):
            logger.warning("parent is gone", extra={"worker": self._settings.name})
            self._stopping.set()
        self._say()

    def _say(self) -> None:
        try:
            self._workers.report(self._settings.name, os.getpid(), socket.gethostname(), *self._state)
        except Unavailable as error:
            logger.warning("cannot report: %s", error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to end (SIGTERM, SIGINT) or its parent is gone; returns the exit code."""
    given = _parser().parse_args(arguments)
    set_up_logs(given.log_level, given.log_format)
    end_with_parent(given.parent_pid)
    settings = WorkerSettings(
        name=given.name,
        poll_s=given.poll_s,
        parent_pid=given.parent_pid,
        attempt=AttemptSettings(given.lease_s, given.checkpoint_s),
    )
    engine = open_database(given.database or given.data / "narthex.db")
    create_tables(engine)
    context = HandlerContext(
        blobs=BlobStore(given.data / "blobs"),
        catalogue=Catalogue(engine, system_clock),
        clock=system_clock,
        weights_dir=given.weights_dir,
        threads=given.threads,
    )
    jobs = JobTable(engine, system_clock, max_attempts=given.max_attempts)
    table = WorkerTable(engine, system_clock)
    worker = Worker(settings, jobs, table, lambda: load_handlers(given.handlers, context))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    try:
        worker.run()
    except Exception as error:
        if not hasattr(error, "retryable"):
            raise
        logger.error("worker cannot start: %s", error)
        return 1
    finally:
        engine.dispose()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.work.worker", description="Do jobs of a job table.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database and the blobs")
    parser.add_argument("--name", required=True, help="name of the worker, unique in its database")
    parser.add_argument("--database", default="", help="URL of the database; default: DATA/narthex.db")
    parser.add_argument("--lease-s", type=float, default=15.0, help="seconds of silence until a job is taken away")
    parser.add_argument("--poll-s", type=float, default=0.05, help="how often an idle worker looks for work")
    parser.add_argument("--checkpoint-s", type=float, default=5.0, help="seconds between checkpoints")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--max-attempts", type=int, default=5, help="a job that failed this often is dead")
    parser.add_argument("--weights-dir", type=Path, help="folder of the model's weights; default: those shipped")
    parser.add_argument("--handlers", default=DEFAULT_HANDLERS, help="MODULE:FUNCTION that makes the handlers")
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this process is no longer the parent")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", default="json", choices=("json", "text"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
