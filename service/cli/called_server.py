"""The server that a command calls, and what its failures mean to the one who typed the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from service.cli.server_key import with_key
from service.cli.settings_options import loaded
from service.errors import (
    Forbidden,
    InvalidInput,
    NotApplicable,
    NotFound,
    ServiceError,
    Unauthenticated,
    Unavailable,
)

TIMEOUT_S = 10.0
Server = Annotated[str, typer.Option(help="HOST:PORT of the server; default: that of the settings.")]
Key = Annotated[str, typer.Option(help="Server key; default: the first of auth.server_keys.")]


@contextmanager
def called_server(server: str, key: str, config: Path | None) -> Iterator[grpc.Channel]:
    """A channel whose failures are the service's own errors.

    Raises:
        InvalidInput: the address is none, or the server refuses the request.
        Unauthenticated: it wants a key.
        Unavailable: it does not answer.
    """
    settings = loaded(config).config
    address = server or f"{settings.server.host}:{settings.server.port}"
    if not address.rpartition(":")[2].isdecimal():
        raise InvalidInput(f"--server: got {address!r}, expected HOST:PORT")
    keys = (key,) if key else settings.auth.server_keys
    with grpc.insecure_channel(address) as plain:
        try:
            yield with_key(plain, keys)
        except grpc.RpcError as error:
            raise _said(error, address) from error


def _said(error: Any, address: str) -> ServiceError:
    code, text = error.code(), str(error.details())
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return Unauthenticated(f"{address}: {text}; give --key, or set auth.server_keys in narthex.toml")
    if code is grpc.StatusCode.UNAVAILABLE and "connect" in text.lower():
        return Unavailable(f"no server answers at {address}; start one with `narthex serve`, or give --server")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(f"{address} did not answer within {TIMEOUT_S:.0f} s; is it a Narthex server?")
    kinds: dict[grpc.StatusCode, type[ServiceError]] = {
        grpc.StatusCode.NOT_FOUND: NotFound,
        grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
        grpc.StatusCode.FAILED_PRECONDITION: NotApplicable,
        grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    }
    return kinds.get(code, Unavailable)(f"{address}: {text}")
