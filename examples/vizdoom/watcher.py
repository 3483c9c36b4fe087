"""Hears what the server says of a session, and makes announced content ready; for both a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import grpc
from narthex.v1 import asset_service_pb2_grpc, play_service_pb2, play_service_pb2_grpc, session_pb2

from examples.vizdoom.downloads import Downloads


class Watcher:
    """Puts every update of the session into `updates`, and every announcement, once it is downloaded, into `ready`.

    Both are queues that the game empties once a frame, so that all decisions are made in the game's own thread.
    A watch that is cut goes on after the last cursor that arrived. Announcements that could not be downloaded
    come out of `failed` with the reason.
    """

    def __init__(self, channel: grpc.Channel, session: str) -> None:
        self._play = play_service_pb2_grpc.PlayServiceStub(channel)
        self._downloads = Downloads(asset_service_pb2_grpc.AssetServiceStub(channel))
        self._session = session
        self._closing = threading.Event()
        self._stream: Any = None
        self._to_fetch: queue.SimpleQueue[session_pb2.ContentAnnounced | None] = queue.SimpleQueue()
        self.updates: queue.SimpleQueue[session_pb2.SessionUpdate] = queue.SimpleQueue()
        self.ready: queue.SimpleQueue[session_pb2.ContentAnnounced] = queue.SimpleQueue()
        self.failed: queue.SimpleQueue[tuple[session_pb2.ContentAnnounced, str]] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._watch, name="watch", daemon=True),
            threading.Thread(target=self._fetch_all, name="download", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends both threads."""
        self._closing.set()
        if self._stream is not None:
            self._stream.cancel()
        self._to_fetch.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _watch(self) -> None:
        cursor = 0
        while not self._closing.is_set():
            request = play_service_pb2.WatchSessionRequest(session=self._session, cursor=cursor)
            try:
                self._stream = stream = self._play.WatchSession(request)
                for update in stream:
                    cursor = update.cursor
                    self._take(update)
                    if update.WhichOneof("kind") == "session_closed":
                        return
            except grpc.RpcError:
                time.sleep(0.2)

    def _take(self, update: session_pb2.SessionUpdate) -> None:
        self.updates.put(update)
        if update.WhichOneof("kind") == "content_announced":
            self._to_fetch.put(update.content_announced)

    def _fetch_all(self) -> None:
        while (announced := self._to_fetch.get()) is not None:
            try:
                self._downloads.fetch(announced.video)
                self._downloads.fetch(announced.scene)
                self.ready.put(announced)
            except (grpc.RpcError, ValueError) as error:
                self.failed.put((announced, str(error)))
