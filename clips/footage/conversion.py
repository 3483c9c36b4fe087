"""From an engine's axes, units, depth and colour to Narthex's own convention."""

from __future__ import annotations

import math

import numpy as np

from clips.cameras import Cameras
from clips.errors import InvalidCameras
from clips.footage.camera_file import CAMERAS_FILE, RawCameras
from clips.footage.dataset_file import CameraConvention, DepthConvention, Limits, Origin
from clips.frame_axes import poses_from

_UPRIGHT_DEG = 80.0
_FRAMES_SHOWN = 6


def our_cameras(raw: RawCameras, convention: CameraConvention, size: tuple[int, int]) -> Cameras:
    """Cameras in the gate frame (OpenCV axes, metres, pixel centres at half-integers) of what a file says.

    Raises:
        InvalidCameras: a matrix is no rigid transform in the named axes; says which other axes would make it one.
    """
    if convention.is_gate_frame and raw.gate is None and raw.viewmats is not None:
        _check_rigid(raw.poses)
        return Cameras(raw.viewmats, raw.Ks, *size)
    poses = poses_from(raw.poses, convention.world, convention.camera)
    _check_rigid(poses)
    if raw.gate is not None:
        gate = poses_from(raw.gate, convention.world, convention.world)
        _check_rigid(gate[None], "gate_to_world")
        poses = _inverse(gate) @ poses
    elif convention.origin is not Origin.GATE:
        poses = _inverse(_under_first_camera(poses[0], convention)) @ poses
    return Cameras(_inverse(poses), raw.Ks, *size)


def check_path(cameras: Cameras, times: np.ndarray, limits: Limits) -> None:
    """Nothing, where the cameras stand near the gate and move as cameras do.

    Raises:
        InvalidCameras: a jump or a camera far away; names the frames, the distance and what to do.
    """
    positions = cameras.positions
    distance_m = np.linalg.norm(positions, axis=1)
    if distance_m.max() > limits.max_distance_m:
        far = int(distance_m.argmax())
        raise InvalidCameras(
            f"{CAMERAS_FILE}: camera {far} stands {distance_m[far]:.1f} m from the gate, limits.max_distance_m is "
            f"{limits.max_distance_m:g}; give gate_to_world, set cameras.origin to first_camera, or correct units_per_m"
        )
    if len(cameras) < 2:
        return
    gaps_s = np.diff(times)
    steps_m = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    turns_deg = turned_deg(cameras)
    jumps = np.flatnonzero((steps_m > limits.max_speed_m_s * gaps_s) | (turns_deg > limits.max_turn_deg_s * gaps_s))
    if len(jumps):
        at = int(jumps[0])
        raise InvalidCameras(
            f"{CAMERAS_FILE}: the camera jumps {steps_m[at]:.2f} m and {turns_deg[at]:.0f} degrees between frames "
            f"{at} and {at + 1} ({gaps_s[at]:.3g} s; limits.max_speed_m_s {limits.max_speed_m_s:g}, "
            f"limits.max_turn_deg_s {limits.max_turn_deg_s:g}); cut the clip there, or correct units_per_m or fps"
        )


def turned_deg(cameras: Cameras) -> np.ndarray:
    """How far the camera turns from each frame to the next, degrees, (T-1,)."""
    rotations = cameras.viewmats[:, :3, :3]
    traces = np.einsum("tij,tij->t", rotations[1:], rotations[:-1])
    return np.asarray(np.degrees(np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))))


def our_depth(values: np.ndarray, convention: DepthConvention, cameras: Cameras) -> np.ndarray:
    """Planar depth (T, H, W) in metres, float32, of a file's numbers; NaN and the like stay for `check_depth`."""
    depth = values / convention.units_per_m
    if convention.far_m is not None:
        far = (depth > convention.far_m) | ((depth == 0.0) & convention.zero_is_far)
        depth = np.where(far, convention.far_m, depth)
    if convention.kind == "ray":
        depth = depth / _ray_lengths(cameras)
    return np.ascontiguousarray(depth, dtype=np.float32)


def srgb_encoded(frames: np.ndarray) -> np.ndarray:
    """8-bit sRGB of 8-bit linear light (IEC 61966-2-1)."""
    light = np.arange(256) / 255.0
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255.0 * encoded).astype(np.uint8)[frames])


def _ray_lengths(cameras: Cameras) -> np.ndarray:
    """Length of each pixel's ray where its planar depth is 1, (T, H, W)."""
    u, v = np.arange(cameras.width) + 0.5, np.arange(cameras.height) + 0.5
    Ks = cameras.Ks
    x = (u[None] - Ks[:, 0, 2, None]) / Ks[:, 0, 0, None]
    y = (v[None] - Ks[:, 1, 2, None]) / Ks[:, 1, 1, None]
    return np.asarray(np.sqrt(1.0 + x[:, None, :] ** 2 + y[:, :, None] ** 2))


def _check_rigid(poses: np.ndarray, name: str = "pose") -> None:
    rotations = poses[:, :3, :3]
    off = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    bad = np.flatnonzero(off > 1e-3)
    if len(bad):
        scale = np.cbrt(abs(np.linalg.det(rotations[bad[0]])))
        raise InvalidCameras(
            f"{CAMERAS_FILE}: {name} of frames {bad[:_FRAMES_SHOWN].tolist()} is no rotation (scale {scale:.4g}, "
            f"off by {off[bad[0]]:.2g}); write rotation and translation without scale or shear"
        )
    mirrored = np.flatnonzero(np.linalg.det(rotations) < 0)
    if len(mirrored):
        raise InvalidCameras(
            f"{CAMERAS_FILE}: {name} of frames {mirrored[:_FRAMES_SHOWN].tolist()} is a mirror in the named axes; "
            f"correct cameras.world_axes or cameras.camera_axes (Unity's Camera.cameraToWorldMatrix is system "
            f"unity-camera-matrix)"
        )


def _under_first_camera(pose: np.ndarray, convention: CameraConvention) -> np.ndarray:
    """The gate frame's pose (4, 4): on the floor under a camera, z along its view."""
    rotation, forward = pose[:3, :3], pose[:3, 2]
    if convention.origin is Origin.FIRST_CAMERA:
        slope_deg = math.degrees(math.asin(float(np.clip(abs(forward[1]), 0.0, 1.0))))
        if slope_deg > _UPRIGHT_DEG:
            raise InvalidCameras(
                f"{CAMERAS_FILE}: the first camera looks {slope_deg:.0f} degrees up or down, so origin first_camera "
                f"finds no heading; give gate_to_world, or correct cameras.world_axes"
            )
        level = np.array([forward[0], 0.0, forward[2]]) / math.hypot(forward[0], forward[2])
        down = np.array([0.0, 1.0, 0.0])
        rotation = np.stack([np.cross(down, level), down, level], axis=1)
    gate = np.eye(4)
    gate[:3, :3] = rotation
    gate[:3, 3] = pose[:3, 3] + rotation[:, 1] * convention.eye_height_m
    return gate


def _inverse(poses: np.ndarray) -> np.ndarray:
    rotation = np.swapaxes(poses[..., :3, :3], -1, -2)
    inverse = np.zeros_like(poses)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, poses[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse
