"""The supervisor: keeps worker processes running for a server, and ends them with it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import InvalidInput
from service.work.handlers import DEFAULT_HANDLERS
from service.work.worker_table import WorkerState, WorkerTable

logger = logging.getLogger(__name__)

MAX_LOG_BYTES = 10 << 20
LAST_WORDS_BYTES = 400
SEEN_WITHIN_S = 30.0
Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class SupervisorSettings:
    """How workers are run.

    Attributes:
        database: its URL; empty: `narthex.db` in the data folder.
        threads: CPU threads of a worker; 0: all cores but one.
        weights_dir: the model's; None: those that Narthex ships.
        grace_s: how long a worker may take to finish its chunk after SIGTERM, before SIGKILL.
        backoff_s, backoff_limit_s: pause before a worker that ended is started again: doubles up to the limit,
            and starts anew after it has lived `settled_s`.
        command: the worker's program, to which its options are added.
    """

    database: str = ""
    lease_s: float = 15.0
    threads: int = 0
    max_attempts: int = 5
    weights_dir: Path | None = None
    handlers: str = DEFAULT_HANDLERS
    log_level: str = "info"
    log_format: str = "json"
    grace_s: float = 20.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 30.0
    settled_s: float = 60.0
    command: tuple[str, ...] = (sys.executable, "-m", "service.work.worker")

    def __post_init__(self) -> None:
        for name in ("lease_s", "backoff_s", "backoff_limit_s"):
            if not getattr(self, name) > 0:
                raise InvalidInput(f"{name} must be above 0 seconds, got {getattr(self, name)}")
        if self.threads < 0:
            raise InvalidInput(f"threads must not be negative, got {self.threads}")


@dataclass(frozen=True)
class WorkerHealth:
    """One supervised worker: its process, and what it last said of itself (None: nothing lately)."""

    name: str
    pid: int | None
    restarts: int
    last_exit: int | None
    state: WorkerState | None
    detail: str
    last_seen_s: float


@dataclass
class _Slot:
    name: str
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    last_exit: int | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class WorkerSupervisor:
    """`workers` processes on one data folder; `await start()`, then `await stop()`. Belongs to one event loop."""

    def __init__(
        self,
        data_dir: Path,
        workers: int,
        settings: SupervisorSettings | None = None,
        *,
        table: WorkerTable | None = None,
        pause: Pause | None = None,
    ) -> None:
        if workers < 0:
            raise InvalidInput(f"workers must not be negative, got {workers}")
        self._data_dir = data_dir
        self._settings = settings or SupervisorSettings()
        self._table = table
        self._stopping = asyncio.Event()
        self._pause = pause or self._pause_unless_stopping
        self._slots = [_Slot(f"worker-{number + 1}") for number in range(workers)]

    async def start(self) -> None:
        """Start every worker; each is started again whenever it ends, until `stop`."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            slot.task = asyncio.create_task(self._keep_running(slot), name=slot.name)

    async def stop(self) -> None:
        """Tell the workers to give their jobs back and wait until they are gone; late ones are killed."""
        self._stopping.set()
        tasks = [slot.task for slot in self._slots if slot.task is not None]
        for slot in self._slots:
            _signal(slot, "terminate")
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._settings.grace_s)
        for slot in self._slots:
            if slot.task in late:
                logger.warning("worker killed: it did not end in time", extra={"worker": slot.name})
                _signal(slot, "kill")
        await asyncio.gather(*tasks)

    def health(self) -> list[WorkerHealth]:
        """How every worker is. Reads the database, where the supervisor was given its worker table."""
        rows = {row.name: row for row in self._table.seen(SEEN_WITHIN_S)} if self._table else {}
        report = []
        for slot in self._slots:
            pid = slot.process.pid if slot.process is not None else None
            row = rows.get(slot.name)
            said = (row.state, row.detail, row.last_seen_s) if row and row.pid == pid else (None, "", 0.0)
            report.append(WorkerHealth(slot.name, pid, slot.restarts, slot.last_exit, *said))
        return report

    @property
    def _log_dir(self) -> Path:
        return self._data_dir / "logs"

    async def _keep_running(self, slot: _Slot) -> None:
        failures = 0
        while not self._stopping.is_set():
            start_s = time.monotonic()
            slot.last_exit = await self._run_once(slot)
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - start_s >= self._settings.settled_s else failures + 1
            pause_s = min(self._settings.backoff_limit_s, self._settings.backoff_s * 2.0 ** (failures - 1))
            said = {"exit": slot.last_exit, "pause_s": pause_s, "last_words": self._last_words(slot)}
            logger.warning("worker ended; it is started again", extra={"worker": slot.name} | said)
            slot.restarts += 1
            await self._pause(pause_s)

    async def _run_once(self, slot: _Slot) -> int:
        """The exit code of one run; negative: the signal that ended it."""
        path = self._log_dir / f"{slot.name}.log"
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            slot.process = await asyncio.create_subprocess_exec(
                *self._settings.command,
                *self._options(slot.name),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        logger.info("worker started", extra={"worker": slot.name, "worker_pid": slot.process.pid})
        if self._stopping.is_set():  # `stop` came while the process was being made
            _signal(slot, "terminate")
        code = await slot.process.wait()
        slot.process = None
        return code

    def _options(self, name: str) -> list[str]:
        s = self._settings
        options = ["--data", str(self._data_dir), "--name", name, "--lease-s", str(s.lease_s)]
        options += ["--threads", str(self._threads()), "--max-attempts", str(s.max_attempts)]
        options += ["--parent-pid", str(os.getpid()), "--log-level", s.log_level, "--log-format", s.log_format]
        options += ["--handlers", s.handlers]
        options += ["--database", s.database] if s.database else []
        return options + (["--weights-dir", str(s.weights_dir)] if s.weights_dir else [])

    def _threads(self) -> int:
        return self._settings.threads or max(1, (os.cpu_count() or 1) - 1)

    def _environment(self) -> dict[str, str]:
        # Read by torch and numba while they are imported, so it must be there before the process is.
        threads = str(self._threads())
        return dict(os.environ) | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)

    def _last_words(self, slot: _Slot) -> str:
        with (self._log_dir / f"{slot.name}.log").open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LAST_WORDS_BYTES))
            return log.read().decode(errors="replace").strip().rpartition("\n")[2]

    async def _pause_unless_stopping(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _signal(slot: _Slot, what: str) -> None:
    if slot.process is not None and slot.process.returncode is None:
        try:
            getattr(slot.process, what)()
        except ProcessLookupError:
            return
