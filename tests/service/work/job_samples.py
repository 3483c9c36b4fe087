"""A clock that stands still, and small jobs, for the tests of the job table."""

from __future__ import annotations

from sqlalchemy import Engine, func, select

from service.ids import AssetId, GateId, SceneId, SegmentId, SessionId
from service.quality import Quality
from service.store.database import read
from service.store.records import CLIP, FOURDGS, AssetRecord, SceneRecord, SegmentRecord
from service.work.claim import ClaimedJob, JobResult
from service.work.job import JobKind, JobRequest, JobState, Waiter
from service.work.table import JobTable
from service.work.usage import usage_rows


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def request(name: str, rank: float = 0.0, *sessions: str, deadline_s: float = 2_000.0) -> JobRequest:
    waiters = tuple(Waiter(SessionId(session), GateId("gate")) for session in sessions)
    payload = {"spec": {"prompt": name, "viewmats": [0.1, 0.2]}, "quality": 2}
    key = SegmentId(name)
    return JobRequest(
        f"content/{name}", JobKind.CONTENT, payload, Quality.DRAFT, key, rank, deadline_s, "trace", waiters
    )


def result_for(claimed: ClaimedJob, spent_s: float = 4.0) -> JobResult:
    name = claimed.job.request.target
    segment_id, scene_id = SegmentId(name), SceneId(f"scene-{name}")
    clip = AssetRecord(AssetId(f"clip-{name}"), 600, CLIP, 0.0, 1.5)
    splats = AssetRecord(AssetId(f"splats-{name}"), 400, FOURDGS, 0.0, 1.5, 0, 10)
    segment = SegmentRecord(segment_id, {"prompt": name}, Quality.DRAFT, (clip,), scene_id, 1.5, 1_000.0)
    scene = SceneRecord(scene_id, segment_id, (splats,), 10, 1.5, 1_000.0)
    return JobResult(segment, scene, spent_s, 1.5, stage_s={"denoise": spent_s})


def claim(table: JobTable, worker: str = "w") -> ClaimedJob:
    claimed = table.claim(worker, 10.0)
    assert claimed is not None
    return claimed


def state_of(table: JobTable, name: str) -> JobState:
    return table.by_request([f"content/{name}"])[f"content/{name}"].state


def usage_count(engine: Engine) -> int:
    with read(engine) as connection:
        return connection.execute(select(func.count()).select_from(usage_rows)).scalar_one()
