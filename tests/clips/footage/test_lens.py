"""Lenses are undone: a smooth pattern seen through a lens, straightened, is the pattern seen by a pinhole camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clips.errors import InvalidCameras
from clips.footage.lens import Lens, straightening

PLAIN = Lens(160, 120, 130.0, 128.0, 83.0, 57.0)
LENSES = {
    "barrel": replace(PLAIN, k1=-0.21, k2=0.06, p1=0.004, p2=-0.003),
    "pincushion": replace(PLAIN, k1=0.12, k2=0.02, k3=-0.01),
    "fisheye": replace(PLAIN, k1=0.05, k2=-0.02, k3=0.004, k4=-0.001, is_fisheye=True),
}


def pattern(rays: np.ndarray) -> np.ndarray:
    """sRGB values of directions, smooth enough for interpolation."""
    x, y = rays[..., 0], rays[..., 1]
    waves = [np.sin(9 * x + 4 * y), np.cos(11 * y - 3 * x), np.sin(7 * x) * np.cos(8 * y)]
    return np.asarray(np.rint(127.5 + 100.0 * np.stack(waves, axis=-1)), dtype=np.uint8)


def rays_of(lens: Lens) -> np.ndarray:
    """Directions of every pixel of a bent picture, by fixed-point iteration, independent of `straightening`."""
    u, v = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    wanted = np.stack([u, v], axis=-1)
    rays = (wanted - [lens.cx, lens.cy]) / [lens.fl_x, lens.fl_y]
    for _ in range(200):
        rays = rays - 0.7 * (lens.pixels_of(rays) - wanted) / [lens.fl_x, lens.fl_y]
    assert np.abs(lens.pixels_of(rays) - wanted).max() < 1e-6
    return rays


def straight_rays(K: np.ndarray, width: int, height: int) -> np.ndarray:
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], axis=-1)


@pytest.mark.parametrize("name", LENSES)
def test_a_bent_picture_becomes_the_pinhole_one(name: str) -> None:
    lens = LENSES[name]
    bent = pattern(rays_of(lens))
    by = straightening(lens)
    expected = pattern(straight_rays(by.K, lens.width, lens.height)).astype(int)
    got = by.picture(bent).astype(int)
    assert np.abs(got - expected).mean() < 0.6
    assert np.abs(got - expected)[2:-2, 2:-2].max() <= 6
    assert np.abs(bent.astype(int) - expected).mean() > 3.0, "the lens bends enough for the test to mean something"


@pytest.mark.parametrize("name", LENSES)
def test_every_straight_pixel_was_in_the_picture_and_no_more_is_cut_off_than_needed(name: str) -> None:
    lens = LENSES[name]
    by = straightening(lens)
    assert by.places is not None
    rows, columns = by.places + 0.5
    assert rows.min() >= 0 and rows.max() <= lens.height and columns.min() >= 0 and columns.max() <= lens.width
    edges = [rows.min(), lens.height - rows.max(), columns.min(), lens.width - columns.max()]
    assert min(edges) < 1.0
    np.testing.assert_array_equal(by.K[:2, 2], [lens.cx, lens.cy])


def test_the_brown_model_by_hand() -> None:
    lens = replace(PLAIN, k1=0.1, k2=0.01, k3=0.001, k4=0.0001, p1=0.02, p2=0.03)
    x, y = 0.3, -0.4
    r2 = 0.25
    factor = 1 + 0.1 * r2 + 0.01 * r2**2 + 0.001 * r2**3 + 0.0001 * r2**4
    bent_x = x * factor + 2 * 0.02 * x * y + 0.03 * (r2 + 2 * x * x)
    bent_y = y * factor + 0.02 * (r2 + 2 * y * y) + 2 * 0.03 * x * y
    expected = [130.0 * bent_x + 83.0, 128.0 * bent_y + 57.0]
    np.testing.assert_allclose(lens.pixels_of(np.array([x, y])), expected, atol=1e-9)


def test_the_fisheye_model_by_hand() -> None:
    lens = replace(PLAIN, k1=0.1, is_fisheye=True)
    angle = np.arctan(0.5)
    expected = [130.0 * (angle * (1 + 0.1 * angle**2)) + 83.0, 57.0]
    np.testing.assert_allclose(lens.pixels_of(np.array([0.5, 0.0])), expected, atol=1e-9)


def test_a_pinhole_camera_is_left_as_it_is() -> None:
    picture = pattern(rays_of(PLAIN))
    by = straightening(PLAIN)
    assert by.places is None and by.picture(picture) is picture
    np.testing.assert_array_equal(by.K, PLAIN.matrix)


def test_planes_take_the_nearest_value_and_invent_none() -> None:
    lens = LENSES["barrel"]
    plane = (np.indices((lens.height, lens.width)).sum(axis=0) % 2).astype(np.float64)
    assert set(np.unique(straightening(lens).plane(plane))) == {0.0, 1.0}


def test_a_resized_lens_sees_the_same() -> None:
    lens, small = LENSES["fisheye"], LENSES["fisheye"].resized(80, 60)
    rays = np.array([[0.2, -0.3], [0.0, 0.1]])
    np.testing.assert_allclose(small.pixels_of(rays) * 2, lens.pixels_of(rays), atol=1e-12)


def test_a_lens_that_folds_is_refused() -> None:
    with pytest.raises(InvalidCameras, match=r"distortion \{'k1': -90\.0\} folds the picture"):
        straightening(replace(PLAIN, k1=-90.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"fl_x": 0.0}, "fl_x: got 0"), ({"k2": float("nan")}, "k2: got nan"), ({"cx": 1e9}, "cx: got 1000000000.0")],
)
def test_a_bad_number_is_named(change: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidCameras, match=message):
        replace(PLAIN, **change)
