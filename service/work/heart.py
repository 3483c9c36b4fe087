"""The heart: renews a lease while a chunk runs that is longer than expected, and notices that the parent is gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import Unavailable
from service.work.claim import ClaimedJob
from service.work.table import JobTable

logger = logging.getLogger(__name__)

LONGEST_BEAT_S = 2.0


class Heart:
    """A thread that beats at least three times a lease, for the job that is `beating`.

    Each beat calls `pulse` first: whatever the worker wants to do as often. `pulse` must be thread-safe.
    """

    def __init__(self, jobs: JobTable, lease_s: float, pulse: Callable[[], None]) -> None:
        self._jobs = jobs
        self._lease_s = lease_s
        self._pulse = pulse
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._claimed: ClaimedJob | None = None
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._thread.join()

    @contextmanager
    def beating(self, claimed: ClaimedJob) -> Iterator[None]:
        """Renew the lease of `claimed` as long as the block runs."""
        self._set(claimed)
        try:
            yield
        finally:
            self._set(None)

    def beat(self) -> None:
        """One beat."""
        self._pulse()
        with self._lock:  # held, so that no beat for a job comes after its block has ended
            claimed = self._claimed
            if claimed is None:
                return
            names = {"trace_id": claimed.job.request.trace_id, "job_id": claimed.job.job_id}
            try:
                if not self._jobs.keep(claimed, self._lease_s):
                    logger.warning("lease lost in the middle of a chunk", extra=names)
                    self._claimed = None
            except Unavailable as error:
                logger.warning("lease not renewed: %s", error, extra=names)

    def _set(self, claimed: ClaimedJob | None) -> None:
        with self._lock:
            self._claimed = claimed

    def _run(self) -> None:
        while not self._stopping.wait(min(LONGEST_BEAT_S, self._lease_s / 3)):
            self.beat()
