"""What operations answer when their work is done: jobs are completed here in a worker's stead."""

from __future__ import annotations

import os
from typing import Any

import pytest
from google.longrunning import operations_pb2
from narthex.v1 import content_pb2
from narthex.v1 import design_service_pb2 as pb2
from narthex.v1 import operate_service_pb2 as operate_pb2

from clips.camera_path import CameraPath
from model.revision import weights_revision
from model.spec import SegmentSpec
from service.api.convert.content import spec_message
from service.clock import system_clock
from service.quality import Quality
from service.store.records import FOURDGS, MP4, PLY, AssetRecord, SceneRecord, SegmentRecord
from service.work.claim import JobResult
from service.work.job import Job, JobState


@pytest.fixture(scope="module")
def spec(wire: Any) -> SegmentSpec:
    revision = weights_revision(wire.config.model.folder)
    return SegmentSpec("a red orb", 5, CameraPath().cameras(2, 96, 64), 8.0, 4, 2.0, revision)


def asset(wire: Any, media_type: str) -> AssetRecord:
    return AssetRecord(wire.stores.blobs.put(os.urandom(500)), 500, media_type, 0.0, 0.25, 0, 7)


def complete(wire: Any, name: str, result: Any) -> Job:
    """Claim the operation's job and complete it with `result(job)`."""
    jobs = wire.stores.jobs
    claimed = jobs.claim("tester", 60.0)
    while f"operations/{claimed.job.job_id}" != name:
        claimed = jobs.claim("tester", 60.0)
    assert jobs.complete(claimed, result(claimed.job))
    return claimed.job


def wait(client: Any, name: str) -> operations_pb2.Operation:
    return client.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))


def test_a_segment_its_scene_and_its_export(client: Any, wire: Any, spec: SegmentSpec):
    name = client.design.GenerateSegment(
        pb2.GenerateSegmentRequest(spec=spec_message(spec.to_json()), quality=Quality.DRAFT)
    ).name
    video = asset(wire, MP4)

    def segment(job: Job) -> JobResult:
        assert SegmentSpec.from_json(job.request.payload["spec"]).key() == spec.key() == job.request.target
        return JobResult(
            SegmentRecord(spec.key(), spec.to_json(), Quality.DRAFT, (video,), None, 0.25, system_clock()),
            None,
            1.0,
            0.25,
        )

    complete(wire, name, segment)
    made = content_pb2.Segment()
    assert wait(client, name).response.Unpack(made)
    assert (made.name, made.scene) == (f"segments/{spec.key()}", "")
    assert made.manifest.chunks[0].asset == f"assets/{video.asset}"

    name = client.design.ReconstructScene(pb2.ReconstructSceneRequest(segment=made.name)).name
    splats = asset(wire, FOURDGS)

    def scene(job: Job) -> JobResult:
        assert job.request.payload["segment"] == spec.key()
        record = SceneRecord(splats.asset, spec.key(), (splats,), 7, 0.25, system_clock())
        return JobResult(None, record, 1.0, 0.0)

    complete(wire, name, scene)
    rebuilt = content_pb2.Scene4D()
    assert wait(client, name).response.Unpack(rebuilt)
    assert (rebuilt.segment, rebuilt.splats) == (made.name, 7)

    name = client.design.ExportScene(pb2.ExportSceneRequest(scene=rebuilt.name, media_type=PLY, time_s=0.1)).name
    ply = asset(wire, PLY)
    job = complete(wire, name, lambda _: JobResult(None, None, 0.5, 0.0, exports=(ply,)))
    chunk = content_pb2.AssetChunk()
    assert wait(client, name).response.Unpack(chunk)
    assert (chunk.asset, chunk.media_type, chunk.size_bytes) == (f"assets/{ply.asset}", PLY, 500)
    shown = client.operate.GetJob(operate_pb2.GetJobRequest(name=f"jobs/{job.job_id}"))
    assert (shown.kind, shown.target, shown.state) == ("export", rebuilt.name, JobState.DONE)
    usage = client.operate.GetUsage(operate_pb2.GetUsageRequest())
    assert usage.generated.segments == 1
    assert usage.generated.device_s == 2.5


def test_a_segment_that_exists_is_done_at_once(client: Any, wire: Any, spec: SegmentSpec):
    wanted = pb2.GenerateSegmentRequest(spec=spec_message(spec.to_json()), quality=Quality.DRAFT)
    again = client.design.GenerateSegment(wanted)
    assert again.done
    assert again.WhichOneof("result") == "response"
