"""A scripted player: walks, turns, looks and hesitates like somebody at a keyboard, by real buttons only."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from examples.vizdoom.game import STAND, Buttons, GameState
from examples.vizdoom.game_pace import TICKS_PER_S
from examples.vizdoom.level import DOORWAYS, KEYS, Doorway

WALK = 12.0
STROLL = 6.0
TURN_DEG_PER_TICK = 5.5
NEAR_UNITS = 20.0
LONGEST_THOUGHT_S = 5.0
LONGEST_WALK_S = 30.0

Hands = Iterator[Buttons]
Knows = Callable[[], bool]


class Player:
    """Plays the level through. `hands()` yields the buttons of one tick after another.

    The way is fixed, the hesitation is not: think times are drawn from a heavy-tailed distribution, as those of
    people are. In three places the player waits for what somebody in front of a screen would see, so that slow
    and fast machines meet the same story; each wait has an end:

    * before the red door until `red_is_full()`: the player reads the inscription;
    * in sight of the yellow skull until `yellow_is_worked_on()`: the player hesitates, and turns back;
    * before the open blue door until `blue_is_full()`: the player looks at what appears.

    Args:
        seed: of the think times.
        red_is_full, yellow_is_worked_on, blue_is_full: what the client knows; asked once a tick.
        longest_wait_s: end of each of those waits, in seconds of the game at its usual speed.
    """

    def __init__(
        self,
        seed: int,
        red_is_full: Knows,
        yellow_is_worked_on: Knows,
        blue_is_full: Knows,
        longest_wait_s: float = 90.0,
    ) -> None:
        self._random = random.Random(seed)
        self._red_is_full = red_is_full
        self._yellow_is_worked_on = yellow_is_worked_on
        self._blue_is_full = blue_is_full
        self._longest_wait_s = longest_wait_s
        self._now = GameState(0, 0.0, 0.0, 0.0, 90.0, frozenset(), {})

    def see(self, state: GameState) -> None:
        """Tells the player what the game says now; to be called before each step of `hands()`."""
        self._now = state

    def hands(self) -> Hands:
        """The buttons of every tick, from the start to the end of the level."""
        yield from self._fetch_red_key()
        yield from self._through_red_door()
        yield from self._side_branch()
        yield from self._through_blue_door()

    def think_s(self, median_s: float) -> float:
        """Seconds of hesitation: log-normal, and one time in eight a Pareto tail (shape 1.5), at most 5 s."""
        if self._random.random() < 0.125:
            drawn = median_s * self._random.paretovariate(1.5)
        else:
            drawn = self._random.lognormvariate(math.log(median_s), 0.5)
        return min(drawn, LONGEST_THOUGHT_S)

    def _fetch_red_key(self) -> Hands:
        yield from self._think(1.2)
        yield from self._turn_to(*KEYS["RedSkull"])
        yield from self._walk((-300, 0), (-590, 0))
        yield from self._think(0.7)
        yield from self._walk((-640, -60), KEYS["RedSkull"])
        yield from self._think(0.8)
        yield from self._walk((-625, -20), (-560, 0), (-300, 0))

    def _through_red_door(self) -> Hands:
        door = DOORWAYS["red_gate"]
        yield from self._walk((door.x, 90), (door.x, 180))
        yield from self._turn_to(door.x, 1000)
        yield from self._think(0.8)
        yield from self._wait_until(self._red_is_full)
        yield from self._walk((door.x, 236), speed=STROLL)
        yield from self._look_into(door, seconds=0.9)
        yield from self._use()
        yield from self._look_into(door, seconds=1.2)
        yield from self._visit(door)

    def _side_branch(self) -> Hands:
        yield from self._walk((150, -40), (240, -130))
        yield from self._think(0.6)
        yield from self._walk((240, -370))
        yield from self._turn_to(*KEYS["YellowSkull"])
        yield from self._walk((330, -360))
        yield from self._wait_until(self._yellow_is_worked_on)
        yield from self._turn_to(-1000, -360)
        yield from self._think(0.4)
        yield from self._walk((240, -350), (240, -130))

    def _through_blue_door(self) -> Hands:
        door = DOORWAYS["blue_gate"]
        yield from self._walk((150, -60), (door.x, 70))
        yield from self._turn_to(door.x, 1000)
        yield from self._think(0.6)
        yield from self._walk((door.x, 180))
        yield from self._wait_until(self._blue_is_full)
        yield from self._look_into(door, seconds=2.0)
        yield from self._visit(door)

    def _visit(self, door: Doorway) -> Hands:
        """Walks in, looks to both sides, and comes out again."""
        yield from self._walk((door.x, door.y + 34), speed=STROLL)
        for turn in (16.0, -32.0, 16.0):
            yield from self._turn_by(turn, TURN_DEG_PER_TICK / 4)
        yield from self._think(0.6)
        yield from self._turn_to(door.x, 0)
        yield from self._walk((door.x, 190))

    def _look_into(self, door: Doorway, seconds: float) -> Hands:
        yield from self._turn_to(door.x, 1000)
        yield from self._stand(seconds)

    def _think(self, median_s: float) -> Hands:
        yield from self._stand(self.think_s(median_s))

    def _stand(self, seconds: float) -> Hands:
        for _ in range(round(seconds * TICKS_PER_S)):
            yield STAND

    def _wait_until(self, condition: Knows) -> Hands:
        for _ in range(round(self._longest_wait_s * TICKS_PER_S)):
            if condition():
                return
            yield STAND

    def _use(self) -> Hands:
        for down in (True, True, False):
            yield Buttons(use=down)

    def _walk(self, *points: tuple[float, float], speed: float = WALK) -> Hands:
        """Walks over the points, turning on the way; gives up a point that is not reached in half a minute."""
        for x, y in points:
            for _ in range(round(LONGEST_WALK_S * TICKS_PER_S)):
                if math.dist((self._now.x, self._now.y), (x, y)) < NEAR_UNITS:
                    break
                turn = self._turn_towards(x, y)
                ahead = speed if abs(turn) < TURN_DEG_PER_TICK else speed * 0.15
                yield Buttons(ahead, _limited(turn, TURN_DEG_PER_TICK))

    def _turn_to(self, x: float, y: float) -> Hands:
        while abs(turn := self._turn_towards(x, y)) > 0.2:
            yield Buttons(turn_deg=_limited(turn, TURN_DEG_PER_TICK))

    def _turn_by(self, degrees: float, degrees_per_tick: float) -> Hands:
        for _ in range(round(abs(degrees) / degrees_per_tick)):
            yield Buttons(turn_deg=math.copysign(degrees_per_tick, degrees))

    def _turn_towards(self, x: float, y: float) -> float:
        """Degrees to the right by which the player must turn to face the point, -180 to 180."""
        bearing = math.degrees(math.atan2(y - self._now.y, x - self._now.x))
        return (self._now.angle_deg - bearing + 180.0) % 360.0 - 180.0


def _limited(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
