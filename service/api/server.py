"""The server: stores, director, worker processes and gRPC services, started and drained in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import grpc
from google.longrunning import operations_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from narthex.v1 import (
    asset_service_pb2,
    design_service_pb2,
    operate_service_pb2,
    play_service_pb2,
    rules_service_pb2,
)

from model.revision import ModelInfo, read_model_info
from service.api.asset_service import AssetService
from service.api.auth import Doorkeeper, check_exposure, is_loopback, token_secret
from service.api.call import Door
from service.api.design_service import DesignService
from service.api.housekeeping import keep_house
from service.api.operate_service import OperateService
from service.api.operation_reader import OperationReader
from service.api.operations_service import OperationsService
from service.api.play_service import PlayService, WatchSettings
from service.api.register import add_service
from service.api.rules_service import RulesService
from service.api.stores import Stores, only_server, open_stores
from service.clock import Clock, system_clock
from service.config import Config, ModelSettings, ServerSettings
from service.errors import InvalidInput
from service.sessions.director import Director, DirectorSettings
from service.work.platform_posix import keep_freed_buffers
from service.work.supervisor import SupervisorSettings, WorkerSupervisor

logger = logging.getLogger(__name__)

READER_THREADS = 4


class Workers(Protocol):
    """The worker processes, as the server sees them (service/work/supervisor.py)."""

    async def start(self) -> None:
        """Start them, and start them again when they die."""

    async def stop(self) -> None:
        """Tell them to give their jobs back, and wait until they are gone."""


def model_info(settings: ModelSettings) -> ModelInfo:
    """What the server needs to know of the weights, read without torch. Raises UnreadableCheckpoint, InvalidInput."""
    try:
        return read_model_info(settings.folder, settings.draft_steps, settings.full_steps, settings.guidance)
    except ValueError as error:
        raise InvalidInput(f"model: {error}") from error


class NarthexServer:
    """One server. `await start()`, then `await stop()`; between them it answers on `port`."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        model: ModelInfo,
        workers: Workers | None = None,
        clock: Clock = system_clock,
        director_settings: DirectorSettings | None = None,
    ) -> None:
        check_exposure(config.server.host, config.auth.server_keys)
        self.port = 0
        self.stores = stores
        self._config = config
        self._workers = workers
        self.director = Director(
            stores.engine,
            stores.blobs,
            stores.catalogue,
            stores.jobs,
            clock,
            model,
            director_settings or DirectorSettings(),
        )
        secret = token_secret(config.auth.token_secret, config.data.dir)
        self._door = Door(Doorkeeper(config.auth.server_keys, secret, clock))
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="assets")
        self._play = PlayService(self._door, self.director, clock, WatchSettings(config.server.watch_write_timeout_s))
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._model = model
        self._clock = clock
        self._grpc: grpc.aio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()

    async def start(self) -> int:
        """The port on which the server answers from now on.

        Raises:
            InvalidInput: the port is taken.
        """
        settings = self._config.server
        server = grpc.aio.server(
            options=server_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_calls
        )
        names = self._add_services(server)
        self.port = _bind(server, settings)
        await self.director.start()
        house = keep_house(self.stores, self._clock, self._config.data.max_bytes, self.director.segments_on_screen)
        self._tasks = [
            asyncio.create_task(self.director.run(), name="director"),
            asyncio.create_task(house, name="housekeeping"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)
        await server.start()
        self._grpc = server
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        if self._workers is not None:
            await self._workers.start()
        logger.info("serving", extra={"host": settings.host, "port": self.port, "model": self._model.revision})
        return self.port

    async def stop(self) -> None:
        """Drain: refuse new calls, let those in flight finish, tell watchers to resume, stop the workers."""
        self._door.draining = True
        await self._health.enter_graceful_shutdown()
        cut = self._play.cut_watchers()
        logger.info("draining", extra={"watchers": cut})
        if self._grpc is not None:
            await self._grpc.stop(self._config.server.drain_s)
        await self.director.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._workers is not None:
            await self._workers.stop()
        self._readers.shutdown()
        self.stores.engine.dispose()
        logger.info("stopped")

    def _add_services(self, server: grpc.aio.Server) -> list[str]:
        door, stores, clock = self._door, self.stores, self._clock
        reader = OperationReader(stores.jobs, stores.catalogue)
        assets = AssetService(door, self.director, stores.blobs, stores.catalogue, clock, self._readers)
        design = DesignService(door, self.director, stores.jobs, stores.catalogue, reader, self._model, clock)
        services: list[tuple[Any, str, object]] = [
            (play_service_pb2, "PlayService", self._play),
            (asset_service_pb2, "AssetService", assets),
            (design_service_pb2, "DesignService", design),
            (operate_service_pb2, "OperateService", OperateService(door, stores.engine, stores.jobs)),
            (rules_service_pb2, "RulesService", RulesService(door)),
            (operations_pb2, "Operations", OperationsService(door, stores.jobs, reader)),
        ]
        names = [add_service(server, module.DESCRIPTOR.services_by_name[name], it) for module, name, it in services]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        return names

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self._door.draining:
            logger.critical("%s stopped, so the server does", task.get_name(), exc_info=task.exception())
            self.failed.set()


async def serve(
    config: Config, ready: Callable[[int], None] | None = None, stopping: asyncio.Event | None = None
) -> int:
    """Serve until SIGTERM, SIGINT or `stopping`, then drain; 0, or 1 where the server itself failed.

    `ready` is called with the bound port once calls are answered.

    Raises:
        InvalidInput: a setting is wrong, or the port or the data folder is taken.
        UnreadableCheckpoint: the weights are missing.
    """
    stopping = stopping or asyncio.Event()
    keep_freed_buffers()
    check_exposure(config.server.host, config.auth.server_keys)
    model = model_info(config.model)
    with only_server(config.data.dir):
        stores = open_stores(config.data.dir, system_clock, config.work.max_attempts)
        server = NarthexServer(config, stores, model, _workers(config, stores))
        with _signals(stopping):
            await _serve_until(stopping, server, ready)
    return 1 if server.failed.is_set() else 0


async def _serve_until(stopping: asyncio.Event, server: NarthexServer, ready: Callable[[int], None] | None) -> None:
    try:
        port = await server.start()
        if ready is not None:
            ready(port)
        ends = [asyncio.create_task(event.wait()) for event in (stopping, server.failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    finally:
        await server.stop()


def server_options(settings: ServerSettings) -> list[tuple[str, Any]]:
    """gRPC channel arguments of the limits."""
    options: list[tuple[str, Any]] = [
        # Two servers on one port would each get half of the calls: the second shall fail to start.
        ("grpc.so_reuseport", 0),
        # gRPC's core cancels calls at random where more than 1,000 wait to be taken up, as when all watchers of a
        # server that went come to this one. They wait; those beyond the limit get RESOURCE_EXHAUSTED.
        ("grpc.server.max_pending_requests", settings.max_concurrent_calls),
        ("grpc.server.max_pending_requests_hard_limit", 2 * settings.max_concurrent_calls),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", int(settings.min_ping_interval_s * 1000)),
    ]
    if settings.max_connection_idle_s:
        options.append(("grpc.max_connection_idle_ms", int(settings.max_connection_idle_s * 1000)))
    return options


def _workers(config: Config, stores: Stores) -> Workers | None:
    if config.work.workers == 0:
        return None
    settings = SupervisorSettings(
        lease_s=config.work.lease_s,
        threads=config.work.threads,
        max_attempts=config.work.max_attempts,
        weights_dir=config.model.folder,
        log_level=config.log.level,
        log_format=config.log.format,
    )
    return WorkerSupervisor(config.data.dir, config.work.workers, settings, table=stores.workers)


def _bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    host = f"[{settings.host}]" if ":" in settings.host and not settings.host.startswith("[") else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.port}")
    except RuntimeError:
        port = 0
    if not port:
        remedy = "stop what listens there, or take a free port with --port 0"
        raise InvalidInput(f"server.port: cannot listen on {host}:{settings.port}; {remedy}", reason="PORT_TAKEN")
    if not is_loopback(settings.host):
        logger.warning("keys travel in the clear: put a proxy that speaks TLS before this server")
    return port


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Any:
    """SIGTERM and SIGINT set `stopping`."""
    loop = asyncio.get_running_loop()
    caught = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Loops of some systems, and loops of threads, have no signal handlers: ^C raises there as usual.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stopping.set)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
