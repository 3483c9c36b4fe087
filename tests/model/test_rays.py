import numpy as np
import torch

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras
from model.rays import plucker_rays


def test_first_latent_frame_has_one_camera_and_groups_have_two() -> None:
    cameras = CameraPath(kind=PathKind.WALK_IN).cameras(9, 48, 32)
    rays = plucker_rays(cameras, 4, 8)
    assert rays.shape == (12, 3, 4, 6)
    assert torch.equal(rays[:6, 0], rays[6:, 0])
    assert not torch.allclose(rays[3:6, 1], rays[9:, 1])


def test_moment_is_normal_to_the_unit_direction() -> None:
    rays = plucker_rays(CameraPath(kind=PathKind.ORBIT).cameras(5, 48, 32), 4, 8)
    direction, moment = rays[:3], rays[3:6]
    assert torch.allclose(direction.square().sum(0), torch.ones(2, 4, 6), atol=1e-5)
    assert (direction * moment).sum(0).abs().max() < 1e-5


def test_every_ray_goes_through_its_camera_and_its_cell() -> None:
    cameras = CameraPath(kind=PathKind.PAN, angle_deg=35.0).cameras(9, 48, 32)
    rays = plucker_rays(cameras, 4, 8).double().numpy()
    for latent_frame, frame in ((0, 0), (1, 4), (2, 8)):
        direction, moment = rays[6:9, latent_frame, 1, 4], rays[9:, latent_frame, 1, 4]
        assert np.allclose(np.cross(cameras.positions[frame], direction), moment, atol=1e-5)
        point = cameras.positions[frame] + 3.0 * direction
        in_camera = cameras.viewmats[frame] @ np.append(point, 1.0)
        pixel = cameras.Ks[frame] @ in_camera[:3]
        assert np.allclose(pixel[:2] / pixel[2], [4.5 * 8, 1.5 * 8], atol=1e-3)


def test_a_still_camera_has_the_same_rays_in_every_latent_frame() -> None:
    cameras = CameraPath(kind=PathKind.STILL).cameras(9, 48, 32)
    rays = plucker_rays(Cameras(cameras.viewmats, cameras.Ks, 48, 32), 4, 8)
    assert torch.allclose(rays[:, :1].expand_as(rays), rays)
