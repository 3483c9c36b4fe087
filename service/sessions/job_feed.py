"""JobFeed: the changes of jobs as they come, and what the waiting sessions are told of them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from service.clock import Clock
from service.ids import SegmentId
from service.sessions.commit_sign import CommitSign
from service.sessions.pace import WorkPace
from service.sessions.ready import content_request
from service.sessions.views import WorkChanged
from service.work.job import Job, JobKind, JobState, Waiter
from service.work.table import JobTable

TELL_EVERY_S = 0.2
"""Between two updates on one job; a change of its state is told at once."""

LIVE = (JobState.QUEUED, JobState.RUNNING)
OffLoop = Callable[[Callable[[], Sequence[Job]]], Awaitable[Sequence[Job]]]


@dataclass
class _Told:
    state: JobState | None
    time_s: float
    waiting: bool


class JobFeed:
    """Follows the job table by its versions. Touched by the event loop only; reads run off it.

    Attributes:
        live: CONTENT jobs that are queued or running, by segment.
        ended: the newest state of those that ended while this server followed them, by segment.
    """

    def __init__(self, jobs: JobTable, sign: CommitSign, pace: WorkPace, clock: Clock, off_loop: OffLoop) -> None:
        self._jobs = jobs
        self._sign = sign
        self._pace = pace
        self._clock = clock
        self._off_loop = off_loop
        self._version = 0
        self._told: dict[str, _Told] = {}
        self.live: dict[SegmentId, Job] = {}
        self.ended: dict[SegmentId, JobState] = {}

    async def start(self) -> None:
        """Learn which jobs are live, and follow from there."""
        for job in await self._off_loop(self._read_start):
            self._note(job)

    async def poll(self) -> list[Job]:
        """The CONTENT jobs that changed since the last call, oldest change first, each once."""
        changed: dict[str, Job] = {}
        if not self._sign.changed():  # asked before reading: what is committed meanwhile shows in the next call
            return []
        while news := await self._off_loop(lambda: self._jobs.changes_since(self._version)):
            for job in news:
                self._version = max(self._version, job.version)
                self._pace.observe(job)
                if self._note(job):
                    changed[job.job_id] = job
        return list(changed.values())

    def note_submitted(self, submitted: Sequence[Job]) -> None:
        """Take over jobs as `JobTable.submit` returned them; their order and waiters are no news in the table."""
        for job in submitted:
            self._note(job)

    def tellings(self, changed: Sequence[Job]) -> Iterator[tuple[Waiter, WorkChanged, str]]:
        """What to tell whom, with the trace id: at once where a state changed, else at most every `TELL_EVERY_S`."""
        now_s = self._clock()
        for job in changed:
            told = self._told.setdefault(job.job_id, _Told(None, 0.0, waiting=False))
            told.waiting = True
            if told.state is not job.state:
                told.time_s = -math.inf
        due = {job_id for job_id, told in self._told.items() if told.waiting and now_s - told.time_s >= TELL_EVERY_S}
        jobs: dict[str, Job] = {job.job_id: job for job in (*self.live.values(), *changed)}
        for job_id in sorted(due):
            if job_id not in jobs:
                del self._told[job_id]
                continue
            job, told = jobs[job_id], self._told[job_id]
            told.state, told.time_s, told.waiting = job.state, now_s, False
            if job.state not in LIVE:
                del self._told[job_id]
            work = self._work_changed(job)
            yield from ((waiter, work(waiter), job.request.trace_id) for waiter in job.request.waiters)

    def _work_changed(self, job: Job) -> Callable[[Waiter], WorkChanged]:
        left_s = self._pace.left_s(job)
        return lambda waiter: WorkChanged(
            gate=waiter.gate,
            quality=job.request.quality,
            state=job.state,
            stage=job.stage,
            chunks_done=job.chunks_done,
            chunks_total=job.chunks_total,
            left_s=left_s,
            spent_s=job.spent_s,
        )

    def _note(self, job: Job) -> bool:
        segment = SegmentId(job.request.target)
        if job.request.kind is not JobKind.CONTENT or job.request.request_id != content_request(segment):
            return False
        if job.state in LIVE:
            self.live[segment] = job
            self.ended.pop(segment, None)
        else:
            self.live.pop(segment, None)
            self.ended[segment] = job.state
            while len(self.ended) > 8192:
                self.ended.pop(next(iter(self.ended)))
        return True

    def _read_start(self) -> list[Job]:
        # The version first: what changes while the lists are read comes again with the first poll.
        self._version = self._jobs.version()
        self._pace.learn(self._jobs.pace())
        found: list[Job] = []
        for state in LIVE:
            after = None
            while page := self._jobs.list(state, 1_000, after):
                found.extend(page)
                after = page[-1].job_id
        return found
