import torch

from clips.cameras import Cameras
from model.dit import UNKNOWN, Dit
from model.guidance import guided_velocity
from model.rays import plucker_rays
from model.sampler import sample_euler, seeded_noise, sigma_grid

SHAPE = (6, 3, 4, 6)


def _conditions(cameras: Cameras, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    slots = (torch.arange(batch)[:, None] + torch.arange(7)) % 4
    return slots, plucker_rays(cameras, 4, 8).expand(batch, -1, -1, -1, -1)


@torch.no_grad()
def test_guidance_at_scale_one_is_none(small_dit: Dit, cameras: Cameras) -> None:
    slots, rays = _conditions(cameras, 2)
    state, sigmas = seeded_noise([1, 2], SHAPE), torch.tensor([0.8, 0.3])
    plain = guided_velocity(small_dit, slots, rays, 1.0)(state, sigmas)
    assert torch.equal(plain, small_dit(state, sigmas, slots, rays))
    nearly = guided_velocity(small_dit, slots, rays, 1.0 + 1e-7)(state, sigmas)
    assert torch.allclose(plain, nearly, atol=1e-5)


@torch.no_grad()
def test_guidance_at_scale_zero_forgets_the_slots_and_keeps_the_cameras(small_dit: Dit, cameras: Cameras) -> None:
    slots, rays = _conditions(cameras, 2)
    state, sigmas = seeded_noise([1, 2], SHAPE), torch.tensor([0.8, 0.3])
    forgot = guided_velocity(small_dit, slots, rays, 0.0)(state, sigmas)
    expected = small_dit(state, sigmas, torch.full_like(slots, UNKNOWN), rays)
    assert torch.allclose(forgot, expected, atol=1e-5)


@torch.no_grad()
def test_guidance_is_linear_in_its_scale(small_dit: Dit, cameras: Cameras) -> None:
    slots, rays = _conditions(cameras, 1)
    state, sigmas = seeded_noise([4], SHAPE), torch.tensor([0.6])
    at = {scale: guided_velocity(small_dit, slots, rays, scale)(state, sigmas) for scale in (0.0, 1.0, 3.0)}
    assert torch.allclose(at[3.0], at[0.0] + 3.0 * (at[1.0] - at[0.0]), atol=1e-4)
    assert (at[3.0] - at[1.0]).abs().max() > 1e-3


@torch.no_grad()
def test_a_batch_equals_single_runs(small_dit: Dit, cameras: Cameras) -> None:
    seeds = [11, 12, 13]
    slots, rays = _conditions(cameras, 3)
    sigmas = sigma_grid(5, 2.0)
    batch = sample_euler(guided_velocity(small_dit, slots, rays, 2.0), seeded_noise(seeds, SHAPE), sigmas)
    for i, seed in enumerate(seeds):
        flow = guided_velocity(small_dit, slots[i : i + 1], rays[i : i + 1], 2.0)
        single = sample_euler(flow, seeded_noise([seed], SHAPE), sigmas)
        assert torch.allclose(single[0], batch[i], atol=1e-5)
