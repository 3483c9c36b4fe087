"""One attempt at a job: chunk after chunk, asking the job table at every border whether to go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from service.errors import InvalidInput, Unavailable
from service.work.claim import ClaimedJob, Directive
from service.work.handlers import Handlers, JobRun, StaleCheckpoint
from service.work.heart import Heart
from service.work.platform_posix import peak_memory_bytes
from service.work.table import JobTable

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S = (0.2, 1.0, 3.0)
"""Pauses between attempts to write a result while the database is busy or its disk is full."""


@dataclass(frozen=True)
class AttemptSettings:
    """`lease_s`: a job goes to another worker after this long without a beat. `checkpoint_s`: progress that a
    killed worker can lose, at most, besides its last chunk.
    """

    lease_s: float = 15.0
    checkpoint_s: float = 5.0

    def __post_init__(self) -> None:
        for field in ("lease_s", "checkpoint_s"):
            if not getattr(self, field) > 0:
                raise InvalidInput(f"{field} must be above 0 seconds, got {getattr(self, field)}")


class Attempt:
    """One claimed job in the hands of a worker; `names` tie its log lines to it."""

    def __init__(
        self, claimed: ClaimedJob, settings: AttemptSettings, jobs: JobTable, heart: Heart, stopping: threading.Event
    ) -> None:
        self._claimed = claimed
        self._settings = settings
        self._jobs = jobs
        self._heart = heart
        self._stopping = stopping
        self._spent_s = claimed.job.spent_s
        self._stage_s: dict[str, float] = {}
        self._saved_s = time.perf_counter()
        self.names = {"trace_id": claimed.job.request.trace_id, "job_id": claimed.job.job_id}

    def do(self, handlers: Handlers, report: Callable[[str], None]) -> None:
        """Run chunk after chunk, obeying the table at every border, to the end or until told otherwise."""
        logger.info("claimed", extra=self.names | {"attempt": self._claimed.job.attempts})
        try:
            run = self._timed("start", lambda: self._start(handlers))
            while not run.done:
                if not self._may_go_on(run):
                    return
                report(run.stage)
                self._timed(run.stage, run.advance)
            self._complete(run)
        except Exception as error:
            self._fail(error)

    def _start(self, handlers: Handlers) -> JobRun:
        job = self._claimed.job
        checkpoint = self._jobs.checkpoint(job.job_id)
        if checkpoint is not None:
            try:
                return handlers.start(job, checkpoint)
            except StaleCheckpoint as error:
                logger.warning("checkpoint dropped: %s", error, extra=self.names)
        return handlers.start(job, None)

    def _timed(self, stage: str, chunk: Callable[[], T]) -> T:
        start_s = time.perf_counter()
        try:
            with self._heart.beating(self._claimed):
                return chunk()
        finally:
            seconds = time.perf_counter() - start_s
            self._spent_s += seconds
            self._stage_s[stage] = self._stage_s.get(stage, 0.0) + seconds

    def _may_go_on(self, run: JobRun) -> bool:
        """Whether the next chunk may run; if not, the job is given back with its checkpoint, or was lost."""
        lease_s = self._settings.lease_s
        directive = self._jobs.beat(self._claimed, run.stage, run.chunks_done, run.chunks_total, self._spent_s, lease_s)
        if directive is Directive.LOST:
            logger.warning("lost to another worker", extra=self.names)
            return False
        leaving = directive is not Directive.CONTINUE or self._stopping.is_set()
        now_s = time.perf_counter()
        if run.chunks_done and (leaving or now_s - self._saved_s >= self._settings.checkpoint_s):
            self._jobs.save_checkpoint(self._claimed, run.state_bytes())
            self._saved_s = now_s
        if leaving:
            self._jobs.release(self._claimed, self._spent_s)
            logger.info("released", extra=self.names | {"why": directive.value, "chunks_done": run.chunks_done})
        return not leaving

    def _complete(self, run: JobRun) -> None:
        made = self._timed("store", run.result)
        segment = made.segment and replace(made.segment, device_s=self._spent_s)
        result = replace(made, segment=segment, spent_s=self._spent_s, stage_s=self._stage_s)
        with self._heart.beating(self._claimed):
            done = self._patiently(lambda: self._jobs.complete(self._claimed, result))
        stages = {stage: round(seconds, 3) for stage, seconds in self._stage_s.items()}
        figures = {"spent_s": round(self._spent_s, 3), "stage_s": stages} | {
            "peak_memory_mb": peak_memory_bytes() >> 20
        }
        logger.info("done" if done else "done by another worker before", extra=self.names | figures)

    def _patiently(self, call: Callable[[], bool]) -> bool:
        for pause_s in PATIENCE_S:
            try:
                return call()
            except Unavailable as error:
                logger.warning("not written yet: %s", error, extra=self.names)
                self._stopping.wait(pause_s)
        return call()

    def _fail(self, error: Exception) -> None:
        # What is not one of ours is a fault of ours: it may pass, so it is tried again, and never more
        # often than max_attempts.
        retryable = bool(getattr(error, "retryable", True))
        logger.error("failed", exc_info=error, extra=self.names | {"retryable": retryable})
        text = f"{type(error).__name__}: {error}"
        self._patiently(lambda: self._jobs.fail(self._claimed, text, retryable, self._spent_s))
