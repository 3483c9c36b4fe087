"""Follows one session over gRPC, in a thread: updates as they come, and twice a second the session and its jobs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from narthex.v1 import (
    design_service_pb2,
    design_service_pb2_grpc,
    operate_service_pb2,
    operate_service_pb2_grpc,
    play_service_pb2,
    play_service_pb2_grpc,
    session_pb2,
)

from examples.game_client.updates import SessionWatch
from service.demo.story import Story, epoch_s

UPDATE_S = 0.1
POLL_EVERY = 5
LATE_UPDATES_S = 0.5


class Follower:
    """Keeps `story` up to date until `close()`. `read(look)` lets `look(follower)` see it in peace.

    Attributes:
        story: what has been learnt so far.
        session: as GetSession told it last.
        jobs: the jobs that run now, as OperateService told last.
        usage: of this session, as OperateService told last.
    """

    def __init__(self, channel: grpc.Channel, session: str) -> None:
        self._play = play_service_pb2_grpc.PlayServiceStub(channel)
        self._operate = operate_service_pb2_grpc.OperateServiceStub(channel)
        self._name = session
        self.session = self._play.GetSession(play_service_pb2.GetSessionRequest(name=session), timeout=10.0)
        request = design_service_pb2.GetWorldRequest(name=self.session.world)
        world = design_service_pb2_grpc.DesignServiceStub(channel).GetWorld(request, timeout=10.0)
        self.story = Story(world, epoch_s(self.session.create_time))
        self.story.take_session(self.session)
        self.jobs: list[operate_service_pb2.Job] = []
        self.usage = operate_service_pb2.Usage()
        self._lost_s: float | None = None
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._watch = SessionWatch(channel, session)
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
        self._thread.start()

    def read(self, look: Callable[[Follower], Any]) -> Any:
        """What `look` returns; nothing changes meanwhile."""
        with self._lock:
            return look(self)

    @property
    def lost_for_s(self) -> float:
        """Seconds since the server could not be reached any more; 0 while it can."""
        lost_s = self._lost_s
        return 0.0 if lost_s is None else time.monotonic() - lost_s

    def take_line(self, line: Mapping[str, Any]) -> None:
        """Adds a line of the client's recording to the story."""
        with self._lock:
            self.story.take_line(line)

    def close(self) -> Story:
        """The whole story: waits for updates that are on their way, asks for the usage once more, and ends."""
        self._closing.wait(LATE_UPDATES_S)
        self.stop()
        self._take_updates()
        self._poll()
        return self.story

    def stop(self) -> None:
        """Ends at once; may be called again."""
        self._closing.set()
        self._watch.close()
        self._thread.join(10.0)

    def _follow(self) -> None:
        rounds = 0
        while not self._closing.wait(UPDATE_S):
            self._take_updates()
            rounds += 1
            if rounds % POLL_EVERY == 0:
                self._poll()

    def _take_updates(self) -> None:
        while True:
            try:
                update = self._watch.updates.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                self.story.take(update)

    def _poll(self) -> None:
        """Asks the server; where it does not answer, the last answer stays (its end is noticed elsewhere)."""
        running = operate_service_pb2.ListJobsRequest(page_size=20, state=session_pb2.WORK_STATE_RUNNING)
        try:
            session = self._play.GetSession(play_service_pb2.GetSessionRequest(name=self._name), timeout=5.0)
            jobs = self._operate.ListJobs(running, timeout=5.0).jobs
            usage = self._operate.GetUsage(operate_service_pb2.GetUsageRequest(session=self._name), timeout=5.0)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and self._lost_s is None:
                self._lost_s = time.monotonic()
            return
        self._lost_s = None
        with self._lock:
            self.session, self.jobs, self.usage = session, list(jobs), usage
            self.story.take_session(session)


@contextmanager
def closing_follower(channel: grpc.Channel, session: str) -> Iterator[Follower]:
    """A follower that has stopped afterwards, whatever happened."""
    follower = Follower(channel, session)
    try:
        yield follower
    finally:
        follower.stop()
