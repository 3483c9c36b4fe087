import math

import pytest

from model.measure.accuracy import Accuracy


def test_wilson_interval_is_that_of_the_literature() -> None:
    # Newcombe 1998, table I, method 3 (score without continuity correction).
    for right, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert Accuracy(right, count).interval == pytest.approx((low, high), abs=5e-5)
    assert Accuracy(29, 29).interval == pytest.approx((0.8830, 1.0), abs=5e-5)


def test_shares_add_up_and_nothing_tried_is_no_success() -> None:
    both = Accuracy.of([True, False, True]) + Accuracy(1, 2)
    assert (both.right, both.count, both.share) == (3, 5, 0.6)
    nothing = Accuracy.of([])
    assert math.isnan(nothing.share)
    assert nothing.interval == (0.0, 1.0)
    assert str(Accuracy(3, 4)) == "0.750 [0.301, 0.954] of 4"


def test_more_right_than_tried_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        Accuracy(3, 2)
