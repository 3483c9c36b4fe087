"""Puts a world file through the API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
from narthex.v1 import design_service_pb2, design_service_pb2_grpc

from service.errors import InvalidInput, NotFound, TooMuch, Unavailable
from service.worlds.limits import MAX_SOURCE_BYTES
from service.worlds.pack import packed
from service.worlds.sizes import ANY_SIZE
from service.worlds.world import World
from service.worlds.yaml_file import parse_world

PUT_S = 20.0


@dataclass(frozen=True)
class WorldFile:
    """A world as a file: what it says, and its bytes with the clips that it names packed in."""

    world: World
    source: bytes


def read_world_file(path: Path) -> WorldFile:
    """The world in a file; which sizes are made is for the server to say that it is put to.

    Raises:
        NotFound: no such file, or it cannot be read.
        InvalidInput: something in it is wrong; names line, field, what was got and what is allowed.
        TooMuch: it is larger than a world may be.
    """
    try:
        if path.stat().st_size > MAX_SOURCE_BYTES:
            raise TooMuch(f"{path}: got {path.stat().st_size:,} bytes, a world has at most {MAX_SOURCE_BYTES:,}")
        source = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path}: cannot be read ({error.strerror})") from error
    whole = packed(source, str(path), path.parent)
    return WorldFile(parse_world(whole, str(path), path.parent, sizes=ANY_SIZE), whole)


def put_world(channel: grpc.Channel, file: WorldFile, wait_for_server: bool = True) -> str:
    """Resource name of the world, stored by the server, which may still be starting where it is waited for.

    Raises:
        InvalidInput: the server does not take the world.
        Unavailable: the server does not answer.
        grpc.RpcError: the same where the server is not waited for.
    """
    request = design_service_pb2.PutWorldRequest(world_id=file.world.world_id, source=file.source)
    stub = design_service_pb2_grpc.DesignServiceStub(channel)
    try:
        stub.PutWorld(request, timeout=PUT_S, wait_for_ready=wait_for_server)
    except grpc.RpcError as error:
        if not wait_for_server:
            raise
        words = f"{error.code().name}: {error.details()}"
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            raise InvalidInput(f"the server does not take the world: {words}") from error
        raise Unavailable(f"the world could not be put: {words}") from error
    return f"worlds/{file.world.world_id}"
