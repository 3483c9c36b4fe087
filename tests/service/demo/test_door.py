from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips.cameras import Cameras, intrinsics
from clips.video import read_mp4, write_mp4
from examples.vizdoom.level import DOORWAYS, UNITS_PER_M
from recon.scene import Scene4D
from service.demo.animated import main as animate
from service.demo.contact import GateSheet, contact_sheet, moved
from service.demo.door import Showing, door_frames, shortened, showings, smoothstep
from service.demo.portal import GameFrame, game_cameras, opening_mask

DOOR = DOORWAYS["red_gate"]


def frame(path: Path, at_s: float = 0.0, y: float = 160.0, risen: float = 62.0, angle: float = 90.0) -> GameFrame:
    return GameFrame(path, at_s, DOOR.x, y, 41.0, angle, {"red_gate": risen, "blue_gate": 0.0})


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.new("RGB", (160, 90), (90, 90, 90)).save(path)
    return path


def wall(color: float, z: float = 3.0) -> Scene4D:
    """A wall of splats across the room, all in one sRGB grey value."""
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-4, 1, 21)), axis=-1).reshape(-1, 2)
    count = len(grid)
    full = np.full(count, np.inf, np.float32)
    return Scene4D(
        means=np.concatenate([grid, np.full((count, 1), z)], axis=1).astype(np.float32),
        quats=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        log_scales=np.full((count, 3), np.log(0.3), np.float32),
        logit_opacities=np.full(count, 6.0, np.float32),
        sh0=np.full((count, 1, 3), (color - 0.5) / 0.28209479, np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
        velocities=np.zeros((count, 3), np.float32),
        time_centers=np.zeros(count, np.float32),
        time_widths=full,
        time_starts=-full,
        time_ends=full,
        duration_s=2.0,
    )


def test_the_game_camera_is_in_the_gate_frame() -> None:
    at = GameFrame(Path(), 0.0, DOOR.x + UNITS_PER_M, DOOR.y - 2 * UNITS_PER_M, 41.0, 90.0, {"red_gate": 0.0})
    camera = game_cameras(at, DOOR, 640, 360)
    assert np.allclose(camera.positions[0], [1.0, -41 / UNITS_PER_M, -2.0])
    assert np.allclose(camera.viewmats[0, :3, :3], np.eye(3), atol=1e-9)
    east = GameFrame(Path(), 0.0, DOOR.x, DOOR.y, 41.0, 0.0, {"red_gate": 0.0})
    assert np.allclose(game_cameras(east, DOOR, 640, 360).viewmats[0, 2, :3], [1, 0, 0], atol=1e-9)


def test_a_closed_door_hides_everything_and_an_open_one_shows_its_opening(grey: Path) -> None:
    assert opening_mask(frame(grey, risen=0.0), DOOR, 160, 90).max() < 0.2
    half, full = (opening_mask(frame(grey, risen=risen), DOOR, 160, 90) for risen in (30.0, 62.0))
    assert 0 < half.sum() < full.sum() and np.all(half <= full + 1e-6)
    assert full[45, 80] == 1.0 and full[45, 5] == 0.0 and full[2, 80] == 0.0
    assert np.allclose(full, full[:, ::-1], atol=0.35), "seen from the middle it is symmetric"


def test_inside_the_room_everything_is_the_room_and_behind_the_back_nothing(grey: Path) -> None:
    assert opening_mask(frame(grey, y=DOOR.y + 30), DOOR, 160, 90).min() == 1.0
    assert opening_mask(frame(grey, y=160.0, angle=270.0), DOOR, 160, 90).max() == 0.0


def test_the_scene_stands_behind_the_open_door_and_only_there(grey: Path) -> None:
    shown = [Showing("FULL", 0.0, 0.0)]
    (picture,) = door_frames([frame(grey, 1.0)], DOOR, shown, {"FULL": wall(0.9)}, 17.5, 1)
    mask = opening_mask(frame(grey), DOOR, 160, 90)
    assert picture[mask > 0.99].mean() > 200 and np.all(picture[mask == 0] == 90)


def test_a_fade_mixes_two_scenes_with_the_handovers_curve(grey: Path) -> None:
    shown = [Showing("DRAFT", 0.0, 0.0), Showing("FULL", 1.0, 2.0)]
    scenes = {"DRAFT": wall(0.2), "FULL": wall(0.8)}
    times = (0.9, 1.25, 1.5, 2.1)
    pictures = [door_frames([frame(grey, at)], DOOR, shown, scenes, 17.5, 1)[0][45, 80, 0] for at in times]
    dark, quarter, half, bright = (float(value) for value in pictures)
    assert dark < quarter < half < bright
    assert abs((quarter - dark) / (bright - dark) - smoothstep(0.25)) < 0.05
    assert abs((half - dark) / (bright - dark) - 0.5) < 0.05


def test_content_before_the_threshold_is_clipped_while_one_stands_outside(grey: Path) -> None:
    shown = [Showing("FULL", 0.0, 0.0)]
    (picture,) = door_frames([frame(grey, 1.0)], DOOR, shown, {"FULL": wall(0.9, z=-1.0)}, 17.5, 1)
    assert picture[45, 80].max() < 20


def test_the_screen_lines_become_showings() -> None:
    lines = [
        {"what": "shown", "gate": "g", "offset_s": 1.0, "quality": "PLACEHOLDER"},
        {"what": "fade", "gate": "other", "offset_s": 1.5, "quality": "FULL"},
        {"what": "fade", "gate": "g", "offset_s": 3.0, "quality": "DRAFT"},
        {"what": "shown", "gate": "g", "offset_s": 3.6, "quality": "DRAFT"},
    ]
    assert showings(lines, "g") == [Showing("PLACEHOLDER", 1.0, 1.0), Showing("DRAFT", 3.0, 3.6)]


def test_long_waits_are_cut_and_changes_are_kept(grey: Path) -> None:
    frames = [frame(grey, at * 0.1, risen=0.0 if at < 50 else 62.0) for at in range(300)]
    frames += [frame(grey, 30.0 + at * 0.1, y=160.0 + at * 4) for at in range(30)]
    kept = [
        item.offset_s
        for item in shortened(frames, "red_gate", [Showing("DRAFT", 5.0, 5.0), Showing("FULL", 20.0, 20.6)])
    ]
    assert min(kept) >= 5.0 - 1.3 and max(kept) == frames[-1].offset_s
    assert all(any(abs(at - time_s) < 0.11 for at in kept) for time_s in (5.0, 20.0, 20.3, 20.6))
    assert not [at for at in kept if 7.0 < at < 19.0] and not [at for at in kept if 22.0 < at < 29.0]


def test_smoothstep_is_the_handovers_curve() -> None:
    assert [smoothstep(u) for u in (-1, 0, 0.5, 1, 2)] == [0, 0, 0.5, 1, 1]


def test_moved_cameras_stand_beside_the_others_and_look_back() -> None:
    K = intrinsics(96, 64, 75.0)
    cameras = Cameras(np.eye(4)[None], K[None], 96, 64)
    aside = moved(cameras)
    assert np.allclose(aside.positions[0], [0.45, -0.2, 0.0], atol=1e-9)
    assert aside.camera_to_world[0, 0, 2] < -0.05


def test_a_contact_sheet_is_drawn_with_whatever_there_is(grey: Path) -> None:
    picture = np.full((90, 160, 3), 200, np.uint8)
    bare = contact_sheet("Title", [GateSheet("Gate", ["fact"], None, None, None, None, None)], 1)
    doors = contact_sheet("Title", [GateSheet("Gate", [], picture, picture, None, None, None)], 1)
    assert bare.dtype == np.uint8 and bare.shape[1] == doors.shape[1] and doors.shape[0] > bare.shape[0] + 300
    assert (doors == 200).all(axis=2).sum() > 2 * 600 * 340


def test_the_animated_picture_is_smaller_than_three_megabytes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (6, 90, 160, 3), dtype=np.uint8)
    write_mp4(frames, tmp_path / "door.mp4", 17.5)
    assert animate([str(tmp_path / "door.mp4"), str(tmp_path / "door.webp")]) == 0
    with Image.open(tmp_path / "door.webp") as picture:
        assert picture.is_animated and picture.width == 560  # type: ignore[attr-defined]
    assert (tmp_path / "door.webp").stat().st_size < 3_000_000
    assert animate(["one"]) == 2
    assert len(read_mp4(tmp_path / "door.mp4")[0]) == 6
