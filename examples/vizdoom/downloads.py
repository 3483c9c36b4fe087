"""Fetches announced content: any offset, cut connections resumed, every asset checked against its hash."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

import grpc
from narthex.v1 import asset_service_pb2, asset_service_pb2_grpc, content_pb2

TRIES = 5


class Downloads:
    """Assets by name, each fetched once. A real engine would hand the bytes to its GPU; we keep them."""

    def __init__(self, stub: asset_service_pb2_grpc.AssetServiceStub) -> None:
        self._stub = stub
        self._held: dict[str, bytes] = {}

    def fetch(self, manifest: content_pb2.Manifest) -> int:
        """How many bytes of the manifest had to be fetched; afterwards all of its chunks are held."""
        return sum(self._fetch(chunk.asset) for chunk in manifest.chunks)

    def hold(self, asset: str) -> bytes:
        """The bytes of an asset that was fetched before."""
        return self._held[asset]

    def _fetch(self, asset: str) -> int:
        if asset in self._held:
            return 0
        data = bytearray()
        for attempt in range(TRIES):
            try:
                for piece in self._pieces(asset, len(data)):
                    data += piece
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == TRIES - 1:
                    raise
                time.sleep(0.1 * 2**attempt)
        found = hashlib.sha256(data).hexdigest()
        if asset != f"assets/{found}":
            raise ValueError(f"{asset} arrived with the hash {found}")
        self._held[asset] = bytes(data)
        return len(data)

    def _pieces(self, asset: str, offset: int) -> Iterable[bytes]:
        request = asset_service_pb2.ReadAssetRequest(asset=asset, offset_bytes=offset)
        for response in self._stub.ReadAsset(request, timeout=60.0):
            yield response.data
