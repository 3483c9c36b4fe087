import numpy as np
import pytest

from model.measure.room_depth import abs_rel, room_pixels


def test_only_pixels_that_show_the_box_count() -> None:
    box = np.full((2, 4, 4), 4.0, dtype=np.float32)
    true = box.copy()
    true[:, 0] = 2.0
    where = room_pixels(true, box)
    assert where.sum() == 2 * 12
    assert abs_rel(box * 1.25, box, where) == pytest.approx(0.25)
    assert abs_rel(true, box, where) == 0.0
    assert np.isnan(abs_rel(box, box, np.zeros_like(where)))
