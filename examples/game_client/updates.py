"""Hears what the server says of a session, from a thread of its own, and goes on after a cut."""

from __future__ import annotations

import queue
import threading
from typing import Any

import grpc
from narthex.v1 import play_service_pb2, play_service_pb2_grpc, session_pb2

FINAL = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


class SessionWatch:
    """Puts every update of a session into `updates`, a queue that the game empties once a frame.

    A watch that is cut goes on after the last cursor that arrived. `ended` is set once no more will come;
    `failure` then says why, or is empty after a proper end.
    """

    def __init__(self, channel: grpc.Channel, session: str, cursor: int = 0) -> None:
        self._stub = play_service_pb2_grpc.PlayServiceStub(channel)
        self._session = session
        self._cursor = cursor
        self._stream: Any = None
        self.ended = threading.Event()
        self.failure = ""
        self.updates: queue.SimpleQueue[session_pb2.SessionUpdate] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends the thread."""
        self.ended.set()
        if self._stream is not None:
            self._stream.cancel()
        self._thread.join(timeout_s)

    def _watch(self) -> None:
        while not self.ended.is_set():
            request = play_service_pb2.WatchSessionRequest(session=self._session, cursor=self._cursor)
            try:
                self._stream = self._stub.WatchSession(request)
                for update in self._stream:
                    self._cursor = update.cursor
                    self.updates.put(update)
                    if update.WhichOneof("kind") == "session_closed":
                        self.ended.set()
                        return
            except grpc.RpcError as error:
                if error.code() in FINAL:
                    self.failure = f"{error.code().name}: {error.details()}"
                    self.ended.set()
            self.ended.wait(0.2)
