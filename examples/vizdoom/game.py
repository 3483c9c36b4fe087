"""ViZDoom without a window: one call a tick, and the part of the game's state that the client needs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vizdoom

from examples.vizdoom.level import DOORWAYS, KEYS, MAP_NAME, level

OPEN_HEIGHT = 1.0


@dataclass(frozen=True)
class Buttons:
    """What the player's hands do in one tick.

    Attributes:
        forward: strength of the walk; 12 is a brisk walk, 25 Doom's own, negative goes back.
        turn_deg: turn to the right in degrees.
        use: whether the use key is down.
    """

    forward: float = 0.0
    turn_deg: float = 0.0
    use: bool = False


STAND = Buttons()


@dataclass(frozen=True)
class GameState:
    """What the game itself says after a tick.

    Attributes:
        tick: number of the tick; 35 of them are a second of the game.
        x, y: where the player stands, map units; `eye` is the height of the eyes above the hall's floor.
        angle_deg: where the player looks; 0 is east, 90 north.
        keys: names of the keys that the player holds.
        doors: gate id -> how far its door is up, map units.
    """

    tick: int
    x: float
    y: float
    eye: float
    angle_deg: float
    keys: frozenset[str]
    doors: Mapping[str, float]

    def is_open(self, gate: str) -> bool:
        """True from the first tick in which one can see past the door."""
        return self.doors[gate] > OPEN_HEIGHT


class Game:
    """A running game. Use as a context manager; `step` plays one tick.

    Args:
        seed: of the game's own random numbers.
        width, height: of the screen; must be a size that ViZDoom knows.
    """

    def __init__(self, seed: int, width: int = 640, height: int = 360) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="narthex-vizdoom-")
        wad = Path(self._folder.name) / "door.wad"
        wad.write_bytes(level())
        self._game = _configured(wad, seed, width, height)
        self._tick = 0
        try:
            with contextlib.chdir(self._folder.name):  # ViZDoom leaves a folder where it is started
                self._game.init()
        except Exception:
            self._folder.cleanup()
            raise
        self._leaves = self._find_leaves()

    def __enter__(self) -> Game:
        return self

    def __exit__(self, *_: object) -> None:
        self._game.close()
        self._folder.cleanup()

    def step(self, buttons: Buttons) -> GameState:
        """The state after one more tick with these buttons held."""
        self._game.make_action([buttons.forward, buttons.turn_deg, 1.0 if buttons.use else 0.0])
        self._tick += 1
        return self.state()

    def state(self) -> GameState:
        """The state now."""
        state = self._game.get_state()
        x, y, eye, angle = (float(value) for value in np.asarray(state.game_variables))
        lying = {thing.name for thing in state.objects}
        doors = {
            gate: float(state.sectors[index].ceiling_height - state.sectors[index].floor_height)
            for gate, index in self._leaves.items()
        }
        return GameState(self._tick, x, y, eye, angle, frozenset(set(KEYS) - lying), doors)

    def screen(self) -> np.ndarray:
        """The picture that the player sees, (H, W, 3) uint8 sRGB."""
        return np.asarray(self._game.get_state().screen_buffer).copy()

    def _find_leaves(self) -> dict[str, int]:
        """Gate id -> index of the sector that is its door: the one whose lines lie where the leaf hangs."""
        leaves = {}
        for gate, door in DOORWAYS.items():
            for index, sector in enumerate(self._game.get_state().sectors):
                corners = {(line.x1, line.y1) for line in sector.lines} | {(line.x2, line.y2) for line in sector.lines}
                ys = {y for _, y in corners}
                if ys == {door.leaf_y, door.y} and any(abs(x - door.x) <= door.width for x, _ in corners):
                    leaves[gate] = index
        if set(leaves) != set(DOORWAYS):
            raise RuntimeError(f"the level has no door sector for {sorted(set(DOORWAYS) - set(leaves))}")
        return leaves


def _configured(wad: Path, seed: int, width: int, height: int) -> vizdoom.DoomGame:
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_doom_scenario_path(str(wad))
    game.set_doom_map(MAP_NAME)
    game.set_doom_config_path(str(wad.with_name("vizdoom.ini")))
    game.set_seed(seed)
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{width}X{height}"))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    for hide in ("hud", "weapon", "crosshair", "decals", "particles", "messages"):
        getattr(game, f"set_render_{hide}")(False)
    game.set_sectors_info_enabled(True)
    game.set_objects_info_enabled(True)
    variable, button = vizdoom.GameVariable, vizdoom.Button
    game.set_available_game_variables(
        [variable.POSITION_X, variable.POSITION_Y, variable.CAMERA_POSITION_Z, variable.ANGLE]
    )
    game.set_available_buttons([button.MOVE_FORWARD_BACKWARD_DELTA, button.TURN_LEFT_RIGHT_DELTA, button.USE])
    game.set_episode_timeout(0)
    game.set_mode(vizdoom.Mode.PLAYER)
    return game
