"""Every method is called with nonsense: whatever comes back is an answer or a status with details, never INTERNAL."""

from __future__ import annotations

import logging
import math
import random
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status
from narthex.v1 import (
    asset_service_pb2,
    design_service_pb2,
    event_pb2,
    operate_service_pb2,
    play_service_pb2,
    rules_service_pb2,
)

MODULES = (
    play_service_pb2,
    asset_service_pb2,
    design_service_pb2,
    event_pb2,
    operate_service_pb2,
    rules_service_pb2,
    operations_pb2,
)
METHODS = [m for module in MODULES for service in module.DESCRIPTOR.services_by_name.values() for m in service.methods]
TEXTS = ("", "x", "worlds/halls", "sessions/nonsense", "sessions/", "red_gate", "red", "find_key", "../../etc/passwd")
TEXTS += (
    "assets/" + "0" * 64,
    "segments/s",
    "scenes/s",
    "operations/o",
    "jobs/j",
    "pins/p",
    "a\x00b",
    "é字🙂",
    "y" * 9_000,
)
TEXTS += ("model/vnd.4dgs", "video/mp4", " ", "%s%n", "'; DROP TABLE sessions; --", "W10=", "halls")
INTEGERS = (0, 1, 2, 3, -1, 255, 2**31 - 1, -(2**31))
LONGS = (*INTEGERS, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, 0.5, 1.0, -1.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf)
CALLS = 40


def nonsense(kind: type[Message], dice: random.Random, depth: int = 0) -> Message:
    """A message with fields at random, set to what is most likely to hurt."""
    message: Any = kind()
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.25 + 0.1 * depth:
            continue
        count = dice.choice((1, 1, 2, 5)) if field.is_repeated else 1
        for _ in range(count):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                if depth < 5:
                    part = nonsense(GetMessageClass(field.message_type), dice, depth + 1)
                    target = getattr(message, field.name)
                    target.append(part) if field.is_repeated else target.CopyFrom(part)
                continue
            value = scalar(field, dice)
            getattr(message, field.name).append(value) if field.is_repeated else setattr(message, field.name, value)
    return message


def scalar(field: FieldDescriptor, dice: random.Random) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return dice.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return dice.choice((b"", b"world: halls\n", dice.randbytes(200), b"\xff" * 50, b"[" * 500))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return dice.random() < 0.5
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return dice.choice(FLOATS)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return dice.choice((0, 1, 2, 3, 4, 5, 99, -7))
    return dice.choice(LONGS if field.type == FieldDescriptor.TYPE_INT64 else INTEGERS)


@pytest.fixture(scope="module", autouse=True)
def _a_session_to_hit(client: Any) -> None:
    client.create_session(session_id="nonsense")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_nonsense_is_answered_or_refused(client: Any, method: MethodDescriptor, caplog: pytest.LogCaptureFixture):
    dice = random.Random(method.full_name)
    path = f"/{method.containing_service.full_name}/{method.name}"
    make = client.channel.unary_stream if method.server_streaming else client.channel.unary_unary
    request_type = GetMessageClass(method.input_type)
    call = make(path, request_serializer=request_type.SerializeToString)
    for _ in range(CALLS):
        request = nonsense(request_type, dice)
        # Waiting is tried elsewhere: here it would only take long.
        if "wait_s" in request.DESCRIPTOR.fields_by_name:
            request.wait_s = 0.0
        if "timeout" in request.DESCRIPTOR.fields_by_name:
            request.ClearField("timeout")
            request.timeout.nanos = 1
        try:
            answer = call(request, timeout=20)
            if method.server_streaming:
                next(answer)
                answer.cancel()
        except StopIteration:
            continue
        except grpc.RpcError as error:
            assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (request, error.details())
            assert error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED, request
            assert rpc_status.from_call(error) is not None, (request, error.details())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_events_are_applied_or_refused_and_the_session_goes_on(
    client: Any, refusal_of: Any, caplog: pytest.LogCaptureFixture, seed: int
):
    dice = random.Random(seed)
    client.put_world()  # nonsense may have deleted it
    session = client.create_session().name
    applied = 0
    for number in range(150):
        event: Any = nonsense(event_pb2.Event, dice)
        event.event_id, event.sequence, event.trace_id = f"e{number}", applied + 1, ""
        event.ClearField("event_time")
        try:
            now = client.report(session, event).applied_sequence
        except grpc.RpcError as error:
            refusal = refusal_of(error)
            assert refusal.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION), event
            # Malformed events spend no number; those that do not fit the game do, and say so.
            now = int(refusal.metadata.get("applied_sequence", applied))
        assert now in (applied, applied + 1)
        applied = now
    assert applied > 30
    finished = client.report(session, event_pb2.Event(event_id="last", sequence=applied + 1, session_resumed={}))
    assert finished.applied_sequence == applied + 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
