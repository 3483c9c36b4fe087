"""Jobs as operators see them, as google.longrunning operations, and usage."""

from __future__ import annotations

from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2
from narthex.v1 import design_service_pb2, operate_service_pb2

from service.api.convert.content import quality_number
from service.api.convert.names import MAX_TIME_S, timestamp, to_name
from service.work.job import Job, JobKind, JobState
from service.work.usage import UsagePart, UsageReport

_ASKED_WRONGLY = {
    "UnsupportedSpec": code_pb2.UNIMPLEMENTED,
    "InvalidSpec": code_pb2.INVALID_ARGUMENT,
    "InvalidCameras": code_pb2.INVALID_ARGUMENT,
}
"""Status by the class of the error that a job ended with, which `last_error` begins with (`Attempt`)."""

FINAL_STATES = (JobState.DONE, JobState.CANCELLED, JobState.DEAD)


def job_message(job: Job) -> operate_service_pb2.Job:
    """The wire's form of a job."""
    request = job.request
    message = operate_service_pb2.Job(
        name=to_name("jobs", job.job_id),
        kind=request.kind.value,
        state=_number(job.state),
        quality=quality_number(request.quality),
        target=_target(job),
        stage=job.stage,
        chunks_done=job.chunks_done,
        chunks_total=job.chunks_total,
        attempts=job.attempts,
        last_error=job.last_error,
        worker=job.worker,
        fencing_token=job.fencing_token,
        create_time=timestamp(job.create_s),
        spent_s=job.spent_s,
        trace_id=request.trace_id,
        waiters=[f"sessions/{waiter.session}/gates/{waiter.gate}" for waiter in request.waiters],
    )
    # A deadline of "never" has no place on the wire's calendar, and no lease has none.
    if 0 < request.deadline_s < MAX_TIME_S:
        message.deadline.CopyFrom(timestamp(request.deadline_s))
    if 0 < job.lease_expire_s < MAX_TIME_S:
        message.lease_expire_time.CopyFrom(timestamp(job.lease_expire_s))
    return message


def operation_message(job: Job, response: Message | None) -> operations_pb2.Operation:
    """The operation that a designer's job is; `response` is what it made, where it is DONE."""
    metadata = design_service_pb2.OperationMetadata(
        stage=job.stage,
        chunks_done=job.chunks_done,
        chunks_total=job.chunks_total,
        trace_id=job.request.trace_id,
    )
    operation = operations_pb2.Operation(name=to_name("operations", job.job_id), done=job.state in FINAL_STATES)
    operation.metadata.Pack(metadata)
    if job.state is JobState.DEAD:
        operation.error.code, operation.error.message = _blamed(job.last_error), f"gave up: {job.last_error}"
    elif job.state is JobState.CANCELLED:
        operation.error.code, operation.error.message = code_pb2.CANCELLED, "cancelled"
    elif response is not None:
        operation.response.Pack(response)
    elif job.state is JobState.DONE:
        operation.error.code = code_pb2.NOT_FOUND
        operation.error.message = "done, but what it made was evicted since; ask for it again"
    return operation


def _blamed(last_error: str) -> int:
    """The status of a job that failed: INTERNAL, unless it was asked for what no attempt can make."""
    kind = last_error.partition(":")[0]
    return int(_ASKED_WRONGLY.get(kind, code_pb2.INTERNAL))


def done_operation(name: str, trace_id: str, response: Message) -> operations_pb2.Operation:
    """An operation that was done when the call returned."""
    operation = operations_pb2.Operation(name=name, done=True)
    operation.metadata.Pack(design_service_pb2.OperationMetadata(trace_id=trace_id))
    operation.response.Pack(response)
    return operation


def usage_message(report: UsageReport) -> operate_service_pb2.Usage:
    """The wire's form of a usage report."""
    return operate_service_pb2.Usage(
        generated=_part(report.generated),
        reached=_part(report.reached),
        wasted=_part(report.wasted),
        pending=_part(report.pending),
    )


def _part(part: UsagePart) -> operate_service_pb2.UsagePart:
    return operate_service_pb2.UsagePart(
        segments=part.segments, minutes=part.minutes, device_s=part.device_s, bytes=part.bytes
    )


def _number(value: int) -> Any:
    return int(value)


def _target(job: Job) -> str:
    if job.request.kind is JobKind.EXPORT:
        return to_name("scenes", str(job.request.payload.get("scene", "")))
    return to_name("segments", job.request.target)
