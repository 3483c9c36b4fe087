"""Fetches announced content: from any offset, resumed after a cut, every asset checked against its hash."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Iterable

import grpc
from narthex.v1 import asset_service_pb2, asset_service_pb2_grpc, content_pb2, session_pb2

TRIES = 5
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Downloads:
    """Assets by name, each fetched once. A real engine would hand the bytes to its GPU; we keep them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = asset_service_pb2_grpc.AssetServiceStub(channel)
        self._held: dict[str, bytes] = {}

    def fetch(self, manifest: content_pb2.Manifest) -> int:
        """How many bytes of the manifest had to be fetched; afterwards all of its chunks are held.

        Raises:
            grpc.RpcError: the server refused, or could not be reached in five tries.
            ValueError: the bytes do not have the hash that they are named by.
        """
        return sum(self._fetch(chunk.asset) for chunk in manifest.chunks)

    def bytes_of(self, asset: str) -> bytes:
        """The bytes of an asset, fetched where they are not held yet. Raises as `fetch` does."""
        self._fetch(asset)
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
                if error.code() not in AGAIN or attempt == TRIES - 1:
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


class DownloadThread:
    """Downloads what is announced, in order; what is done comes out of `ready` or, with a reason, of `failed`."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads
        self._asked: queue.SimpleQueue[session_pb2.ContentAnnounced | None] = queue.SimpleQueue()
        self.ready: queue.SimpleQueue[session_pb2.ContentAnnounced] = queue.SimpleQueue()
        self.failed: queue.SimpleQueue[tuple[session_pb2.ContentAnnounced, str]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._fetch_all, name="download", daemon=True)
        self._thread.start()

    def ask(self, announced: session_pb2.ContentAnnounced) -> None:
        """Adds to what is to be downloaded."""
        self._asked.put(announced)

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends the thread after what it is at."""
        self._asked.put(None)
        self._thread.join(timeout_s)

    def _fetch_all(self) -> None:
        while (announced := self._asked.get()) is not None:
            try:
                self._downloads.fetch(announced.video)
                self._downloads.fetch(announced.scene)
                self.ready.put(announced)
            except grpc.RpcError as error:
                self.failed.put((announced, f"download: {error.code().name}: {error.details()}"))
            except ValueError as error:
                self.failed.put((announced, f"download: {error}"))
