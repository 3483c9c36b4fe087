"""Videos and folders of photographs: which frames are taken, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from scipy.ndimage import gaussian_filter

from clips.errors import ClipError
from clips.video import write_mp4
from recon.capture.pictures import read_folder, read_video, sharpness, smaller
from recon.capture.settings import CaptureSettings
from tests.recon.capture.textured_place import noise

TEXTURE = noise(4).astype(np.uint8)


def frame(seed: int, blur: float = 0.0) -> np.ndarray:
    picture = noise(seed)[:48, :64]
    return np.asarray(gaussian_filter(picture, (blur, blur, 0)), np.uint8)


def test_the_sharpest_frame_of_each_part_of_a_video_is_taken(tmp_path: Path) -> None:
    sharp = {1, 5, 6, 11}
    frames = np.stack([frame(index, 0.0 if index in sharp else 3.0) for index in range(12)])
    write_mp4(frames, tmp_path / "v.mp4", 10.0)
    got = read_video(tmp_path / "v.mp4", CaptureSettings(max_frames=4))
    assert got.names == ("frame 1", "frame 5", "frame 6", "frame 11")
    np.testing.assert_allclose(got.times, [0.1, 0.5, 0.6, 1.1])
    assert got.in_sequence and got.frames.shape == (4, 48, 64, 3)
    assert np.abs(got.frames[1].astype(int) - frames[5]).mean() < 20


def test_a_short_video_is_taken_whole_and_made_smaller(tmp_path: Path) -> None:
    write_mp4(np.stack([frame(0)] * 5), tmp_path / "v.mp4", 10.0)
    got = read_video(tmp_path / "v.mp4", CaptureSettings(long_side_px=32))
    assert got.frames.shape == (5, 24, 32, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"no video at all" * 40, "not a readable video"),
        (b"", "not a readable video"),
        ("cut", "not a readable video"),
        (0, "no such file"),
        (1, "has 1 frames, at least 3 are needed"),
        (2, "has 2 frames, at least 3 are needed"),
    ],
)
def test_videos_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | str | int | None, message: str) -> None:
    path = tmp_path / "v.mp4"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        write_mp4(np.stack([frame(index) for index in range(9)]), path, 10.0)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content:
        write_mp4(np.stack([frame(0)] * int(content)), path, 10.0)
    with pytest.raises(ClipError, match=message) as raised:
        read_video(path, CaptureSettings())
    assert str(path) in str(raised.value)


def test_photographs_come_in_the_order_of_their_numbers_upright(tmp_path: Path) -> None:
    for index in (10, 2, 1):
        Image.fromarray(frame(index)).save(tmp_path / f"img_{index}.png")
    turned = Image.fromarray(np.rot90(frame(3)).copy())
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned.save(tmp_path / "img_3.png", exif=exif)
    (tmp_path / "notes.txt").write_text("not a picture")
    got = read_folder(tmp_path, CaptureSettings(), 5.0)
    assert got.names == ("img_1.png", "img_2.png", "img_3.png", "img_10.png")
    np.testing.assert_array_equal(got.frames[2], frame(3))
    np.testing.assert_allclose(got.times, [0.0, 0.2, 0.4, 0.6])
    assert not got.in_sequence and got.focal_px is None


def test_the_focal_length_is_read_from_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 26
    for index in range(3):
        Image.fromarray(frame(index)).save(tmp_path / f"{index}.jpg", exif=exif, quality=95)
    got = read_folder(tmp_path, CaptureSettings(), 5.0)
    assert got.focal_px == pytest.approx(26.0 / np.hypot(36.0, 24.0) * np.hypot(48, 64))


def test_pictures_of_different_sizes_are_refused(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(frame(index)[: 40 if index == 2 else 48]).save(tmp_path / f"{index}.png")
    with pytest.raises(ClipError, match=r"mixed sizes: 0\.png is 64x48, 2\.png 64x40"):
        read_folder(tmp_path, CaptureSettings(), 5.0)


@pytest.mark.parametrize(("count", "message"), [(2, "has 2 pictures"), (5, "has 5 pictures, at most 4 are taken")])
def test_too_few_and_too_many_pictures_are_refused(tmp_path: Path, count: int, message: str) -> None:
    for index in range(count):
        Image.fromarray(frame(index)).save(tmp_path / f"{index}.png")
    with pytest.raises(ClipError, match=message):
        read_folder(tmp_path, CaptureSettings(max_frames=4), 5.0)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(frame(index)).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    with pytest.raises(ClipError, match=r"1\.png: not a readable picture"):
        read_folder(tmp_path, CaptureSettings(), 5.0)


def test_blur_lowers_sharpness_and_what_is_transparent_is_black() -> None:
    assert sharpness(frame(0)) > 3 * sharpness(frame(0, 2.0)) > 0
    assert sharpness(np.zeros((2, 9, 3), np.uint8)) == 0.0
    clear = Image.new("RGBA", (8, 4), (200, 100, 50, 0))
    assert smaller(clear, 100).max() == 0
