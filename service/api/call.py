"""What every call passes through: deadline, drain, caller, trace id, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Never, TypeVar

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from service.api.auth import Caller, Doorkeeper, Role
from service.api.statuses import is_known, status_of
from service.errors import Forbidden, InvalidInput, NotFound, Unavailable
from service.logs import new_trace_id, trace_id

logger = logging.getLogger(__name__)

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_NAME_FIELDS = ("name", "session", "asset", "segment", "scene")


class Access(Enum):
    """Who may make a call. PLAYER means that players may too; the method checks what of."""

    SERVER = "server"
    PLAYER = "player"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was let in. `trace_id` is the caller's `traceparent`, or new."""

    caller: Caller
    trace_id: str
    context: grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Malformed:
    """A request whose bytes are no message of the kind: cut, garbage, or text that is not UTF-8."""

    kind: str
    size_bytes: int


class Door:
    """Lets calls in, until it is closed."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self.doorkeeper = doorkeeper
        self.draining = False

    def admit(self, context: grpc.aio.ServicerContext[Any, Any], access: Access, trace: str) -> Call:
        """The call. Raises Unavailable while draining, Unauthenticated, Forbidden, TimeoutError past the deadline."""
        remaining_s = context.time_remaining()
        if remaining_s is not None and remaining_s <= 0:
            raise TimeoutError
        if self.draining:
            raise Unavailable("the server is shutting down; try again, it may be another one", reason="DRAINING")
        caller = self.doorkeeper.caller(_metadata(context, "authorization"))
        if caller.role is Role.PLAYER and access is not Access.PLAYER:
            raise Forbidden("a player token may watch its session, read what is released to it, and say content_*")
        return Call(caller, trace, context)


Response = TypeVar("Response")
Method = Callable[[Any, Any, Call], Awaitable[Response]]
Handler = Callable[[Any, Any, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[Response]]


def endpoint(access: Access = Access.SERVER) -> Callable[[Method[Response]], Handler[Response]]:
    """Makes a gRPC handler of `async def method(self, request, call)`; the servicer needs a Door as `self.door`.

    A streaming method writes to `call.context` and returns None.
    """

    def decorate(method: Method[Response]) -> Handler[Response]:
        @functools.wraps(method)
        async def handler(self: Any, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Response:
            trace = _trace_of(context)
            trace_id.set(trace)
            try:
                call = self.door.admit(context, access, trace)
                if isinstance(request, Malformed):
                    raise _not_a_message(request)
                return await method(self, request, call)
            except grpc.aio.AbortError:
                raise
            except TimeoutError:
                message = "the deadline was over before the work was done"
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
            except Exception as error:
                await _refuse(context, error, request, trace, method.__name__)

        return handler

    return decorate


def _not_a_message(request: Malformed) -> InvalidInput:
    text = f"the {request.size_bytes} bytes of the request are no {request.kind} (strings must be UTF-8)"
    return InvalidInput(text, reason="MALFORMED_REQUEST")


async def abort(context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status) -> Never:
    """Ends a call with a status and its details; never returns.

    Raises:
        AbortError: the way in which grpc.aio leaves a handler.
        CancelledError: the client is gone, so nobody can be told.
    """
    try:
        # grpc-stubs do not know of this method of grpc.aio.
        await context.abort_with_status(rpc_status.to_status(status))  # type: ignore[attr-defined]
    except grpc.aio.InternalError as error:
        raise asyncio.CancelledError from error
    raise AssertionError("abort_with_status always raises")


async def _refuse(
    context: grpc.aio.ServicerContext[Any, Any], error: Exception, request: Any, trace: str, method: str
) -> Never:
    if not is_known(error):
        logger.error("%s failed", method, exc_info=error, extra={"method": method})
    elif logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s refused: %s", method, error, extra={"method": method, "reason": type(error).__name__})
    if isinstance(error, NotFound):
        error.metadata.setdefault("resource", _resource(request))
    await abort(context, status_of(error, trace))


def _resource(request: Any) -> str:
    """The resource that a request is about, as the client named it."""
    return next((str(value) for name in _NAME_FIELDS if (value := getattr(request, name, ""))), "")


def _trace_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    given = _metadata(context, "traceparent")
    match = _TRACEPARENT.match(given) if given else None
    return match.group(1) if match else new_trace_id()


def _metadata(context: grpc.aio.ServicerContext[Any, Any], name: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value if isinstance(value, str) else value.decode("latin-1")
    return None
