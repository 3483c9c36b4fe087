"""Depth colours, contact sheets and PNG files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from clips.errors import InvalidClip
from clips.picture import contact_sheet, depth_to_color, write_png

LUMA = np.array([0.2126, 0.7152, 0.0722])


def test_nearer_is_brighter_at_every_step() -> None:
    color = depth_to_color(np.geomspace(0.5, 10.0, 256)[None])
    assert color.shape == (1, 256, 3) and color.dtype == np.uint8
    brightness = color[0].astype(float) @ LUMA
    assert (np.diff(brightness) <= 0.5).all() and brightness[0] - brightness[-1] > 200


def test_near_and_far_bound_the_scale_and_clip_beyond_it() -> None:
    color = depth_to_color(np.array([[0.1, 1.0, 3.0, 10.0, 99.0]]), near=1.0, far=10.0)[0]
    np.testing.assert_array_equal(color[0], color[1])
    np.testing.assert_array_equal(color[3], color[4])
    assert len({tuple(c) for c in color.tolist()}) == 3
    video = depth_to_color(np.full((2, 4, 5), 2.0, np.float32))
    assert video.shape == (2, 4, 5, 3), "a flat scene has no range of its own"


@pytest.mark.parametrize(
    ("depth", "near", "far", "message"),
    [
        (np.zeros((0, 4)), None, None, "not empty"),
        (np.array([[1.0, np.nan]]), None, None, "1 values are not"),
        (np.array([[1.0, -2.0]]), None, None, "1 values are not"),
        (np.array([[1.0]]), 2.0, 1.0, "0 < near < far"),
        (np.array([[1.0]]), 0.0, 1.0, "0 < near < far"),
        (np.array([[1.0]]), 0.5, float("inf"), "0 < near < far"),
    ],
)
def test_depth_without_meaning_is_refused(depth, near, far, message: str) -> None:
    with pytest.raises(InvalidClip, match=message):
        depth_to_color(depth, near, far)


def _tile(value: int, height: int = 10, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_every_picture_is_on_the_sheet_in_its_row_and_order() -> None:
    sheet = contact_sheet([[_tile(200), _tile(150, 12, 8)], [_tile(100)], []], scale=2, gap_px=3)
    for value, pixels in ((200, 800), (150, 384), (100, 800)):
        rows, _ = np.nonzero((sheet == value).all(axis=2))
        assert len(rows) == pixels
    first, second, third = (np.argwhere((sheet == v).all(axis=2))[0] for v in (200, 150, 100))
    assert first[0] == second[0] and first[1] < second[1] and third[0] > first[0]


def test_labels_are_drawn_above_their_rows() -> None:
    plain = contact_sheet([[_tile(200, 10, 200)]] * 2)
    labelled = contact_sheet([[_tile(200, 10, 200)]] * 2, ["stone, torchlight", ""])
    assert labelled.shape[0] > plain.shape[0] and labelled.shape[1] == plain.shape[1]
    top = np.argwhere((labelled == 200).all(axis=2))[0][0]
    assert (labelled[:top] > 215).any(), "text"
    other = contact_sheet([[_tile(200, 10, 200)]] * 2, ["brick, ember", ""])
    assert (labelled != other).any()


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([], (), "at least one picture"),
        ([[], []], (), "at least one picture"),
        ([[_tile(1)]], ("a", "b"), "got 2 for 1 rows"),
        ([[_tile(1).astype(float)]], (), "got float64"),
        ([[_tile(1)[..., 0]]], (), r"uint8 \(H, W, 3\)"),
    ],
)
def test_sheets_of_nothing_are_refused(rows, labels, message: str) -> None:
    with pytest.raises(InvalidClip, match=message):
        contact_sheet(rows, labels)


def test_png_reads_back_exactly(tmp_path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    write_png(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), picture)
    with pytest.raises(InvalidClip, match="uint8"):
        write_png(picture.astype(np.float32), tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
