from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from narthex.v1 import event_pb2, rules_service_pb2
from narthex.v1.play_service_pb2 import ListSessionsRequest, ListSessionUpdatesRequest, WatchSessionRequest

from service.api.server import NarthexServer, model_info, server_options
from service.api.stores import open_stores
from service.clock import system_clock
from service.config import load_config
from service.errors import InvalidInput

SERVICES = {
    "narthex.v1.PlayService",
    "narthex.v1.AssetService",
    "narthex.v1.DesignService",
    "narthex.v1.OperateService",
    "narthex.v1.RulesService",
    "google.longrunning.Operations",
}


def test_health_says_serving_for_every_service(client: Any):
    stub = health_pb2_grpc.HealthStub(client.channel)
    for name in ("", *SERVICES):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_every_service(client: Any):
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = list(stub.ServerReflectionInfo(iter([request]), timeout=10))
    names = {service.name for service in answer.list_services_response.service}
    assert names >= SERVICES | {"grpc.health.v1.Health"}


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("CheckRules", rules_service_pb2.CheckRulesRequest),
        ("PutRules", rules_service_pb2.PutRulesRequest),
        ("GetRules", rules_service_pb2.GetRulesRequest),
    ],
)
def test_rules_are_not_implemented_and_say_so(client: Any, refused: Any, method: str, request_type: type):
    with refused() as caught:
        getattr(client.rules, method)(request_type())
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NO_RULES_YET")


def test_a_port_that_is_taken_is_refused_with_a_remedy(wire: Any, tmp_path: Path):
    config = load_config(
        flags={
            "server.port": wire.server.port,
            "data.dir": tmp_path,
            "model.weights_dir": str(wire.config.model.folder),
        }
    ).config

    async def start() -> None:
        server = NarthexServer(config, open_stores(tmp_path, system_clock, 3), model_info(config.model))
        try:
            await server.start()
        finally:
            server.stores.engine.dispose()

    with pytest.raises(InvalidInput, match=rf"cannot listen on 127\.0\.0\.1:{wire.server.port}.*--port 0"):
        wire.run(start())


def test_a_server_that_others_reach_needs_keys(wire: Any, tmp_path: Path):
    config = load_config(
        flags={"server.host": "0.0.0.0", "data.dir": tmp_path, "model.weights_dir": str(wire.config.model.folder)}
    ).config
    stores = open_stores(tmp_path, system_clock, 3)
    with pytest.raises(InvalidInput, match=r"auth\.server_keys"):
        NarthexServer(config, stores, model_info(config.model))
    stores.engine.dispose()


def test_limits_become_channel_arguments():
    flags = {"server.max_message_bytes": 2**20, "server.keepalive_s": 1.5, "server.max_connection_idle_s": 60}
    options = dict(server_options(load_config(flags=flags).config.server))
    assert options["grpc.max_receive_message_length"] == 2**20
    assert options["grpc.keepalive_time_ms"] == 1_500
    assert options["grpc.max_connection_idle_ms"] == 60_000
    assert options["grpc.so_reuseport"] == 0
    assert "grpc.max_connection_idle_ms" not in dict(server_options(load_config().config.server))


def test_more_calls_than_allowed_at_a_time_are_refused(tmp_path: Path, make_wire: Any, make_client: Any):
    wire = make_wire(tmp_path, **{"server.max_concurrent_calls": 3})
    client = make_client(wire)
    client.put_world()
    session = client.create_session().name
    streams = [client.play.WatchSession(WatchSessionRequest(session=session)) for _ in range(3)]
    for stream in streams:
        next(stream)
    with pytest.raises(grpc.RpcError) as caught:
        client.play.ListSessions(ListSessionsRequest())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in streams:
        stream.cancel()


def test_draining_tells_watchers_where_to_resume(tmp_path: Path, make_wire: Any, make_client: Any, refusal_of: Any):
    wire = make_wire(tmp_path)
    client = make_client(wire)
    client.put_world()
    session = client.create_session().name
    streams = [client.play.WatchSession(WatchSessionRequest(session=session)) for _ in range(5)]
    seen = [next(stream).cursor for stream in streams]
    wire.stop()
    for stream, cursor in zip(streams, seen, strict=True):
        got = [cursor]
        with pytest.raises(grpc.RpcError) as caught:
            for update in stream:
                got.append(update.cursor)
        refusal = refusal_of(caught.value)
        assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", True)
        assert int(refusal.metadata["cursor"]) == got[-1]


def test_draining_ends_long_polls_at_once(tmp_path: Path, make_wire: Any, make_client: Any, refusal_of: Any):
    wire = make_wire(tmp_path)
    client = make_client(wire)
    client.put_world()
    session = client.create_session()
    request = ListSessionUpdatesRequest(session=session.name, cursor=session.cursor, wait_s=30.0)
    poll = client.play.ListSessionUpdates.future(request)

    async def is_waiting() -> bool:
        async with asyncio.timeout(20):
            while not wire.server._play._watchers:  # noqa: ASYNC110 (the server has no event for it)
                await asyncio.sleep(0.01)
        return True

    assert wire.run(is_waiting())
    wire.stop()
    refusal = refusal_of(poll.exception())
    assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", True)


def test_a_watcher_that_never_reads_is_told_to_resume(
    tmp_path: Path, make_wire: Any, make_client: Any, refusal_of: Any, caplog: pytest.LogCaptureFixture
):
    wire = make_wire(tmp_path, **{"server.watch_write_timeout_s": 0.2})
    # No growing windows, so that it does not take many updates to fill what is under way to a client.
    lazy, busy = make_client(wire, **{"grpc.http2.bdp_probe": 0}), make_client(wire)
    # Every update of this chain carries the state of its hundred tasks.
    tasks = "\n".join(f"      {'t' * 50}{number}: {{p50_s: 1, p90_s: 2}}" for number in range(100))
    gate = "gates: {g: {chain: long, content: {prompt: x}}}"
    busy.put_world(f"world: halls\nchains:\n  long:\n    tasks:\n{tasks}\n{gate}\n")
    session = busy.create_session().name
    stream = lazy.play.WatchSession(WatchSessionRequest(session=session), timeout=60.0)
    got = [next(stream).cursor]
    with caplog.at_level(logging.INFO, "service.api.play_service"):
        for first in range(1, 10_000, 64):
            busy.report(session, *(back_and_forth(number) for number in range(first, first + 64)))
            if "watcher cut off" in caplog.text:
                break
    with pytest.raises(grpc.RpcError) as caught:
        for update in stream:
            got.append(update.cursor)
    refusal = refusal_of(caught.value)
    assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "WATCHER_TOO_SLOW", True)
    assert refusal.metadata["cursor"] == str(got[-1])
    assert len(got) > 1
    resumed = lazy.play.WatchSession(WatchSessionRequest(session=session, cursor=got[-1]))
    assert next(resumed).cursor > got[-1]
    resumed.cancel()


def back_and_forth(number: int) -> event_pb2.Event:
    kind = {"chain_accepted" if number % 2 else "chain_abandoned": {"chain": "long"}}
    return event_pb2.Event(event_id=f"e{number}", sequence=number, **kind)
