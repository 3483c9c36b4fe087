"""Turns the game's own state (positions, keys, door heights) into events of Narthex."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.message import Message
from narthex.v1 import event_pb2

from examples.vizdoom.game import GameState
from examples.vizdoom.game_pace import TICKS_PER_S
from examples.vizdoom.level import DOORWAYS, KEYS, UNITS_PER_M

WALK_UNITS_PER_S = 137.0
REPORT_EVERY_S = 0.5
NEAR_GATE_M = 8.0

Place = Callable[[GameState], bool]


@dataclass(frozen=True)
class Quest:
    """A chain of the world as the level knows it: fetch the key, carry it to the door.

    Attributes:
        chain, fetch, carry: ids of the chain and of its two tasks in world.yaml.
        key: the game's name of the key.
        offered: where the player takes the quest on.
        given_up: where the player, having no key yet, gives it up.
        gate: whose door the key opens; None where the level's door has no place in the recording.
    """

    chain: str
    fetch: str
    carry: str
    key: str
    offered: Place
    given_up: Place
    gate: str | None = None


def _sees_yellow_skull(state: GameState) -> bool:
    """At the bend of the passage."""
    return state.y < -330 and state.x > 160


def _turns_from_yellow_skull(state: GameState) -> bool:
    """Back to the west, from where the player came."""
    return 110 < state.angle_deg < 225


def _before_blue_door(state: GameState) -> bool:
    return 104 < state.y < 240 and abs(state.x - DOORWAYS["blue_gate"].x) < 56


QUESTS = (
    Quest("red_door", "find_red_key", "carry_red_key", "RedSkull", lambda _: True, lambda _: False, "red_gate"),
    Quest(
        "yellow_door",
        "find_yellow_key",
        "carry_yellow_key",
        "YellowSkull",
        _sees_yellow_skull,
        _turns_from_yellow_skull,
    ),
    Quest("blue_door", "find_blue_key", "carry_blue_key", "BlueSkull", _before_blue_door, lambda _: False, "blue_gate"),
)


class QuestLog:
    """Follows one quest. `events(state)` yields what has just happened.

    Opening a gate is not told here but by the screen, which must decide in the same frame what to show.
    """

    def __init__(self, quest: Quest) -> None:
        self.quest = quest
        self._stage = "offered"
        self._next_report = 0.0

    def events(self, state: GameState) -> Iterator[Message]:
        """What the change to `state` means for this quest, in order."""
        quest = self.quest
        opened = quest.gate is not None and state.is_open(quest.gate)
        if self._stage == "offered" and quest.offered(state):
            self._stage = "fetch"
            yield event_pb2.ChainAccepted(chain=quest.chain)
            yield event_pb2.TaskStarted(chain=quest.chain, task=quest.fetch)
        elif self._stage == "fetch" and quest.key in state.keys:
            self._stage = "carry"
            yield event_pb2.TaskCompleted(chain=quest.chain, task=quest.fetch)
            yield event_pb2.TaskStarted(chain=quest.chain, task=quest.carry)
        elif self._stage == "fetch" and quest.given_up(state):
            self._stage = "over"
            yield event_pb2.ChainAbandoned(chain=quest.chain)
        elif self._stage in ("fetch", "carry") and opened:
            if self._stage == "carry":
                yield event_pb2.TaskCompleted(chain=quest.chain, task=quest.carry)
            self._stage = "over"
        if self._stage in ("fetch", "carry"):
            yield from self._progress(state)

    def _progress(self, state: GameState) -> Iterator[Message]:
        """Twice a second the game's own, naive estimate: distance over walking speed. Turning takes time too."""
        now_s = state.tick / TICKS_PER_S
        if now_s < self._next_report:
            return
        self._next_report = now_s + REPORT_EVERY_S
        task = self.quest.fetch if self._stage == "fetch" else self.quest.carry
        eta_s = math.dist((state.x, state.y), self._goal()) / WALK_UNITS_PER_S
        yield event_pb2.TaskProgressed(chain=self.quest.chain, task=task, eta_s=round(eta_s, 2))
        if self.quest.gate is not None:
            distance_m = math.dist((state.x, state.y), self._door()) / UNITS_PER_M
            if distance_m < NEAR_GATE_M:
                yield event_pb2.GateApproached(gate=self.quest.gate, distance_m=round(distance_m, 2))

    def _goal(self) -> tuple[float, float]:
        return KEYS[self.quest.key] if self._stage == "fetch" else self._door()

    def _door(self) -> tuple[float, float]:
        door = DOORWAYS[self.quest.gate or "blue_gate"]
        return door.x, door.y
