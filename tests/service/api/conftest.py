"""A real server on a thread of its own, and stubs to call it."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2_grpc
from google.rpc import error_details_pb2 as details_pb2
from grpc_status import rpc_status
from narthex.v1 import (
    asset_service_pb2_grpc,
    design_service_pb2,
    design_service_pb2_grpc,
    event_pb2,
    operate_service_pb2_grpc,
    play_service_pb2,
    play_service_pb2_grpc,
    rules_service_pb2_grpc,
    session_pb2,
)

from service.api.server import NarthexServer, model_info
from service.api.stores import open_stores
from service.clock import system_clock
from service.config import load_config

SERVER_KEY = "a-key-of-a-game-server-1"
WORLD = """\
world: halls
chains:
  red:
    tasks:
      find_key: {p50_s: 30, p90_s: 90}
      open_door: {p50_s: 10, p90_s: 30, requires: find_key}
  blue:
    tasks:
      swim: {p50_s: 20, p90_s: 60}
gates:
  red_gate: {chain: red, content: {prompt: a brick room with a red orb}}
  blue_gate: {chain: blue, content: {prompt: a mossy room with a blue cube}}
"""


class WireServer:
    """A server that runs on its own thread and loop until `stop`."""

    def __init__(self, folder: Path, **flags: Any) -> None:
        weights = folder / "weights"
        weights.mkdir()
        for name in ("vae", "dit"):
            (weights / f"{name}.safetensors").write_bytes(name.encode())
        given = {"server.port": 0, "data.dir": folder / "data", "work.workers": 0, "model.weights_dir": str(weights)}
        self.config = load_config(flags=given | flags).config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire-server")
        self._thread.start()
        self.stores = open_stores(self.config.data.dir, system_clock, 3)
        self.server = self.run(self._start())
        self.address = f"127.0.0.1:{self.server.port}"
        self._stopped = False

    async def _start(self) -> NarthexServer:
        server = NarthexServer(self.config, self.stores, model_info(self.config.model))
        await server.start()
        return server

    def run(self, work: Any, timeout_s: float = 30.0) -> Any:
        """The result of a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def stop(self) -> None:
        """Drain, then end the thread."""
        if not self._stopped:
            self._stopped = True
            self.run(self.server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
            self._loop.close()


class Client:
    """Stubs on one channel, each call with a deadline of 20 s and, where given, a key."""

    def __init__(self, address: str, key: str = "", **options: Any) -> None:
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options.items()])
        intercepted = grpc.intercept_channel(self.channel, _Always(key))
        self.play = play_service_pb2_grpc.PlayServiceStub(intercepted)
        self.assets = asset_service_pb2_grpc.AssetServiceStub(intercepted)
        self.design = design_service_pb2_grpc.DesignServiceStub(intercepted)
        self.operate = operate_service_pb2_grpc.OperateServiceStub(intercepted)
        self.rules = rules_service_pb2_grpc.RulesServiceStub(intercepted)
        self.operations = operations_pb2_grpc.OperationsStub(intercepted)
        self._numbers = itertools.count(1)

    def put_world(self, source: bytes | str = WORLD, world_id: str = "halls") -> Any:
        """The operation of PutWorld."""
        data = source.encode() if isinstance(source, str) else source
        return self.design.PutWorld(design_service_pb2.PutWorldRequest(world_id=world_id, source=data))

    def create_session(self, **fields: Any) -> session_pb2.Session:
        """A new session of the test world."""
        request = play_service_pb2.CreateSessionRequest(session=session_pb2.Session(world="worlds/halls"), **fields)
        return self.play.CreateSession(request)

    def report(self, session: str, *events: event_pb2.Event) -> play_service_pb2.ReportEventsResponse:
        """What became of the events."""
        return self.play.ReportEvents(play_service_pb2.ReportEventsRequest(session=session, events=events))

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()


class _Always(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Adds a deadline and a key to every call."""

    def __init__(self, key: str) -> None:
        self._metadata = [("authorization", f"Bearer {key}")] if key else []

    def _with(self, details: Any) -> Any:
        return details._replace(
            timeout=20.0 if details.timeout is None else details.timeout,
            metadata=[*(details.metadata or ()), *self._metadata],
        )

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with(details), request)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A call's error with its details taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: dict[str, str]
    retry: bool
    resource: str


def refusal(error: grpc.RpcError) -> Refusal:
    """The parts of an error; fails where a traceback reached the client or a detail is of an unknown kind."""
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()}: {error.details()}"
    assert "Traceback" not in str(status)
    reason, metadata, fields, retry, resource = "", {}, {}, False, ""
    for packed in status.details:
        kind = getattr(details_pb2, packed.type_url.rpartition(".")[2])
        detail = kind()
        assert packed.Unpack(detail)
        if kind is details_pb2.ErrorInfo:
            assert detail.domain == "narthex.v1"
            reason, metadata = detail.reason, dict(detail.metadata)
        elif kind is details_pb2.BadRequest:
            fields = {violation.field: violation.description for violation in detail.field_violations}
        elif kind is details_pb2.RetryInfo:
            retry = True
        elif kind is details_pb2.ResourceInfo:
            resource = detail.resource_name
    assert len(metadata["trace_id"]) == 32
    return Refusal(error.code(), status.message, reason, metadata, fields, retry, resource)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    """A server without keys, for one test module."""
    server = WireServer(tmp_path_factory.mktemp("wire"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(wire: WireServer) -> Iterator[Client]:
    """A client of `wire`, to which the test world was put."""
    caller = Client(wire.address)
    caller.put_world()
    yield caller
    caller.close()


@pytest.fixture
def refused() -> Any:
    """`with refused() as caught: call()`, then `caught.value` is the Refusal."""

    class Caught:
        value: Refusal

        def __enter__(self) -> Caught:
            return self

        def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
            assert isinstance(error, grpc.RpcError), f"the call was not refused: {error!r}"
            self.value = refusal(error)
            return True

    return Caught


@pytest.fixture
def refusal_of() -> Any:
    """The function that takes a call's error apart."""
    return refusal


@pytest.fixture
def make_wire() -> Iterator[Any]:
    """Makes servers with settings of their own, in the folder given; they are stopped after the test."""
    made: list[WireServer] = []

    def make(folder: Path, **flags: Any) -> WireServer:
        made.append(WireServer(folder, **flags))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def make_client() -> Iterator[Any]:
    """Makes clients of a server; they are closed after the test."""
    made: list[Client] = []

    def make(server: WireServer, key: str = "", **options: Any) -> Client:
        made.append(Client(server.address, key, **options))
        return made[-1]

    yield make
    for caller in made:
        caller.close()
