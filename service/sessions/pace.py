"""WorkPace: how long work takes, learned from the beats of jobs that were done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.quality import Quality
from service.work.job import Job, JobKind, JobState

WEIGHT = 0.3
"""How much one job counts against all before it."""

JOBS_FOLLOWED = 1024


@dataclass
class _Kind:
    """Mean seconds of whole jobs and, by the stage a chunk belongs to, of one chunk; and the way through stages."""

    total_s: float | None = None
    chunk_s: dict[str, float] = field(default_factory=dict)
    stages: dict[int, str] = field(default_factory=dict)


@dataclass
class _Followed:
    """A running job as it was last seen; its stage is that of the chunk that was to come."""

    stage: str
    chunks_done: int
    spent_s: float


class WorkPace:
    """Seconds a chunk by kind, quality and stage. Feed it every change of every job, in order.

    A job's stage is that of its next chunk.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[JobKind, Quality], _Kind] = {}
        self._followed: dict[str, _Followed] = {}

    def learn(self, totals: Mapping[tuple[JobKind, Quality], float]) -> None:
        """Take over what whole jobs took before this process began."""
        for place, total_s in totals.items():
            kind = self._kinds.setdefault(place, _Kind())
            kind.total_s = total_s if kind.total_s is None else kind.total_s

    def observe(self, job: Job) -> None:
        """Learn from one change of a job."""
        kind = self._kinds.setdefault((job.request.kind, job.request.quality), _Kind())
        before = self._followed.get(job.job_id)
        if job.state is JobState.RUNNING:
            kind.stages[job.chunks_done] = job.stage
            if before is not None:
                _measure(kind, before, job)
            self._followed[job.job_id] = _Followed(job.stage, job.chunks_done, job.spent_s)
        elif before is not None or job.state is JobState.DONE:
            self._followed.pop(job.job_id, None)
        if job.state is JobState.DONE and job.spent_s > 0:
            kind.total_s = _mean(kind.total_s, job.spent_s)
        while len(self._followed) > JOBS_FOLLOWED:
            self._followed.pop(next(iter(self._followed)))

    def left_s(self, job: Job) -> float:
        """Seconds of work that are left of a job; 0 where nothing was measured yet or nothing is left."""
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            return 0.0
        kind = self._kinds.get((job.request.kind, job.request.quality), _Kind())
        if job.chunks_total == 0:
            return kind.total_s or 0.0
        ahead = range(job.chunks_done, job.chunks_total)
        default_s = job.spent_s / job.chunks_done if job.chunks_done else (kind.total_s or 0.0) / job.chunks_total
        return sum(kind.chunk_s.get(kind.stages.get(chunk, ""), default_s) for chunk in ahead)

    def whole_s(self, kind: JobKind, quality: Quality) -> float:
        """Mean seconds of a whole job; 0 before the first was done."""
        known = self._kinds.get((kind, quality))
        return (known.total_s or 0.0) if known else 0.0


def _measure(kind: _Kind, before: _Followed, job: Job) -> None:
    """Learn the seconds of the chunks that were done since, where it is known of which stage they were."""
    chunks = job.chunks_done - before.chunks_done
    if chunks == 1 or (chunks > 1 and job.stage == before.stage):
        each_s = max(0.0, job.spent_s - before.spent_s) / chunks
        kind.chunk_s[before.stage] = _mean(kind.chunk_s.get(before.stage), each_s)
        kind.stages.update(dict.fromkeys(range(before.chunks_done, job.chunks_done), before.stage))


def _mean(known: float | None, new: float) -> float:
    return new if known is None else known + WEIGHT * (new - known)
