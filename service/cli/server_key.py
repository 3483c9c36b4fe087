"""A channel to a server that wants a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc


class _Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """Adds a server key to every call."""

    def __init__(self, key: str) -> None:
        self._header = ("authorization", f"Bearer {key}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """The call, made with the key."""
        return continuation(self._with_key(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """The stream, asked for with the key."""
        return continuation(self._with_key(client_call_details), request)

    def _with_key(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._header])


def with_key(channel: grpc.Channel, keys: Sequence[str]) -> grpc.Channel:
    """The channel, with the first of `keys` on every call; the channel itself where there are none."""
    return grpc.intercept_channel(channel, _Bearer(keys[0])) if keys else channel
