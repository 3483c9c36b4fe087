"""Pruning ranks splats by what they paint in the whole clip, and leaves out no more of the picture than it may."""

import numpy as np
import pytest

from recon.errors import InvalidScene
from recon.prune import MIN_WEIGHT, visible
from recon.splats import Splats, static_splats


def splats(count: int) -> Splats:
    return static_splats(np.zeros((count, 3)), np.tile([1.0, 0, 0, 1, 0, 1], (count, 1)), np.zeros((count, 3)), 0.9)


def test_the_lightest_are_left_out_while_they_paint_little_together() -> None:
    weights = np.array([50.0, 0.3, 0.5, 40.0, 0.4, 8.8], np.float32)
    nothing = np.zeros(6, bool)
    np.testing.assert_array_equal(np.flatnonzero(~visible(splats(6), weights, nothing, 0.0)), [])
    np.testing.assert_array_equal(np.flatnonzero(~visible(splats(6), weights, nothing, 0.008)), [1, 4])
    np.testing.assert_array_equal(np.flatnonzero(~visible(splats(6), weights, nothing, 0.0125)), [1, 2, 4])


def test_a_short_life_counts_as_much_as_a_small_contribution() -> None:
    # Ten pixels in one frame, or one pixel in each of ten: the same sum, kept or left out alike.
    weights = np.array([10.0, 10.0, 1_000.0], np.float32)
    keep = visible(splats(3), weights, np.zeros(3, bool), 0.03)
    assert keep.tolist() == [False, False, True]


def test_what_paints_nothing_goes_and_what_was_continued_stays() -> None:
    weights = np.array([0.0, 0.0, MIN_WEIGHT / 2, 5.0], np.float32)
    filled = np.array([False, True, False, False])
    assert visible(splats(4), weights, filled, 0.0).tolist() == [False, True, False, True]


def test_splats_that_are_no_numbers_go_even_where_they_were_continued() -> None:
    broken = splats(2)
    broken.means[0] = np.nan
    assert visible(broken, np.ones(2, np.float32), np.ones(2, bool)).tolist() == [False, True]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_that_mean_nothing_are_refused(share: float) -> None:
    with pytest.raises(InvalidScene, match="least_share"):
        visible(splats(1), np.ones(1, np.float32), np.zeros(1, bool), share)
