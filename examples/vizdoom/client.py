"""Plays the level as a client of a Narthex server.

    python -m examples.vizdoom.client --server 127.0.0.1:50710 --world vizdoom --out out/walk

This is all that a game does for Narthex, once a frame: report what happened (`quests.py`), take in what the
server said (`watcher.py`), and decide what stands behind an open gate (`screen.py`).
"""

from __future__ import annotations

import argparse
import queue
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import grpc
from narthex.v1 import content_pb2, play_service_pb2, play_service_pb2_grpc, quality_pb2, session_pb2

from examples.vizdoom.game import TICKS_PER_S, Game, GameState
from examples.vizdoom.level import DOORWAYS, UNITS_PER_M
from examples.vizdoom.player import Player
from examples.vizdoom.quests import QUESTS, QuestLog
from examples.vizdoom.recorder import PICTURE_EVERY_TICKS, Recorder
from examples.vizdoom.reporter import Reporter
from examples.vizdoom.screen import Screen
from examples.vizdoom.watcher import Watcher

PICTURES_WITHIN_M = 7.0
Item = TypeVar("Item")


class Client:
    """The bridge between a running game and a session."""

    def __init__(self, channel: grpc.Channel, session: str, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reporter = Reporter(play_service_pb2_grpc.PlayServiceStub(channel), session, recorder.on_event)
        self._watcher = Watcher(channel, session)
        self._quests = [QuestLog(quest) for quest in QUESTS]
        self._working: set[str] = set()
        self.screen = Screen(self._reporter.report, self._note)

    def frame(self, state: GameState) -> None:
        """Everything that a game does for Narthex in one frame.

        Raises:
            ConnectionError: the server refused the session's events for good.
        """
        now_s = time.monotonic()
        for quest in self._quests:
            for event in quest.events(state):
                self._reporter.report(event)
        self._hear(now_s)
        for gate in DOORWAYS:
            if state.is_open(gate) and self.screen.gate(gate).opened_s is None:
                self._recorder.note("opened", gate=gate, tick=state.tick)
                self.screen.on_open(gate, now_s)
        self.screen.tick(now_s)
        if self._reporter.failed:
            raise ConnectionError(f"the server no longer takes events: {self._reporter.failed}")

    def is_worked_on(self, gate: str) -> bool:
        """True once the server has said that work for this gate has come further than its first chunk."""
        return gate in self._working

    def close(self) -> list[str]:
        """Ends the threads; the events that the server refused, in words."""
        self._watcher.close()
        self._reporter.close()
        return self._reporter.refused

    def _hear(self, now_s: float) -> None:
        for announced in _all(self._watcher.ready):
            self.screen.on_ready(announced, now_s)
        for announced, reason in _all(self._watcher.failed):
            self.screen.on_failed(announced, reason)
        for update in _all(self._watcher.updates):
            kind = update.WhichOneof("kind")
            if kind == "handover":
                self.screen.on_handover(update.handover, now_s)
            elif kind == "work_changed" and update.work_changed.chunks_done > 0:
                self._working.add(update.work_changed.gate)

    def _note(self, what: str, gate: str, content: content_pb2.ContentRef, stall_ms: float) -> None:
        quality = quality_pb2.Quality.Name(content.quality).removeprefix("QUALITY_")
        names = {"segment": content.segment, "scene": content.scene, "quality": quality}
        self._recorder.note(what, gate=gate, stall_ms=round(stall_ms, 2), **names)


class Photographer:
    """Keeps the game's own pictures around each opening: from shortly before until the player has left the room."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._entered: set[str] = set()
        self._done: set[str] = set()

    def frame(self, game: Game, state: GameState) -> None:
        """Takes a picture where there is something to see."""
        if state.tick % PICTURE_EVERY_TICKS:
            return
        for gate, door in DOORWAYS.items():
            away_m = (door.y - state.y) / UNITS_PER_M
            if gate in self._done or abs(state.x - door.x) > door.width or away_m > PICTURES_WITHIN_M:
                continue
            if state.y > door.y:
                self._entered.add(gate)
            if gate in self._entered and (state.y < door.front_y or not 20 < state.angle_deg < 160):
                self._done.add(gate)
            elif state.is_open(gate):
                self._recorder.keep(state, game.screen())
            else:
                self._recorder.keep_in_mind(state, game.screen())


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the level through; 0 at its end, 1 where the server or the game failed."""
    options = _parser().parse_args(arguments)
    recorder = Recorder(options.out, options.world_file, sys.stdout)
    try:
        with grpc.insecure_channel(options.server) as channel:
            session = open_session(channel, options.world, options.session)
            recorder.note("session", session=session)
            refused = _play(channel, session, recorder, options)
            play_service_pb2_grpc.PlayServiceStub(channel).CloseSession(
                play_service_pb2.CloseSessionRequest(name=session), timeout=10.0
            )
        recorder.note("end", refused=refused, pictures_dropped=recorder.pictures_dropped)
    except grpc.RpcError as error:
        print(f"the server said {error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except ConnectionError as error:
        print(str(error), file=sys.stderr)
        return 1
    finally:
        recorder.close()
    return 0


def open_session(channel: grpc.Channel, world: str, session_id: str) -> str:
    """Resource name of a new session of a world that was put before."""
    profile = session_pb2.ClientProfile(formats=["model/vnd.4dgs", "video/mp4"])
    request = play_service_pb2.CreateSessionRequest(
        session=session_pb2.Session(world=f"worlds/{world}", profile=profile, players=["player-1"]),
        session_id=session_id,
        request_id=str(uuid.uuid4()),
    )
    return str(play_service_pb2_grpc.PlayServiceStub(channel).CreateSession(request, timeout=10.0).name)


def _play(channel: grpc.Channel, session: str, recorder: Recorder, options: argparse.Namespace) -> list[str]:
    client = Client(channel, session, recorder)
    photographer = Photographer(recorder)
    full, screen = quality_pb2.QUALITY_FULL, client.screen
    player = Player(
        options.seed,
        red_is_full=lambda: screen.best_ready("red_gate") >= full,
        yellow_is_worked_on=lambda: client.is_worked_on("yellow_gate"),
        blue_is_full=lambda: screen.shown_quality("blue_gate") >= full,
        longest_wait_s=options.longest_wait_s * options.speed,
    )
    tick_s = 1.0 / (TICKS_PER_S * options.speed)
    try:
        with Game(options.seed) as game:
            player.see(game.state())
            due_s = time.monotonic()
            for buttons in player.hands():
                state = game.step(buttons)
                player.see(state)
                client.frame(state)
                photographer.frame(game, state)
                due_s = max(due_s + tick_s, time.monotonic() - tick_s)
                time.sleep(max(0.0, due_s - time.monotonic()))
    finally:
        refused = client.close()
    return refused


def _all(items: queue.SimpleQueue[Item]) -> Iterator[Item]:
    while not items.empty():
        yield items.get()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.vizdoom.client", description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--world", default="vizdoom", help="id of the world, put before (default: vizdoom)")
    parser.add_argument("--session", default="", help="id of the session; without it the server chooses one")
    parser.add_argument("--out", type=Path, default=Path("out/vizdoom"), help="folder of the recording")
    parser.add_argument("--world-file", default="world.yaml", help="what the trace names as its world")
    parser.add_argument("--speed", type=float, default=1.0, help="1 is human pace")
    parser.add_argument("--seed", type=int, default=1, help="of the think times and of the game")
    parser.add_argument("--longest-wait-s", type=float, default=60.0, help="end of each wait of the player")
    return parser


if __name__ == "__main__":
    sys.exit(main())
