from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from service.api.auth import Doorkeeper
from service.api.call import Access, Call, Door, Malformed, endpoint
from service.errors import InvalidInput, NotFound

KEY = "k" * 24


class Aborted(grpc.aio.AbortError):
    pass


class Context:
    """As much of a ServicerContext as an endpoint uses."""

    def __init__(self, remaining_s: float | None = None, **metadata: str) -> None:
        self.remaining_s = remaining_s
        self.metadata = tuple(metadata.items())
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.trailers: Any = ()

    def time_remaining(self) -> float | None:
        return self.remaining_s

    def invocation_metadata(self) -> Any:
        return self.metadata

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details
        raise Aborted

    async def abort_with_status(self, status: Any) -> None:
        self.trailers = status.trailing_metadata
        await self.abort(status.code, status.details)


class Service:
    def __init__(self, *keys: str) -> None:
        self.door = Door(Doorkeeper(keys, b"s" * 64, lambda: 1000.0))
        self.calls: list[Call] = []
        self.error: BaseException | None = None

    @endpoint()
    async def Do(self, request: Any, call: Call) -> str:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return "done"

    @endpoint(Access.PLAYER)
    async def Look(self, request: Any, call: Call) -> str:
        self.calls.append(call)
        return "seen"


class Named:
    name = "sessions/x"


async def test_a_call_that_is_let_in_is_made():
    service = Service()
    assert await service.Do(Named(), Context()) == "done"
    assert await service.Do(Named(), Context(remaining_s=5.0)) == "done"
    assert len(service.calls) == 2


async def test_a_request_whose_deadline_is_over_does_nothing():
    service, context = Service(), Context(remaining_s=0.0)
    with pytest.raises(Aborted):
        await service.Do(Named(), context)
    assert context.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.calls == []


async def test_a_closed_door_lets_nobody_in_and_says_try_again():
    service, context = Service(), Context()
    service.door.draining = True
    with pytest.raises(Aborted):
        await service.Do(Named(), context)
    assert context.code is grpc.StatusCode.UNAVAILABLE
    assert b"RetryInfo" in context.trailers[0][1]
    assert service.calls == []


async def test_a_player_is_let_in_only_where_players_may():
    service = Service(KEY)
    token, _ = service.door.doorkeeper.issue("alpha", 60.0)
    assert await service.Look(Named(), Context(authorization=f"Bearer {token}")) == "seen"
    assert service.calls[0].caller.session == "alpha"
    context = Context(authorization=f"Bearer {token}")
    with pytest.raises(Aborted):
        await service.Do(Named(), context)
    assert context.code is grpc.StatusCode.PERMISSION_DENIED
    for authorization in ("", "Bearer wrong"):
        context = Context(authorization=authorization)
        with pytest.raises(Aborted):
            await service.Do(Named(), context)
        assert context.code is grpc.StatusCode.UNAUTHENTICATED


async def test_bytes_that_are_no_message_are_named():
    service, context = Service(), Context()
    with pytest.raises(Aborted):
        await service.Do(Malformed("narthex.v1.Thing", 7), context)
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "7 bytes" in context.details
    assert service.calls == []


async def test_a_missing_thing_is_named_as_the_client_named_it():
    service, context = Service(), Context()
    service.error = NotFound("no session x")
    with pytest.raises(Aborted):
        await service.Do(Named(), context)
    assert b"narthex.v1/sessions" in context.trailers[0][1]


async def test_a_fault_of_ours_goes_to_the_log_and_not_to_the_client(caplog: pytest.LogCaptureFixture):
    service, context = Service(), Context()
    service.error = RuntimeError("the secret of the inside")
    with caplog.at_level(logging.ERROR), pytest.raises(Aborted):
        await service.Do(Named(), context)
    assert context.code is grpc.StatusCode.INTERNAL
    assert "secret" not in context.details
    assert "secret" not in str(context.trailers)
    assert "the secret of the inside" in caplog.text
    assert "Traceback" in caplog.text
    trace = rpc_status.GRPC_DETAILS_METADATA_KEY
    assert context.trailers[0][0] == trace


async def test_an_expected_refusal_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture):
    service = Service()
    service.error = InvalidInput("wrong")
    with caplog.at_level(logging.INFO), pytest.raises(Aborted):
        await service.Do(Named(), Context())
    assert caplog.text == ""


async def test_a_cancelled_call_stays_cancelled():
    service, context = Service(), Context()
    service.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await service.Do(Named(), context)
    assert context.code is None


async def test_the_callers_trace_id_is_kept_and_a_wrong_one_is_not():
    service = Service()
    trace = "0af7651916cd43dd8448eb211c80319c"
    await service.Do(Named(), Context(traceparent=f"00-{trace}-b7ad6b7169203331-01"))
    await service.Do(Named(), Context(traceparent=f"00-{trace}"))
    assert service.calls[0].trace_id == trace
    assert service.calls[1].trace_id != trace
    assert len(service.calls[1].trace_id) == 32
