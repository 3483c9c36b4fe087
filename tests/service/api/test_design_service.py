from __future__ import annotations

import math
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from narthex.v1 import content_pb2, quality_pb2, world_pb2
from narthex.v1 import design_service_pb2 as pb2
from narthex.v1 import operate_service_pb2 as operate_pb2

from clips.camera_path import CameraPath
from model.revision import weights_revision
from model.spec import SegmentSpec
from service.api.convert.content import spec_message
from service.work.job import JobState

WORLD = "world: halls\nchains: {a: {tasks: {t: {p50_s: 1, p90_s: 2}}}}\ngates: {g: {chain: a, content: {prompt: x}}}\n"
TINY = WORLD.replace("halls", "tiny")


def spec(wire: Any, seed: int = 1, prompt: str = "a red orb") -> content_pb2.SegmentSpec:
    revision = weights_revision(wire.config.model.folder)
    made = SegmentSpec(prompt, seed, CameraPath().cameras(2, 96, 64), 8.0, 4, 2.0, revision)
    return spec_message(made.to_json())


def generate(client: Any, wire: Any, seed: int) -> operations_pb2.Operation:
    request = pb2.GenerateSegmentRequest(spec=spec(wire, seed), quality=quality_pb2.QUALITY_DRAFT)
    return client.design.GenerateSegment(request)


def test_a_world_is_put_read_listed_and_deleted(client: Any, refused: Any):
    operation = client.put_world(TINY, "tiny")
    assert operation.done
    put = world_pb2.World()
    assert operation.response.Unpack(put)
    assert put.source == TINY.encode()
    assert [gate.content.prompt for gate in put.gates] == ["x"]
    assert client.design.GetWorld(pb2.GetWorldRequest(name="worlds/tiny")).revision == put.revision
    first = client.design.ListWorlds(pb2.ListWorldsRequest(page_size=1))
    second = client.design.ListWorlds(pb2.ListWorldsRequest(page_size=1, page_token=first.next_page_token))
    assert [first.worlds[0].name, second.worlds[0].name] == ["worlds/halls", "worlds/tiny"]
    assert second.next_page_token == ""
    client.design.DeleteWorld(pb2.DeleteWorldRequest(name="worlds/tiny"))
    for call, request in (
        (client.design.GetWorld, pb2.GetWorldRequest(name="worlds/tiny")),
        (client.design.DeleteWorld, pb2.DeleteWorldRequest(name="worlds/tiny")),
    ):
        with refused() as caught:
            call(request)
        assert (caught.value.code, caught.value.resource) == (grpc.StatusCode.NOT_FOUND, "worlds/tiny")


def test_checking_a_world_stores_nothing(client: Any, refused: Any):
    source = WORLD.replace("halls", "unseen").encode()
    assert client.design.PutWorld(pb2.PutWorldRequest(world_id="unseen", source=source, validate_only=True)).done
    with refused() as caught:
        client.design.GetWorld(pb2.GetWorldRequest(name="worlds/unseen"))
    assert caught.value.code is grpc.StatusCode.NOT_FOUND


BAD_WORLDS = {
    "empty": b"",
    "blank": b" \n\n",
    "binary": bytes(range(256)) * 40,
    "not UTF-8": "world: h\xe4lle".encode("latin-1"),
    "UTF-16": WORLD.encode("utf-16"),
    "not a mapping": b"- 1\n- 2\n",
    "not YAML": b"world: [",
    "an anchor bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n",
    "deep": b"[" * 5_000,
    "unknown words": WORLD.replace("prompt", "promt").encode(),
    "a cycle": WORLD.replace("{p50_s: 1, p90_s: 2}", "{p50_s: 1, p90_s: 2, requires: t}").encode(),
    "negative durations": WORLD.replace("p50_s: 1", "p50_s: -1").encode(),
    "NaN durations": WORLD.replace("p50_s: 1", "p50_s: .nan").encode(),
    "an empty prompt": WORLD.replace("prompt: x", "prompt: ''").encode(),
    "a prompt of 100,000 characters": WORLD.replace("prompt: x", f"prompt: {'x' * 100_000}").encode(),
}


@pytest.mark.parametrize("source", BAD_WORLDS.values(), ids=BAD_WORLDS.keys())
def test_bad_worlds_are_refused_with_fields_and_stay_out(client: Any, refused: Any, source: bytes):
    with refused() as caught:
        client.put_world(source, "halls")
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields
    assert len(caught.value.message) < 1_000
    assert client.design.GetWorld(pb2.GetWorldRequest(name="worlds/halls")).source != source


def test_a_huge_world_is_refused(client: Any, refused: Any):
    with refused() as caught:
        client.put_world(WORLD + "#" * (1024 * 1024), "halls")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "WORLD_TOO_LARGE")
    with pytest.raises(grpc.RpcError) as raised:
        client.put_world(b"#" * (9 * 1024 * 1024), "halls")
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("world_id", ["", "Halls", "a/b", "x" * 64, "other"])
def test_a_world_id_must_be_one_and_that_of_the_source(client: Any, refused: Any, world_id: str):
    with refused() as caught:
        client.put_world(WORLD, world_id)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": ""}, "spec.prompt"),
        ({"prompt": "x" * 100_000}, "spec.prompt"),
        ({"seed": -1}, "spec.seed"),
        ({"guidance": math.nan}, "spec.guidance"),
        ({"steps": -1}, "spec.steps"),
    ],
)
def test_wrong_specs_are_refused_by_field(client: Any, wire: Any, refused: Any, fields: dict[str, Any], field: str):
    wanted = spec(wire)
    for name, value in fields.items():
        setattr(wanted, name, value)
    with refused() as caught:
        client.design.GenerateSegment(pb2.GenerateSegmentRequest(spec=wanted, quality=quality_pb2.QUALITY_FULL))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields.keys() == {field}


@pytest.mark.parametrize("quality", [0, 1, 9])
def test_only_drafts_and_fulls_are_generated(client: Any, wire: Any, refused: Any, quality: int):
    with refused() as caught:
        client.design.GenerateSegment(pb2.GenerateSegmentRequest(spec=spec(wire), quality=quality))
    assert caught.value.fields.keys() == {"quality"}


def test_equal_specs_are_one_operation(client: Any, wire: Any):
    first, second, other = generate(client, wire, 11), generate(client, wire, 11), generate(client, wire, 12)
    assert first.name == second.name != other.name
    assert not first.done
    metadata = pb2.OperationMetadata()
    assert first.metadata.Unpack(metadata)
    assert len(metadata.trace_id) == 32


def test_an_operation_is_got_listed_watched_cancelled_and_deleted(client: Any, wire: Any, refused: Any):
    name = generate(client, wire, 21).name
    assert client.operations.GetOperation(operations_pb2.GetOperationRequest(name=name)).name == name
    listed = client.operations.ListOperations(operations_pb2.ListOperationsRequest(page_size=1))
    assert [operation.name for operation in listed.operations] == [name]
    assert listed.next_page_token
    with refused() as caught:
        client.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=name))
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    stream = client.design.WatchOperation(pb2.WatchOperationRequest(name=name))
    assert not next(stream).done
    client.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=name))
    (last,) = list(stream)
    assert last.done
    assert last.error.code == grpc.StatusCode.CANCELLED.value[0]
    client.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=name))
    with refused() as caught:
        client.operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert (caught.value.code, caught.value.resource) == (grpc.StatusCode.NOT_FOUND, name)


def test_waiting_returns_at_the_timeout_or_when_it_is_done(client: Any, wire: Any, refused: Any):
    name = generate(client, wire, 31).name
    request = operations_pb2.WaitOperationRequest(name=name, timeout=Duration(nanos=1_000_000))
    assert not client.operations.WaitOperation(request).done
    claimed = wire.stores.jobs.claim("tester", 30.0)
    while claimed.job.job_id != name.partition("/")[2]:
        claimed = wire.stores.jobs.claim("tester", 30.0)
    wire.stores.jobs.fail(claimed, "out of memory", retryable=False)
    done = client.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))
    assert done.done
    assert done.error.message == "gave up: out of memory"
    with refused() as caught:
        client.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name, timeout=Duration(seconds=-1)))
    assert caught.value.fields.keys() == {"timeout"}


def test_scenes_need_segments_and_exports_need_scenes(client: Any, refused: Any):
    for call, request in (
        (client.design.ReconstructScene, pb2.ReconstructSceneRequest(segment="segments/none")),
        (client.design.ExportScene, pb2.ExportSceneRequest(scene="scenes/none", media_type="model/vnd.4dgs")),
    ):
        with refused() as caught:
            call(request)
        assert caught.value.code is grpc.StatusCode.NOT_FOUND
    for fields, field in (
        ({"media_type": "model/obj"}, "media_type"),
        ({"media_type": "model/vnd.4dgs", "time_s": math.nan}, "time_s"),
        ({"media_type": "model/vnd.4dgs", "time_s": -1.0}, "time_s"),
    ):
        with refused() as caught:
            client.design.ExportScene(pb2.ExportSceneRequest(scene="scenes/none", **fields))
        assert caught.value.fields.keys() == {field}


@pytest.mark.parametrize("name", ["", "operations/", "jobs/x", "operations/a/b"])
def test_names_that_are_no_operations_are_refused(client: Any, refused: Any, name: str):
    with refused() as caught:
        client.operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert caught.value.fields.keys() == {"name"}


def test_jobs_are_listed_by_state_read_cancelled_and_retried(client: Any, wire: Any, refused: Any):
    job = "jobs/" + generate(client, wire, 41).name.partition("/")[2]
    got = client.operate.GetJob(operate_pb2.GetJobRequest(name=job))
    assert (got.kind, got.state) == ("generate", JobState.QUEUED)
    queued = client.operate.ListJobs(operate_pb2.ListJobsRequest(state=JobState.QUEUED))
    assert job in [item.name for item in queued.jobs]
    cancelled = client.operate.CancelJob(operate_pb2.CancelJobRequest(name=job))
    assert cancelled.state == JobState.CANCELLED
    with refused() as caught:
        client.operate.RetryJob(operate_pb2.RetryJobRequest(name=job))
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    with refused() as caught:
        client.operate.ListJobs(operate_pb2.ListJobsRequest(state=9))
    assert caught.value.fields.keys() == {"state"}
    with refused() as caught:
        client.operate.GetJob(operate_pb2.GetJobRequest(name="jobs/none"))
    assert caught.value.code is grpc.StatusCode.NOT_FOUND


def test_usage_is_asked_for_a_time(client: Any, refused: Any):
    usage = client.operate.GetUsage(operate_pb2.GetUsageRequest())
    assert usage.reached.segments == 0
    request = operate_pb2.GetUsageRequest()
    request.start_time.seconds, request.end_time.seconds = 20, 10
    with refused() as caught:
        client.operate.GetUsage(request)
    assert caught.value.fields.keys() == {"end_time"}
