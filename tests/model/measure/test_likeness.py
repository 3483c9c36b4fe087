import numpy as np
import pytest

from model.measure.likeness import mean_clip, picture_error


def test_the_mean_clip_is_the_mean_of_frames_and_depth() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 6, 3), dtype=np.uint8)
    depth = np.arange(3 * 5 * 4 * 6, dtype=np.float32).reshape(3, 5, 4, 6)
    mean_frames, mean_depth = mean_clip(zip(frames, depth, strict=True))
    assert np.abs(mean_frames - frames.astype(float).mean(0)).max() <= 0.5
    assert np.allclose(mean_depth, depth.mean(0))
    with pytest.raises(ValueError, match="at least one"):
        mean_clip([])


def test_errors_are_of_the_same_frames_from_first_to_last() -> None:
    real = np.arange(17, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), dtype=np.uint8)
    seen = []

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        seen.append(round(float(a.mean()) * 255))
        return float(np.abs(a - b).mean())

    assert picture_error(difference, real, real) == 0.0
    assert seen == [0, 3, 6, 8, 11, 14, 16]
    assert picture_error(difference, real, real + 51) == pytest.approx(0.2)
