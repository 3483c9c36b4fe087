"""The plane sweep against a slow plain reference, and the smoothing on costs that are known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from recon.capture.sweep import smoothest, sweep_costs

HEIGHT, WIDTH, FOCAL = 24, 40, 30.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
BASE = np.linalg.inv(K)


def texture(width: int = 3 * WIDTH) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(1).normal(size=(HEIGHT, width)), 1.0)
    return (1000 + 1000 * values).astype(np.float32)


def steps(shifts_m: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours that stand so far to the right of the asked picture."""
    return np.stack([K] * len(shifts_m)), np.array([K @ [-shift, 0.0, 0.0] for shift in shifts_m])


def moved(wide: np.ndarray, pixels: int) -> np.ndarray:
    return np.ascontiguousarray(wide[:, WIDTH + pixels : 2 * WIDTH + pixels])


def test_a_wall_is_found_at_its_distance() -> None:
    """A wall 5 m away, cameras 0.5 m to both sides: it shifts by 3 pixels."""
    wide = texture()
    inverses = np.linspace(0.05, 0.5, 10)
    others = np.stack([moved(wide, 3), moved(wide, -3)])
    costs = sweep_costs(moved(wide, 0), others, BASE, steps([0.5, -0.5]), inverses)
    assert costs.shape == (HEIGHT, WIDTH, 10)
    inner = costs[:, 8:-8]
    assert inner[..., 3].max() < 0.02, "3 px / (30 px 0.5 m) = 0.2 / m"
    assert np.median(np.delete(inner, 3, axis=2)) > 0.5
    np.testing.assert_allclose(smoothest(costs, moved(wide, 0))[:, 8:-8], 3.0, atol=0.2)


def test_costs_are_one_minus_the_correlation_of_windows() -> None:
    grey = moved(texture(), 0)
    other = moved(texture(), 1) + 20.0
    costs = sweep_costs(grey, other[None], BASE, steps([0.0]), np.array([0.3]))[..., 0]
    a, b = grey.astype(float), other.astype(float)
    window = (slice(2, -2), slice(2, -2))
    mean_a, mean_b = uniform_filter(a, 5)[window], uniform_filter(b, 5)[window]
    spread_a = uniform_filter(a * a, 5)[window] - mean_a**2
    spread_b = uniform_filter(b * b, 5)[window] - mean_b**2
    shared = uniform_filter(a * b, 5)[window] - mean_a * mean_b
    expected = np.clip(1.0 - shared / (np.sqrt(spread_a * spread_b) + 60.0), 0.0, 1.0)
    np.testing.assert_allclose(costs[window], expected, atol=2e-3)


def test_the_better_half_of_the_neighbours_counts() -> None:
    wide = texture()
    good, wrong = moved(wide, 3), moved(texture()[::-1].copy(), 0)
    one = sweep_costs(moved(wide, 0), good[None], BASE, steps([0.5]), np.array([0.2]))
    both = sweep_costs(moved(wide, 0), np.stack([good, wrong]), BASE, steps([0.5, 0.1]), np.array([0.2]))
    np.testing.assert_array_equal(one[:, 4:-4], both[:, 4:-4])


def test_where_no_neighbour_looks_the_cost_is_one() -> None:
    wide = texture()
    behind = (np.stack([K]), np.array([[0.0, 0.0, -9.0]]))
    assert (sweep_costs(moved(wide, 0), moved(wide, 0)[None], BASE, behind, np.array([1.0])) == 1.0).all()
    far_off = sweep_costs(moved(wide, 0), moved(wide, 0)[None], BASE, steps([500.0]), np.array([1.0]))
    assert (far_off == 1.0).all()


def test_plain_pixels_follow_their_neighbours_and_edges_part_them() -> None:
    costs = np.full((12, 16, 9), 0.5, np.float32)
    costs[:, :3, 2] = 0.0
    costs[:, 13:, 6] = 0.0
    grey = np.zeros((12, 16), np.float32)
    grey[:, 8:] = 200.0
    plane = smoothest(costs, grey)
    np.testing.assert_allclose(plane[:, :8], 2.0, atol=0.35)
    np.testing.assert_allclose(plane[:, 8:], 6.0, atol=0.35)


def test_between_two_planes_the_depth_is_fractional() -> None:
    costs = np.full((6, 6, 7), 1.0, np.float32)
    costs[..., 3], costs[..., 4] = 0.2, 0.3
    plane = smoothest(costs, np.zeros((6, 6), np.float32))
    assert ((plane > 3.0) & (plane < 3.5)).all()
