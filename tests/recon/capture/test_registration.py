"""Registration against truth: poses, lens, what moves, what cannot be registered and why."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from clips.cameras import Cameras
from recon.capture.capture import Capture
from recon.capture.pictures import Pictures, sharpness
from recon.capture.registration import register
from recon.capture.settings import CaptureSettings
from recon.errors import Unreconstructable
from tests.recon.capture.textured_place import FOCAL, aligned, pictures_of, turned_deg, turning, walking

FEW = CaptureSettings(max_features=500)
COUNT = 7


def pictures(frames: np.ndarray) -> Pictures:
    names = tuple(f"frame {index}" for index in range(len(frames)))
    return Pictures(frames, names, np.arange(len(frames)) / 10.0, np.array([sharpness(frame) for frame in frames]))


def quiet(stage: str, share: float) -> None:
    assert stage and 0.0 <= share <= 1.0


@pytest.fixture(scope="module")
def walk() -> tuple[np.ndarray, Cameras]:
    cameras = walking(COUNT)
    return pictures_of(cameras)[0], cameras


@pytest.fixture(scope="module")
def found(walk: tuple[np.ndarray, Cameras]) -> Capture:
    return register(pictures(walk[0]), FEW, quiet)


def test_poses_and_lens_are_those_that_took_the_pictures(found: Capture, walk: tuple[np.ndarray, Cameras]) -> None:
    truth = walk[1]
    assert len(found) == COUNT
    scale, turn, shift = aligned(found.cameras.positions, truth.positions)
    off = np.linalg.norm(scale * found.cameras.positions @ turn.T + shift - truth.positions, axis=1)
    assert off.max() < 0.01, "of a path of 1.6 m"
    pairs = zip(found.cameras.viewmats, truth.viewmats, strict=True)
    assert max(turned_deg(a[:3, :3] @ turn.T, b[:3, :3]) for a, b in pairs) < 1.5
    assert found.cameras.Ks[0, 0, 0] == pytest.approx(FOCAL, rel=0.06)
    assert turned_deg(np.eye(3), turn) < 40.0
    assert (turn @ [0.0, 1.0, 0.0])[1] > np.cos(np.radians(10.0)), "up is found but for the pitch of the cameras"


def test_points_lie_on_the_surfaces(found: Capture, walk: tuple[np.ndarray, Cameras]) -> None:
    scale, turn, shift = aligned(found.cameras.positions, walk[1].positions)
    points = scale * found.points.positions @ turn.T + shift
    away = np.minimum(np.abs(points[:, 2] - 5.0), np.abs(points[:, 1]))
    assert len(points) > 150
    # A focal length that is 2 % off moves what is 5 m away by 10 cm.
    assert np.quantile(away, 0.5) < 0.15
    assert set(np.unique(found.points.seen[:, 1])) == set(range(COUNT))


def test_scale_is_said_to_be_unknown_or_as_told(found: Capture, walk: tuple[np.ndarray, Cameras]) -> None:
    assert not found.is_metric and any("scale: unknown" in note for note in found.notes)
    told = register(pictures(walk[0]), CaptureSettings(max_features=500, scale_m=4.0), quiet)
    assert told.is_metric
    assert np.linalg.norm(told.cameras.positions[-1] - told.cameras.positions[0]) == pytest.approx(4.0)
    # Nothing but the scale differs: the same pictures and seed give the same model, bit for bit.
    between = np.linalg.norm(found.cameras.positions[-1] - found.cameras.positions[0])
    np.testing.assert_allclose(told.points.positions - told.cameras.positions[0], (
        found.points.positions - found.cameras.positions[0]) * 4.0 / between, rtol=1e-9, atol=1e-9)  # fmt: skip
    np.testing.assert_array_equal(told.frames, found.frames)


def test_what_moves_is_masked_and_does_not_disturb_the_cameras() -> None:
    cameras = walking(COUNT)
    frames, _, moving = pictures_of(cameras, slab_at=lambda share: (-1.2 + 0.6 * share, -2.4 + 1.2 * share))
    capture = register(pictures(frames), CaptureSettings(max_features=1500), quiet)
    assert capture.moving is not None and len(capture) == COUNT
    assert (capture.moving & moving).sum() > 0.9 * moving.sum()
    assert (capture.moving & ~moving).mean() < 0.12
    scale, turn, shift = aligned(capture.cameras.positions, cameras.positions)
    off = np.linalg.norm(scale * capture.cameras.positions @ turn.T + shift - cameras.positions, axis=1)
    assert off.max() < 0.015
    assert any("moving things" in note for note in capture.notes)


def test_frames_without_a_pose_are_named_with_the_reason(walk: tuple[np.ndarray, Cameras]) -> None:
    frames = walk[0].copy()
    frames[3] = gaussian_filter(frames[3].astype(float), (9, 9, 0))
    # Stretched, as pictures are seen: blur leaves light and dark, a plain wall does not.
    frames[3] = np.clip((frames[3].astype(float) - frames[3].mean()) * 2 + 128, 0, 255)
    frames[6] = 118
    capture = register(pictures(frames), FEW, quiet)
    assert capture.names == tuple(f"frame {index}" for index in (0, 1, 2, 4, 5))
    notes = "\n".join(capture.notes)
    assert "left out: blurred (frame 3; " in notes and "hold the camera steadier" in notes
    assert "left out: too little texture (frame 6; 0 features, 50 are needed)" in notes
    np.testing.assert_allclose(capture.times, [0.0, 0.1, 0.2, 0.4, 0.5])


def test_a_camera_that_only_turns_is_refused() -> None:
    frames, _, _ = pictures_of(turning(5))
    with pytest.raises(Unreconstructable, match=r"the camera only turns from frame 0 to frame 4.*walk sideways"):
        register(pictures(frames), FEW, quiet)


def test_a_camera_that_stands_still_is_refused(walk: tuple[np.ndarray, Cameras]) -> None:
    with pytest.raises(Unreconstructable, match=r"the camera stands still.*walk while filming"):
        register(pictures(np.repeat(walk[0][:1], 4, axis=0)), FEW, quiet)


def test_pictures_that_share_nothing_are_refused(walk: tuple[np.ndarray, Cameras]) -> None:
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(4, *walk[0].shape[1:])), (0, 1.5, 1.5, 0))
    frames = np.clip(128 + 300 * noise, 0, 255).astype(np.uint8)
    with pytest.raises(Unreconstructable, match=r"4 of 4 frames could not .*too few matches.*\(frame 0, frame 1"):
        register(pictures(frames), FEW, quiet)


def test_sigterm_is_the_programs_own_again() -> None:
    """pycolmap's log takes SIGTERM on import; in a process of its own, since a failure ends it."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('cleaned up'))\n"
        "from recon.capture import features\n"
        "features._take_signals_back()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up\n", "")
