"""The whole level played in real game ticks, without a server: the game says what happened, nothing is mocked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message
from narthex.v1 import event_pb2

from examples.vizdoom.client import Photographer
from examples.vizdoom.game import Buttons, Game, GameState
from examples.vizdoom.level import DOORWAYS, UNITS_PER_M
from examples.vizdoom.player import Player
from examples.vizdoom.quests import QUESTS, QuestLog
from examples.vizdoom.recorder import Recorder, png
from service.demo.portal import GameFrame, frames_of, game_cameras, opening_mask


@dataclass
class Walk:
    states: list[GameState] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)
    folder: Path = Path()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    done = Walk(folder=tmp_path_factory.mktemp("walk"))
    recorder = Recorder(done.folder, "world.yaml", None)
    photographer = Photographer(recorder)
    quests = [QuestLog(quest) for quest in QUESTS]
    with Game(seed=1) as game:
        player = Player(1, lambda: True, lambda: True, lambda: True)
        player.see(game.state())
        for buttons in player.hands():
            state = game.step(buttons)
            player.see(state)
            done.states.append(state)
            done.events += [event for quest in quests for event in quest.events(state)]
            photographer.frame(game, state)
    recorder.close()
    yield done


def names(walk: Walk) -> list[str]:
    told = (
        event for event in walk.events if not isinstance(event, event_pb2.TaskProgressed | event_pb2.GateApproached)
    )
    return [f"{event.DESCRIPTOR.name} {getattr(event, 'task', '') or event.chain}" for event in told]  # type: ignore[attr-defined]


def test_the_player_opens_the_red_door_with_its_key_and_the_blue_one_without(walk: Walk) -> None:
    red = next(state for state in walk.states if state.is_open("red_gate"))
    blue = next(state for state in walk.states if state.is_open("blue_gate"))
    assert red.keys == {"RedSkull"} and blue.keys == {"RedSkull"}
    assert red.tick < blue.tick


def test_the_walk_takes_about_a_minute_of_the_game(walk: Walk) -> None:
    assert 40 * 35 < walk.states[-1].tick < 80 * 35


def test_the_player_enters_both_rooms_and_never_jumps(walk: Walk) -> None:
    for gate, door in DOORWAYS.items():
        inside = [state for state in walk.states if state.y > door.y + 10 and abs(state.x - door.x) < door.width]
        assert inside, gate
    places = np.array([(state.x, state.y) for state in walk.states])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 12.0


def test_the_events_tell_the_story(walk: Walk) -> None:
    assert names(walk) == [
        "ChainAccepted red_door",
        "TaskStarted find_red_key",
        "TaskCompleted find_red_key",
        "TaskStarted carry_red_key",
        "TaskCompleted carry_red_key",
        "ChainAccepted yellow_door",
        "TaskStarted find_yellow_key",
        "ChainAbandoned yellow_door",
        "ChainAccepted blue_door",
        "TaskStarted find_blue_key",
    ]


def test_progress_is_distance_over_speed_and_approach_is_in_metres(walk: Walk) -> None:
    etas = [event.eta_s for event in walk.events if isinstance(event, event_pb2.TaskProgressed)]
    near = [event.distance_m for event in walk.events if isinstance(event, event_pb2.GateApproached)]
    assert len(etas) > 20 and all(0 <= eta < 12 for eta in etas)
    assert near and all(0 < distance <= 8.0 for distance in near)


def test_the_blue_door_opens_less_than_a_second_after_its_chain_was_accepted(walk: Walk) -> None:
    accepted = next(s for s in walk.states if s.tick > 1000 and s.y > 104 and abs(s.x - DOORWAYS["blue_gate"].x) < 56)
    opened = next(state for state in walk.states if state.is_open("blue_gate"))
    assert opened.tick - accepted.tick < 35


def test_the_mask_ends_where_the_games_door_ends(walk: Walk) -> None:
    """While the red door rises the player stands still: from frame to frame nothing changes below its lower edge."""
    door = DOORWAYS["red_gate"]
    frames = [frame for frame in frames_of(walk.folder, frame_lines(walk), door) if frame.y < door.front_y]
    rising = [frame for frame in frames if 20 < frame.doors["red_gate"] < 42]
    assert len(rising) > 2
    for low, high in pairwise(rising):
        assert abs(low.y - high.y) < 0.1 and abs(low.angle_deg - high.angle_deg) < 0.1, "the player moved"
        before, after = (frame.picture().astype(int) for frame in (low, high))
        height, width = before.shape[:2]
        middle = slice(width // 2 - 30, width // 2 + 30)
        changed = (np.abs(after - before).max(axis=2) > 8)[:, middle].mean(axis=1) > 0.2
        mask_rows = np.flatnonzero(opening_mask(low, door, width, height)[:, width // 2] > 0.5)
        assert abs(int(np.flatnonzero(changed)[-1]) + 1 - int(mask_rows[0])) <= 4


def test_the_strips_beside_the_door_are_where_the_camera_says(walk: Walk) -> None:
    door = DOORWAYS["blue_gate"]
    frames = frames_of(walk.folder, frame_lines(walk), door)
    straight = [frame for frame in frames if abs(frame.angle_deg - 90) < 2 and 60 < door.front_y - frame.y < 110]
    frame = straight[0]
    picture = frame.picture().astype(float)
    camera = game_cameras(frame, door, picture.shape[1], picture.shape[0])
    depth = (door.front_y - door.y) / UNITS_PER_M
    corners = np.array([[side * door.width / 2 / UNITS_PER_M, -1.2, depth, 1.0] for side in (-1, 1)])
    seen = corners @ camera.viewmats[0].T
    columns = (seen[:, 0] / seen[:, 2]) * camera.Ks[0, 0, 0] + camera.Ks[0, 0, 2]
    blue = (picture[..., 2] > 100) & (picture[..., 2] > 2 * picture[..., 0]) & (picture[..., 2] > 2 * picture[..., 1])
    near_horizon = np.flatnonzero(blue[140:220].any(axis=0))
    left = near_horizon[near_horizon < columns.mean()].max()
    right = near_horizon[near_horizon > columns.mean()].min()
    assert abs(left - columns[0]) < 4 and abs(right - columns[1]) < 4


def test_pictures_are_kept_around_both_openings(walk: Walk) -> None:
    for gate, door in DOORWAYS.items():
        frames = frames_of(walk.folder, frame_lines(walk), door)
        assert any(frame.doors[gate] == 0 for frame in frames) and any(frame.doors[gate] > 50 for frame in frames)
        assert any((door.y - frame.y) / UNITS_PER_M > 4.5 for frame in frames if frame.doors[gate] == 0), gate
        assert frames[0].picture().shape == (360, 640, 3)


def test_the_game_leaves_nothing_in_the_folder_it_is_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Game(seed=2, width=320, height=240) as game:
        assert game.step(Buttons(forward=12.0)).tick == 1
        assert game.screen().shape == (240, 320, 3)
    assert list(tmp_path.iterdir()) == []


def test_png_is_read_by_another_reader(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(png(picture))
    frame = GameFrame(path, 0.0, 0.0, 0.0, 41.0, 90.0, {})
    assert np.array_equal(frame.picture(), picture)


def frame_lines(walk: Walk) -> list[dict[str, object]]:
    return [json.loads(line) for line in (walk.folder / "frames.jsonl").read_text().splitlines()]
