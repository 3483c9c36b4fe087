import numpy as np
import pytest

from model.measure.object_region import intersection_over_union, is_single_blob, largest_piece_share


def _square(left: int, frames: int = 10, side: int = 10) -> np.ndarray:
    masks = np.zeros((frames, 40, 60), dtype=bool)
    masks[:, 10 : 10 + side, left : left + side] = True
    return masks


def test_a_shifted_square_overlaps_by_what_the_shift_leaves() -> None:
    assert intersection_over_union(_square(20), _square(20)) == 1.0
    assert intersection_over_union(_square(20), _square(25)) == pytest.approx(50 / 150)
    assert intersection_over_union(_square(20), _square(40)) == 0.0


def test_frames_in_which_nothing_is_told_do_not_count() -> None:
    told = _square(20)
    told[5:] = False
    assert intersection_over_union(_square(20), told) == 1.0
    assert np.isnan(intersection_over_union(_square(20), np.zeros_like(told)))
    with pytest.raises(ValueError, match="one shape"):
        intersection_over_union(told, told[1:])


def test_an_object_that_is_gone_has_no_overlap() -> None:
    assert intersection_over_union(np.zeros_like(_square(20)), _square(20)) == 0.0


def test_two_blobs_are_not_one_and_specks_do_not_matter() -> None:
    two = _square(5) | _square(30)
    assert largest_piece_share(two[0]) == 0.5
    assert not is_single_blob(two)
    specked = _square(5)
    specked[:, 35, 50] = True
    assert largest_piece_share(specked[0]) == pytest.approx(100 / 101)
    assert is_single_blob(specked)


def test_pixels_that_touch_at_a_corner_are_one_piece() -> None:
    assert largest_piece_share(np.eye(8, dtype=bool)) == 1.0


def test_one_frame_of_ten_may_be_broken_and_two_may_not() -> None:
    masks = _square(5)
    masks[0] |= _square(30)[0]
    assert is_single_blob(masks)
    masks[1] = False
    assert not is_single_blob(masks)
