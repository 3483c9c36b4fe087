"""Reports what happens in the game, in order, safely repeated, and without ever making the game wait."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import event_pb2, play_service_pb2, play_service_pb2_grpc

BATCH = 64
FIELD_OF = {
    field.message_type.name: field.name
    for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["kind"].fields
    if field.message_type is not None
}


class Reporter:
    """Numbers events and sends them from a thread of its own; `report` returns at once.

    A batch that failed for a passing reason is sent again as it was: ids and numbers are the same, so the
    server applies it once. An event that the server refuses is remembered in `refused` and left behind.

    Args:
        stub: of the PlayService.
        session: resource name, sessions/{session}.
        on_event: called with every event as it is numbered (the trace listens here).
    """

    def __init__(
        self,
        stub: play_service_pb2_grpc.PlayServiceStub,
        session: str,
        on_event: Callable[[event_pb2.Event], None],
    ) -> None:
        self._stub = stub
        self._session = session
        self._on_event = on_event
        self._lock = threading.Lock()
        self._sequence = 0
        self._waiting: queue.SimpleQueue[event_pb2.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send_all, name="reporter", daemon=True)
        self.refused: list[str] = []
        self.failed: str | None = None
        self._thread.start()

    def report(self, kind: Message) -> None:
        """Takes one thing that happened, for example `event_pb2.GateOpened(gate="red_gate")`."""
        with self._lock:
            self._sequence += 1
            event = event_pb2.Event(event_id=str(uuid.uuid4()), sequence=self._sequence, event_time=_now())
            getattr(event, FIELD_OF[kind.DESCRIPTOR.name]).CopyFrom(kind)
            self._on_event(event)
            self._waiting.put(event)

    def close(self, timeout_s: float = 10.0) -> None:
        """Sends what waits and ends the thread."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _send_all(self) -> None:
        more = True
        while more:
            batch: list[event_pb2.Event] = []
            while more and len(batch) < BATCH and not (batch and self._waiting.empty()):
                event = self._waiting.get()
                more = event is not None
                if event is not None:
                    batch.append(event)
            self._send(batch)

    def _send(self, batch: list[event_pb2.Event]) -> None:
        pause_s = 0.1
        while batch and self.failed is None:
            request = play_service_pb2.ReportEventsRequest(session=self._session, events=batch)
            try:
                self._stub.ReportEvents(request, timeout=10.0)
                return
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    time.sleep(pause_s)
                    pause_s = min(2.0, pause_s * 2)
                elif error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
                    self.refused.append(str(error.details()))
                    batch = self._behind_refused(batch)
                else:
                    self.failed = f"{error.code().name}: {error.details()}"

    def _behind_refused(self, batch: list[event_pb2.Event]) -> list[event_pb2.Event]:
        """The events that the server has not looked at: those behind the one that it refused.

        Its number is spent, so the session's own count says where to go on.
        """
        session = self._stub.GetSession(play_service_pb2.GetSessionRequest(name=self._session), timeout=10.0)
        left = [event for event in batch if event.sequence > session.applied_sequence]
        return left if len(left) < len(batch) else batch[1:]


def _now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp
