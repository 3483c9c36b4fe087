"""Videos are written, read back and compared; GIFs are read by Pillow."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from clips import video
from clips.dungeon.render import render_sample
from clips.errors import InvalidClip, UnreadableClip
from clips.video import enlarge, read_mp4, write_mp4


def _psnr(a, b) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


@pytest.mark.parametrize("frames", [1, 5])
def test_a_written_video_reads_back_nearly_as_it_was(tmp_path, frames: int) -> None:
    clip = render_sample(3, frames=5).clip.frames[:frames]
    write_mp4(clip, tmp_path / "a.mp4", 8.0)
    again, fps = read_mp4(tmp_path / "a.mp4")
    assert again.shape == clip.shape and again.dtype == np.uint8
    assert fps == pytest.approx(8.0)
    assert _psnr(again, clip) > 30.0
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


@pytest.mark.parametrize("fps", [8.0, 23.976, 29.97, 35.0, 0.5])
def test_odd_rates_are_kept(tmp_path, fps: float) -> None:
    write_mp4(np.full((4, 16, 16, 3), 128, dtype=np.uint8), tmp_path / "a.mp4", fps)
    assert read_mp4(tmp_path / "a.mp4")[1] == pytest.approx(fps, rel=1e-4)


def test_odd_sizes_are_padded_to_even_ones(tmp_path) -> None:
    clip = np.full((2, 15, 17, 3), 90, dtype=np.uint8)
    write_mp4(clip, tmp_path / "a.mp4", 8.0)
    again = read_mp4(tmp_path / "a.mp4")[0]
    assert again.shape == (2, 16, 18, 3)
    assert np.abs(again.astype(int) - 90).max() <= 4


def test_the_index_comes_before_the_data_so_that_browsers_can_start(tmp_path) -> None:
    write_mp4(render_sample(1, frames=3).clip.frames, tmp_path / "a.mp4", 8.0)
    data, place, boxes = (tmp_path / "a.mp4").read_bytes(), 0, []
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        boxes.append(kind)
        place += size
    assert boxes.index(b"moov") < boxes.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (17, 32, 48, 3), dtype=np.uint8)
    written = set()
    for _ in range(6):
        write_mp4(noisy, tmp_path / "v.mp4", 8.0, scale=4)
        written.add((tmp_path / "v.mp4").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("resample", ["nearest", "bicubic"])
def test_small_videos_are_enlarged(tmp_path, resample) -> None:
    clip = render_sample(2, frames=2).clip.frames
    write_mp4(clip, tmp_path / "a.mp4", 8.0, scale=3, resample=resample)
    again = read_mp4(tmp_path / "a.mp4")[0]
    assert again.shape == (2, 192, 288, 3)
    assert _psnr(again[0], enlarge(clip[0], 3, resample)) > 30.0


def test_nearest_enlarging_repeats_pixels() -> None:
    frame = render_sample(2, frames=1).clip.frames[0]
    np.testing.assert_array_equal(enlarge(frame, 2, "nearest"), frame.repeat(2, axis=0).repeat(2, axis=1))
    assert enlarge(frame, 1, "bicubic") is frame


@pytest.mark.parametrize(
    ("frames", "fps", "scale", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 8.0, 1, "not empty"),
        (np.zeros((2, 8, 8), np.uint8), 8.0, 1, r"uint8 \(T, H, W, 3\)"),
        (np.zeros((2, 8, 8, 3), np.float32), 8.0, 1, "got float32"),
        (np.zeros((2, 8, 8, 3), np.uint8), 0.0, 1, "fps must be above 0"),
        (np.zeros((2, 8, 8, 3), np.uint8), float("nan"), 1, "fps must be above 0"),
        (np.zeros((2, 8, 8, 3), np.uint8), 8.0, 0, "scale must be within"),
    ],
)
def test_frames_that_are_no_video_are_refused_and_leave_no_file(tmp_path, frames, fps, scale, message) -> None:
    with pytest.raises(InvalidClip, match=message):
        write_mp4(frames, tmp_path / "a", fps, scale)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_not_videos(tmp_path) -> None:
    for content in (b"", b"hello world", bytes(range(256)) * 64):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(UnreadableClip, match=r"a\.mp4"):
            read_mp4(tmp_path / "a.mp4")
    with pytest.raises(UnreadableClip):
        read_mp4(tmp_path / "none.mp4")


def test_a_video_that_decodes_to_too_much_is_refused(tmp_path, monkeypatch) -> None:
    write_mp4(np.zeros((8, 64, 64, 3), np.uint8), tmp_path / "a.mp4", 8.0)
    monkeypatch.setattr(video, "MAX_VIDEO_BYTES", 4 * 64 * 64 * 3)
    with pytest.raises(UnreadableClip, match="decodes to more than"):
        read_mp4(tmp_path / "a.mp4")
