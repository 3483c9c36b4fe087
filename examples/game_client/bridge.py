"""Everything that a game does for Narthex: say what happened, and once a frame take in what the server said."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from narthex.v1 import event_pb2, play_service_pb2_grpc

from examples.game_client.downloads import Downloads, DownloadThread
from examples.game_client.reporter import Reporter
from examples.game_client.screen import Note, Screen
from examples.game_client.updates import SessionWatch

Item = TypeVar("Item")


class Bridge:
    """Connects a running game to its session. Only `report` may be called from other threads.

    Args:
        channel: to the server.
        session: resource name, sessions/{session}.
        on_event: called with every event as it is numbered; a trace is written there.
        note: called with what becomes ready, fades in and is shown (see `Screen`).
    """

    def __init__(
        self, channel: grpc.Channel, session: str, on_event: Callable[[event_pb2.Event], None], note: Note
    ) -> None:
        self._reporter = Reporter(play_service_pb2_grpc.PlayServiceStub(channel), session, on_event)
        self._watch = SessionWatch(channel, session)
        self._downloads = DownloadThread(Downloads(channel))
        self._worked_on: set[str] = set()
        self.screen = Screen(self._reporter.report, note)

    def report(self, happened: Message) -> None:
        """Reports one thing that happened, e.g. `event_pb2.TaskStarted(chain="red_door", task="find_red_key")`."""
        self._reporter.report(happened)

    def open(self, gate: str) -> None:
        """Reports that a gate opens, and shows the best that is ready, in this very frame."""
        self.screen.on_open(gate, time.monotonic())

    def frame(self) -> None:
        """Takes in what the server said since the last frame, and moves cross-fades on.

        Raises:
            ConnectionError: the server takes no more events of this session, or there is no such session.
        """
        now_s = time.monotonic()
        for announced in _taken(self._downloads.ready):
            self.screen.on_ready(announced, now_s)
        for announced, reason in _taken(self._downloads.failed):
            self.screen.on_failed(announced, reason)
        for update in _taken(self._watch.updates):
            kind = update.WhichOneof("kind")
            if kind == "content_announced":
                self._downloads.ask(update.content_announced)
            elif kind == "handover":
                self.screen.on_handover(update.handover, now_s)
            elif kind == "work_changed" and update.work_changed.chunks_done > 0:
                self._worked_on.add(update.work_changed.gate)
        self.screen.tick(now_s)
        if failure := self._reporter.failed or self._watch.failure:
            raise ConnectionError(f"the session cannot go on: {failure}")

    def is_worked_on(self, gate: str) -> bool:
        """True once the server has said that work for this gate is past its first chunk."""
        return gate in self._worked_on

    def close(self) -> list[str]:
        """Sends what waits and ends the threads; the events that the server refused, in words."""
        self._reporter.close()
        self._watch.close()
        self._downloads.close()
        return self._reporter.refused


def _taken(items: queue.SimpleQueue[Item]) -> Iterator[Item]:
    while not items.empty():
        yield items.get()
