import numpy as np
import pytest
import torch

from model.control import CONTROL_CHANNELS, control_features
from model.errors import InvalidSpec
from model.rgbd import normalise_depth


def _depth(frames: int = 9) -> np.ndarray:
    return np.random.default_rng(0).uniform(1.0, 9.0, (frames, 16, 24)).astype(np.float32)


def test_features_are_block_means_of_inverse_depth_by_a_slow_reference() -> None:
    depth = _depth()
    features = control_features(depth, 4, 8)
    assert features.shape == (CONTROL_CHANNELS, 3, 2, 3)
    inverse = normalise_depth(torch.from_numpy(depth))
    for frame, (cell, row, column) in [(0, (0, 0, 0)), (1, (1, 1, 2)), (8, (2, 1, 0)), (6, (2, 0, 1))]:
        within = 0 if frame == 0 else (frame - 1) % 4
        for y in range(4):
            for x in range(4):
                top, left = row * 8 + y * 2, column * 8 + x * 2
                wanted = inverse[frame, top : top + 2, left : left + 2].mean()
                got = features[within * 16 + y * 4 + x, cell, row, column]
                assert torch.isclose(got, wanted, atol=1e-5)


def test_the_first_frame_is_repeated() -> None:
    first = control_features(_depth(), 4, 8)[:, 0].view(4, 16, 2, 3)
    assert torch.equal(first, first[:1].expand(4, -1, -1, -1))


def test_one_frame_alone_and_longer_groups_have_features() -> None:
    assert control_features(_depth(1), 4, 8).shape == (CONTROL_CHANNELS, 1, 2, 3)
    depth = np.repeat(np.arange(1.0, 10.0, dtype=np.float32), 16 * 24).reshape(9, 16, 24)
    group = control_features(depth, 8, 8)[:, 1].view(4, 16, 2, 3)[:, 0, 0, 0]
    assert torch.allclose(group, normalise_depth(torch.tensor([2.0, 4.0, 7.0, 9.0])), atol=1e-5)


@pytest.mark.parametrize(("frames", "group", "patch"), [(8, 4, 8), (9, 4, 7), (9, 4, 5), (9, 2, 8), (9, 4, 6)])
def test_depth_that_does_not_fit_is_refused(frames: int, group: int, patch: int) -> None:
    with pytest.raises(InvalidSpec, match="control depth must be"):
        control_features(_depth(frames), group, patch)
