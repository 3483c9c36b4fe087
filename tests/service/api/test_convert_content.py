from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.rpc import code_pb2
from narthex.v1 import content_pb2, design_service_pb2, operate_service_pb2, quality_pb2

from clips.camera_path import CameraPath
from clips.dungeon.blockout import Graybox
from model.revision import DEFAULT_CONTROL, ModelInfo
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from service.api.convert import content
from service.api.convert.job import job_message, operation_message, usage_message
from service.errors import InvalidInput, Unsupported
from service.quality import Quality
from service.store.records import FOURDGS, AssetRecord, ContentRef, SceneRecord, SegmentRecord
from service.work.job import Job, JobKind, JobRequest, JobState, Waiter
from service.work.usage import UsagePart, UsageReport

MODEL = ModelInfo("rev1", 4, 20, 3.0)
CAMERAS = CameraPath().cameras(5, 96, 64)
SPEC = SegmentSpec("a red orb", 7, CAMERAS, 8.0, 20, 3.0, "rev1")
ASSET = AssetRecord("a" * 64, 10, FOURDGS, 0.0, 2.0, 1, 99)


def test_a_spec_survives_the_wire():
    message = content.spec_message(SPEC.to_json())
    assert content.to_spec(message, Quality.FULL, MODEL).key() == SPEC.key()


@pytest.mark.parametrize(("quality", "steps"), [(Quality.DRAFT, 4), (Quality.FULL, 20)])
def test_what_is_not_set_is_the_models_own(quality: Quality, steps: int):
    message = content.spec_message(SPEC.to_json())
    message.steps, message.guidance, message.model_revision = 0, 0.0, ""
    made = content.to_spec(message, quality, MODEL)
    assert (made.steps, made.guidance, made.model_revision) == (steps, 3.0, "rev1")


STEERED = replace(SPEC, control=Control(ControlKind.BLOCKOUT, graybox=Graybox(5.0, 3.0, 6.0)))
GRAYBOX_JSON = json.dumps(Graybox(5.0, 3.0, 6.0).to_json())


@pytest.mark.parametrize("spec", [replace(SPEC, control=Control(ControlKind.LAYOUT)), STEERED], ids=["layout", "box"])
def test_what_steers_a_spec_survives_the_wire(spec: SegmentSpec):
    message = content.spec_message(spec.to_json())
    assert content.to_spec(message, Quality.FULL, MODEL).key() == spec.key()


def test_what_steers_is_the_policys_where_it_is_not_said():
    assert content.to_spec(changed(control_kind=""), Quality.FULL, MODEL).control.kind == DEFAULT_CONTROL
    given = changed(control_kind="", graybox_json=GRAYBOX_JSON)
    assert content.to_spec(given, Quality.FULL, MODEL).control == STEERED.control


def test_specs_of_before_there_was_control_are_shown_without():
    old = SPEC.to_json()
    del old["control"]
    assert content.spec_message(old).control_kind == "none"


def changed(**fields: Any) -> content_pb2.SegmentSpec:
    message = content.spec_message(SPEC.to_json())
    for name, value in fields.items():
        target: Any = message
        *path, last = name.split("__")
        for part in path:
            target = getattr(target, part)
        if isinstance(value, list):
            del getattr(target, last)[:]
            getattr(target, last).extend(value)
        else:
            setattr(target, last, value)
    return message


UNLISTED = json.dumps({"width_m": 5, "height_m": 3, "depth_m": 6, "proxies": {}})
NO_WIDTH = json.dumps({"width_m": math.nan, "height_m": 3, "depth_m": 6, "proxies": []})
NOT_RIGID = [2.0] * 80
FAR_AWAY = (CAMERAS.viewmats @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -4000.0], [0, 0, 0, 1]]).reshape(-1).tolist()
NOT_A_NUMBER = [math.nan] * 80


@pytest.mark.parametrize(
    ("fields", "path", "got"),
    [
        ({"prompt": ""}, "spec.prompt", "got 0"),
        ({"prompt": " \n"}, "spec.prompt", "got 2 that cannot"),
        ({"prompt": "\u200b\ufeff\u2060"}, "spec.prompt", "got 3 that cannot"),
        ({"prompt": "x" * 100_000}, "spec.prompt", "1 to 4000 characters, got 100000"),
        ({"seed": -1}, "spec.seed", "got -1"),
        ({"steps": -1}, "spec.steps", "got -1"),
        ({"steps": 100_000}, "spec.steps", "got 100000"),
        ({"guidance": math.nan}, "spec.guidance", "got nan"),
        ({"guidance": -1.0}, "spec.guidance", "got -1"),
        ({"guidance": 1e9}, "spec.guidance", "got 1000000000.0"),
        ({"cameras__fps": 0.0}, "spec.cameras.fps", "got 0"),
        ({"cameras__fps": math.inf}, "spec.cameras.fps", "got inf"),
        ({"cameras__width_px": 0}, "spec.cameras.width_px", "got 0"),
        ({"cameras__height_px": 1 << 20}, "spec.cameras.height_px", "got 1048576"),
        ({"cameras__viewmats": []}, "spec.cameras.viewmats", "got 0 numbers"),
        ({"cameras__viewmats": [1.0] * 17}, "spec.cameras.viewmats", "got 17 numbers"),
        ({"cameras__viewmats": NOT_RIGID}, "spec.cameras", "rigid"),
        ({"cameras__viewmats": NOT_A_NUMBER}, "spec.cameras", "finite"),
        (
            {"cameras__viewmats": FAR_AWAY, "control_kind": "none"},
            "spec.cameras",
            "the first is at [0.0, -1.5, 4000.3]",
        ),
        ({"cameras__viewmats": FAR_AWAY, "control_kind": ""}, "spec.cameras", "must stand within 20 m of the gate"),
        ({"cameras__intrinsics_px": [1.0]}, "spec.cameras.intrinsics_px", "got 1 numbers, expected 20"),
        ({"cameras__intrinsics_px": [0.0] * 20}, "spec.cameras", "focal lengths"),
        ({"control_kind": "sketch"}, "spec.control_kind", "got 'sketch', expected none, layout, blockout or nothing"),
        ({"control_kind": "blockout"}, "spec.graybox_json", "got none, expected one"),
        ({"control_kind": "none", "graybox_json": GRAYBOX_JSON}, "spec.graybox_json", "got one"),
        ({"control_kind": "", "graybox_json": UNLISTED}, "spec.graybox_json", "proxies must be a list, got dict"),
        ({"control_kind": "", "graybox_json": NO_WIDTH}, "spec.graybox_json", "width_m must be within"),
        ({"control_kind": "", "graybox_json": "[" * 100_000}, "spec.graybox_json", "recursion"),
        ({"control_kind": "", "graybox_json": "{"}, "spec.graybox_json", "property name"),
        ({"control_kind": "", "graybox_json": "[" * 100_000}, "spec.graybox_json", "recursion"),
        ({"control_kind": "", "graybox_json": '"box"'}, "spec.graybox_json", "not a graybox"),
        ({"control_kind": "", "graybox_json": GRAYBOX_JSON.replace("5.0", "NaN")}, "spec.graybox_json", "width_m"),
        ({"control_kind": "", "graybox_json": GRAYBOX_JSON.replace("5.0", "1" * 400)}, "spec.graybox_json", "graybox"),
        ({"control_kind": "", "graybox_json": GRAYBOX_JSON.replace("6.0", "1.0")}, "spec.cameras", "must stand in"),
    ],
)
def test_a_wrong_spec_is_named_by_its_path(fields: dict[str, Any], path: str, got: str):
    with pytest.raises(InvalidInput) as caught:
        content.to_spec(changed(**fields), Quality.FULL, MODEL)
    assert caught.value.fields[0].field == path
    assert got in caught.value.fields[0].message


def test_other_weights_and_control_are_not_supported():
    with pytest.raises(Unsupported, match="this server has rev1 only"):
        content.to_spec(changed(model_revision="rev2"), Quality.FULL, MODEL)
    message = changed()
    message.control.chunks.add(asset="assets/x")
    with pytest.raises(Unsupported, match="control clips cannot be sent"):
        content.to_spec(message, Quality.FULL, MODEL)
    with pytest.raises(Unsupported, match=r"world's graybox\.depth_file"):
        content.to_spec(changed(control_kind="depth"), Quality.FULL, MODEL)


def test_segments_and_scenes_say_all_they_have():
    segment = SegmentRecord("s1", SPEC.to_json(), Quality.FULL, (ASSET,), "c1", 2.0, 5.0, ("xyzzy",))
    message = content.segment_message(segment)
    assert (message.name, message.scene, message.quality) == ("segments/s1", "scenes/c1", quality_pb2.QUALITY_FULL)
    assert (message.duration_s, message.create_time.seconds, list(message.unknown_terms)) == (2.0, 5, ["xyzzy"])
    assert (message.spec.prompt, message.spec.control_kind, message.control) == ("a red orb", "none", "none")
    made_by_layout = replace(segment, blockout="layout")
    assert content.segment_message(made_by_layout).control == "layout"
    assert message.note == ""
    assert content.segment_message(replace(segment, note="no layout fits")).note == "no layout fits"
    chunk = message.manifest.chunks[0]
    assert message.manifest.complete
    assert (chunk.asset, chunk.size_bytes, chunk.media_type) == ("assets/" + "a" * 64, 10, FOURDGS)
    assert (chunk.start_s, chunk.end_s, chunk.level, chunk.splats) == (0.0, 2.0, 1, 99)
    scene = content.scene_message(SceneRecord("c1", "s1", (ASSET,), 99, 2.0, 5.0))
    assert (scene.name, scene.segment, scene.splats) == ("scenes/c1", "segments/s1", 99)
    assert content.segment_message(SegmentRecord("s1", {}, Quality.DRAFT, (), None, 0.0, 0.0)).scene == ""


def test_content_references_survive_the_wire():
    for scene in ("c1", None):
        ref = ContentRef("w", "g", "s1", scene, Quality.DRAFT)
        assert content.to_content_ref(content.content_ref(ref), "content") == ref
    with pytest.raises(InvalidInput, match=r"content\.gate"):
        content.to_content_ref(content_pb2.ContentRef(world="worlds/w", segment="segments/s"), "content")


def job(state: JobState, kind: JobKind = JobKind.GENERATE, **fields: Any) -> Job:
    request = JobRequest("r", kind, {}, Quality.FULL, "s1", 1.0, 1e300, "ab" * 16, (Waiter("p1", "g1"),))
    values = {"stage": "denoise", "chunks_done": 1, "chunks_total": 5, "attempts": 2, "last_error": "boom"}
    values |= {"worker": "w1", "fencing_token": 3, "lease_expire_s": 9.0, "create_s": 8.0, "spent_s": 1.5, "version": 4}
    return Job("j1", request, state, **(values | fields))


def test_jobs_say_all_they_have():
    message = job_message(job(JobState.RUNNING))
    assert (message.name, message.kind, message.target) == ("jobs/j1", "generate", "segments/s1")
    assert set(operate_service_pb2.Job.DESCRIPTOR.fields_by_name) - {
        field.name for field, _ in message.ListFields()
    } == {"deadline"}
    assert list(message.waiters) == ["sessions/p1/gates/g1"]


@pytest.mark.parametrize(
    ("state", "done", "result"),
    [
        (JobState.QUEUED, False, None),
        (JobState.RUNNING, False, None),
        (JobState.DONE, True, "response"),
        (JobState.CANCELLED, True, "error"),
        (JobState.DEAD, True, "error"),
    ],
)
def test_operations_follow_their_jobs(state: JobState, done: bool, result: str | None):
    response = content_pb2.Segment(name="segments/s1") if state is JobState.DONE else None
    operation = operation_message(job(state), response)
    assert (operation.name, operation.done, operation.WhichOneof("result")) == ("operations/j1", done, result)
    metadata = design_service_pb2.OperationMetadata()
    assert operation.metadata.Unpack(metadata)
    assert (metadata.stage, metadata.chunks_done, metadata.chunks_total) == ("denoise", 1, 5)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("UnsupportedSpec: this model makes segments of 17 or 33 frames", code_pb2.UNIMPLEMENTED),
        ("InvalidSpec: control: depth must be finite", code_pb2.INVALID_ARGUMENT),
        ("ZeroDivisionError: division by zero", code_pb2.INTERNAL),
        ("its worker was lost", code_pb2.INTERNAL),
    ],
)
def test_a_job_that_gave_up_blames_the_request_where_that_asked_for_what_cannot_be(error: str, code: int):
    operation = operation_message(job(JobState.DEAD, last_error=error), None)
    assert (operation.error.code, operation.error.message) == (code, f"gave up: {error}")


def test_an_operation_whose_result_was_evicted_says_so():
    operation: operations_pb2.Operation = operation_message(job(JobState.DONE), None)
    assert "evicted" in operation.error.message


def test_usage_says_its_parts():
    report = UsageReport(UsagePart(4, 2.0, 3.0, 5), UsagePart(1), UsagePart(2), UsagePart(1))
    message = usage_message(report)
    assert (message.generated.segments, message.generated.minutes, message.generated.device_s) == (4, 2.0, 3.0)
    assert (message.generated.bytes, message.reached.segments, message.wasted.segments) == (5, 1, 2)
    assert message.pending.segments == 1
