"""What passes between the job table and a worker: a claim, its directives, and the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from service.store.records import AssetRecord, SceneRecord, SegmentRecord
from service.work.job import Job


class Directive(StrEnum):
    """What a worker shall do at a chunk border."""

    CONTINUE = "continue"
    YIELD = "yield"
    """A better-ranked job is queued: save a checkpoint and release."""
    CANCEL = "cancel"
    """Nobody wants the job any more: release it."""
    LOST = "lost"
    """The lease ran out and somebody else has the job, or it is gone: drop everything."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job as it was when `worker` claimed it, with the fencing token that its writes must carry."""

    job: Job
    worker: str
    fencing_token: int


@dataclass(frozen=True)
class JobResult:
    """What a job made. Its blobs are stored already; `complete` registers them.

    Attributes:
        segment, scene: what was made; None where the job made none.
        exports: assets that belong to no manifest; `segment_id` of the job's target keeps them.
        spent_s: seconds that the device was busy for the job, all attempts together.
        scene_s: seconds of scene time that were generated.
        stage_s: seconds by stage, all attempts of this worker together.
    """

    segment: SegmentRecord | None
    scene: SceneRecord | None
    spent_s: float
    scene_s: float
    exports: tuple[AssetRecord, ...] = ()
    stage_s: dict[str, float] = field(default_factory=dict)

    @property
    def assets(self) -> tuple[AssetRecord, ...]:
        """Every asset of the result."""
        of_segment = self.segment.assets if self.segment else ()
        return of_segment + (self.scene.assets if self.scene else ()) + self.exports
