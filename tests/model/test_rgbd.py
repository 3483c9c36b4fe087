import numpy as np
import torch

from model.rgbd import FARTHEST_M, NEAREST_M, metric_depth, normalise_depth, pack_rgbd, unpack_rgbd


def test_depth_survives_normalising_within_its_limits() -> None:
    depth = torch.linspace(NEAREST_M, FARTHEST_M, 200, dtype=torch.float64)
    assert torch.allclose(metric_depth(normalise_depth(depth)), depth, rtol=1e-9)


def test_depth_beyond_the_limits_is_clamped_to_them() -> None:
    depth = torch.tensor([0.01, 1e6])
    assert torch.allclose(metric_depth(normalise_depth(depth)), torch.tensor([NEAREST_M, FARTHEST_M]), rtol=1e-3)


def test_nearer_is_larger() -> None:
    near, far = normalise_depth(torch.tensor([1.0, 4.0]))
    assert near > far


def test_pack_and_unpack_are_inverses() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 5, 8, 6, 3), dtype=np.uint8)
    depth = random.uniform(0.5, 9.0, (2, 5, 8, 6)).astype(np.float32)
    packed = pack_rgbd(frames, depth)
    assert packed.shape == (2, 4, 5, 8, 6)
    assert packed[:, :3].abs().max() <= 1.0
    again, depth_again = unpack_rgbd(packed)
    assert np.array_equal(again, frames)
    assert np.allclose(depth_again, depth, rtol=1e-4)


def test_unpacked_depth_is_always_positive_and_finite() -> None:
    frames, depth = unpack_rgbd(torch.full((4, 1, 2, 2), -50.0))
    assert frames.max() == 0
    assert np.isfinite(depth).all()
    assert (depth > 0).all()
