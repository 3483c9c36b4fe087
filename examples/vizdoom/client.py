"""Plays the level as a client of a Narthex server.

    python -m examples.vizdoom.client --server 127.0.0.1:50710 --world red-keep --out out/walk

`Client.frame` is all that a game does for Narthex, once a frame: report what happened (`quests.py`), say which
gate opens, and let the bridge (`examples/game_client`) take in what the server said.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import grpc
from narthex.v1 import content_pb2, play_service_pb2, play_service_pb2_grpc, quality_pb2, session_pb2

from examples.game_client.bridge import Bridge
from examples.vizdoom.game import Game, GameState
from examples.vizdoom.game_pace import PICTURE_EVERY_TICKS, TICKS_PER_S
from examples.vizdoom.level import DOORWAYS, UNITS_PER_M
from examples.vizdoom.player import Player
from examples.vizdoom.quests import QUESTS, QuestLog
from examples.vizdoom.recorder import Recorder

PICTURES_WITHIN_M = 7.0


class Client:
    """The level's quests and doors on one side, a session on the other."""

    def __init__(self, channel: grpc.Channel, session: str, recorder: Recorder) -> None:
        self._recorder = recorder
        self._quests = [QuestLog(quest) for quest in QUESTS]
        self._open: set[str] = set()
        self.bridge = Bridge(channel, session, recorder.on_event, self._note)

    def frame(self, state: GameState) -> None:
        """Everything that this game does for Narthex in one frame. Raises ConnectionError as the bridge does."""
        for quest in self._quests:
            for event in quest.events(state):
                self.bridge.report(event)
        for gate in DOORWAYS:
            if state.is_open(gate) and gate not in self._open:
                self._open.add(gate)
                self._recorder.note("opened", gate=gate, tick=state.tick)
                self.bridge.open(gate)
        self.bridge.frame()

    def _note(self, what: str, gate: str, content: content_pb2.ContentRef, stall_ms: float) -> None:
        quality = quality_pb2.Quality.Name(content.quality).removeprefix("QUALITY_")
        names = {"segment": content.segment, "scene": content.scene, "quality": quality}
        self._recorder.note(what, gate=gate, stall_ms=round(stall_ms, 2), **names)


class Photographer:
    """Keeps the game's own pictures around each opening: from shortly before until the player turns back."""

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
            if gate in self._entered and not 50 < state.angle_deg < 130:
                self._done.add(gate)
            elif state.is_open(gate):
                self._recorder.keep(state, game.screen())
            else:
                self._recorder.keep_in_mind(gate, state, game.screen())


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the level through; 0 at its end, 1 where the server failed."""
    options = _parser().parse_args(arguments)
    recorder = Recorder(options.out, options.world_file, sys.stdout)
    try:
        with grpc.insecure_channel(options.server) as channel:
            session = open_session(channel, options.world, options.session)
            recorder.note("session", session=session)
            refused = _play(channel, session, recorder, options)
            close = play_service_pb2.CloseSessionRequest(name=session)
            play_service_pb2_grpc.PlayServiceStub(channel).CloseSession(close, timeout=10.0)
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
    bridge, full = client.bridge, quality_pb2.QUALITY_FULL
    player = Player(
        options.seed,
        red_is_full=lambda: bridge.screen.best_ready("red_gate") >= full,
        yellow_is_worked_on=lambda: bridge.is_worked_on("yellow_gate"),
        blue_is_full=lambda: bridge.screen.shown_quality("blue_gate") >= full,
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
        refused = bridge.close()
    return refused


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.vizdoom.client", description="Plays the level as a client of a Narthex server."
    )
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--world", default="red-keep", help="id of the world, put before (default: red-keep)")
    parser.add_argument("--session", default="", help="id of the session; without it the server chooses one")
    parser.add_argument("--out", type=Path, default=Path("out/vizdoom"), help="folder of the recording")
    parser.add_argument("--world-file", default="world.yaml", help="what the trace names as its world")
    parser.add_argument("--speed", type=float, default=1.0, help="1 is human pace")
    parser.add_argument("--seed", type=int, default=1, help="of the think times and of the game")
    parser.add_argument("--longest-wait-s", type=float, default=90.0, help="end of each wait of the player")
    return parser


if __name__ == "__main__":
    sys.exit(main())
