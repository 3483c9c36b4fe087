"""Replays a trace against a server, as a client of its own: downloads, shows, obeys handovers, and reports."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from narthex.v1 import content_pb2, event_pb2, play_service_pb2, play_service_pb2_grpc, session_pb2

from examples.game_client.bridge import Bridge
from service.demo.follower import Follower, closing_follower
from service.demo.gallery import FOURDGS, MP4, generated, write_files
from service.demo.report import forecast_rows, session_report
from service.demo.story import Story, quality_name
from service.demo.timeline import write_timeline
from service.demo.trace import Trace
from service.demo.world_file import put_world
from service.errors import InvalidInput, Unavailable

FRAME_S = 1.0 / 35.0
FORECAST_ROWS = 12
CONNECT_S = 10.0
LOST_S = 10.0


@dataclass(frozen=True)
class ReplayOptions:
    """How a trace is replayed.

    Attributes:
        speed: 1 keeps the trace's own pace; offsets are divided by it.
        max_wait_s: how long after the last event the player waits for better content at gates that are open.
        out: folder for the report, the timeline and what was generated; None for nowhere.

    Raises:
        InvalidInput: a number means nothing.
    """

    speed: float = 1.0
    max_wait_s: float = 30.0
    out: Path | None = None

    def __post_init__(self) -> None:
        if not 0.01 <= self.speed <= 1000.0:
            raise InvalidInput(f"speed: got {self.speed}, allowed 0.01 to 1000; 1 is the trace's own pace")
        if not 0.0 <= self.max_wait_s <= 3600.0:
            raise InvalidInput(f"max-wait-s: got {self.max_wait_s}, allowed 0 to 3600")


class Replay:
    """One replay of one trace. `run()` plays it and returns the report.

    Args:
        channel: to a server.
        trace: what to play.
        options: how.
        say: called with each line that people may read while it plays.
    """

    def __init__(self, channel: grpc.Channel, trace: Trace, options: ReplayOptions, say: Callable[[str], None]) -> None:
        self._channel = channel
        self._trace = trace
        self._options = options
        self._say = say
        self._lines: list[dict[str, Any]] = []
        self._opened: set[str] = set()
        self._follower: Follower | None = None

    def run(self) -> dict[str, Any]:
        """Puts the world, opens a session, plays every event at its time, waits for the ladder, and reports.

        Raises:
            InvalidInput: the server does not take the world.
            Unavailable: the server does not answer, or the session broke off.
            OSError: the folder cannot be made; nothing is played then.
        """
        if self._options.out is not None:
            self._options.out.mkdir(parents=True, exist_ok=True)
        try:
            session = self._open(put_world(self._channel, self._trace.world))
            with closing_follower(self._channel, session) as follower:
                self._follower = follower
                refused = self._play_all(session)
                self._feed(follower)
                self._close(session)
                story = follower.close()
            return self._report(story, follower, refused)
        except ConnectionError as error:
            raise Unavailable(str(error)) from error
        except grpc.RpcError as error:
            raise Unavailable(f"the server said {error.code().name}: {error.details()}") from error

    def _play_all(self, session: str) -> list[str]:
        """Plays the events and waits for the ladder; the events that the server refused, in words."""
        bridge = Bridge(self._channel, session, lambda _: None, self._note)
        try:
            self._play(bridge)
            self._wait_for_ladder(bridge)
        finally:
            refused = bridge.close()
        return refused

    def _open(self, world: str) -> str:
        profile = session_pb2.ClientProfile(formats=[FOURDGS, MP4])
        wanted = session_pb2.Session(world=world, profile=profile, players=["player-1"])
        request = play_service_pb2.CreateSessionRequest(session=wanted, request_id=str(uuid.uuid4()))
        stub = play_service_pb2_grpc.PlayServiceStub(self._channel)
        return str(stub.CreateSession(request, timeout=CONNECT_S).name)

    def _close(self, session: str) -> None:
        request = play_service_pb2.CloseSessionRequest(name=session)
        play_service_pb2_grpc.PlayServiceStub(self._channel).CloseSession(request, timeout=CONNECT_S)

    def _play(self, bridge: Bridge) -> None:
        start_s = time.monotonic()
        for event in self._trace.events:
            due_s = start_s + event.offset_s / self._options.speed
            self._frames_until(bridge, due_s)
            if isinstance(event.happened, event_pb2.GateOpened):
                self._open_gate(bridge, event.happened.gate)
            else:
                bridge.report(event.happened)
                if isinstance(event.happened, event_pb2.StateRestored):
                    self._load_save(bridge, set(event.happened.snapshot.opened_gates))
                if isinstance(event.happened, event_pb2.ChainAccepted | event_pb2.ChainAbandoned):
                    word = event.happened.DESCRIPTOR.name.removeprefix("Chain").lower()
                    self._say(f"{event.offset_s:8.1f} s  {event.happened.chain} {word}")

    def _open_gate(self, bridge: Bridge, gate: str) -> None:
        if gate in self._opened:
            bridge.report(event_pb2.GateOpened(gate=gate))
            return
        self._opened.add(gate)
        self._lines.append({"what": "opened", "gate": gate, "time_s": time.time()})
        bridge.open(gate)
        if bridge.screen.gate(gate).shown is None:
            self._say(f"            {gate} opened, nothing is ready")

    def _load_save(self, bridge: Bridge, opened: set[str]) -> None:
        """Does what a game does after a save was loaded: its gates stand as the save says."""
        for gate in sorted(self._opened - opened):
            self._opened.remove(gate)
            bridge.screen.on_close(gate)
        for gate in sorted(opened - self._opened):
            self._open_gate(bridge, gate)

    def _frames_until(self, bridge: Bridge, due_s: float) -> None:
        while (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(FRAME_S, left_s))
            bridge.frame()
            self._check_server()
        bridge.frame()

    def _check_server(self) -> None:
        """A game would play on without its server; a replay has nothing to show for it."""
        if self._follower is not None and self._follower.lost_for_s > LOST_S:
            raise Unavailable(f"the server went away: it could not be reached for {LOST_S:.0f} s")

    def _wait_for_ladder(self, bridge: Bridge) -> None:
        """Waits until every open gate shows the best that its world asks for, at most `max_wait_s`."""
        until_s = time.monotonic() + self._options.max_wait_s
        best = {
            str(gate): int(max(item.content.qualities, default=0))
            for gate, item in self._trace.world.world.gates.items()
        }
        while time.monotonic() < until_s:
            self._frames_until(bridge, time.monotonic() + FRAME_S)
            if all(bridge.screen.shown_quality(gate) >= best[gate] for gate in self._opened):
                return

    def _note(self, what: str, gate: str, content: content_pb2.ContentRef, stall_ms: float) -> None:
        quality = quality_name(content.quality)
        line = {"what": what, "gate": gate, "time_s": time.time(), "quality": quality, "stall_ms": stall_ms}
        self._lines.append(line)
        if what == "shown" and gate in self._opened:
            self._say(f"            {gate} shows {quality}" + (f" after {stall_ms:.0f} ms" if stall_ms else ""))

    def _feed(self, follower: Follower) -> None:
        for line in self._lines:
            follower.take_line(line)

    def _report(self, story: Story, follower: Follower, refused: list[str]) -> dict[str, Any]:
        report = session_report(story, follower.usage)
        report |= {
            "trace": str(self._trace.path),
            "speed": self._options.speed,
            "events_played": len(self._trace.events),
            "content_events_skipped": self._trace.skipped,
            "refused_events": refused,
        }
        for gate in report["gates"]:
            rows = list(forecast_rows(story.gates[gate["gate"]], story.last_s / FORECAST_ROWS))
            names = ("at_s", "p50_s", "p90_s", "chance")
            gate["forecast"] = [dict(zip(names, (round(value, 3) for value in row), strict=True)) for row in rows]
        if self._options.out is not None:
            self._write(story, report, self._options.out)
        return report

    def _write(self, story: Story, report: dict[str, Any], out: Path) -> None:
        for exhibit in generated(self._channel, list(story.gates.values())):
            write_files(exhibit, out)
        write_timeline(story, out / "timeline.png", f"{story.world.title or story.world.name}: {self._trace.path.name}")
        (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
