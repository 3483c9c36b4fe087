"""Exact optical flow of an RGB-D clip whose cameras and one rigid, moving object are known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

from clips.cameras import Cameras
from clips.errors import InvalidClip

NEAR_M = 1e-6


def optical_flow(
    depth: Float32[np.ndarray, "T H W"],
    cameras: Cameras,
    object_mask: Bool[np.ndarray, "T H W"],
    centers: Float64[np.ndarray, "T 3"],
    rotations: Float64[np.ndarray, "T 3 3"],
) -> Float32[np.ndarray, "N H W 2"]:
    """Where what each pixel of frame k shows is in frame k + 1, minus where it is in frame k, (T-1, H, W, 2), pixels.

    The point in the middle of a pixel stays in the gate frame, or moves with the object where `object_mask` is set;
    whether something hides it in frame k + 1 plays no part. x is to the right, y down. Points at or behind the plane
    of the next camera are NaN.

    Args:
        depth: along the camera's z axis, metres, finite and positive.
        cameras: T cameras of the pictures' size.
        object_mask: pixels that show the object.
        centers: of the object, gate frame, metres.
        rotations: of the object, object to gate.

    Raises:
        InvalidClip: shapes disagree, or a depth is not finite and positive, or a pose is not finite.
    """
    depth = np.asarray(depth)
    _check(depth, cameras, object_mask, centers, rotations)
    static, moving = _maps(cameras, centers, rotations)
    height, width = depth.shape[1:]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    near = depth[:-1].reshape(-1, 1, x.size)
    seen = near * (static[:, :, :3] @ pixels) + static[:, :, 3:]
    frame, at = np.nonzero(np.asarray(object_mask, dtype=np.bool_)[:-1].reshape(-1, x.size))
    directions = np.einsum("nij,jn->ni", moving[frame, :, :3], pixels[:, at])
    seen[frame, :, at] = near[frame, 0, at, None] * directions + moving[frame, :, 3]
    ahead = seen[:, 2:]
    flow = seen[:, :2] / np.where(ahead > NEAR_M, ahead, np.nan) - pixels[:2]
    return np.ascontiguousarray(flow.transpose(0, 2, 1).reshape(-1, height, width, 2), dtype=np.float32)


def _maps(cameras: Cameras, centers: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps (T-1, 3, 4) of (depth x, depth y, depth, 1) of a pixel to the next picture: still points, the object."""
    count = len(cameras) - 1
    to_gate, to_picture = np.zeros((2, count, 4, 4))
    to_gate[:] = cameras.camera_to_world[:-1]
    to_gate[:, :, :3] = to_gate[:, :, :3] @ np.linalg.inv(cameras.Ks[:-1])
    to_picture[:] = cameras.viewmats[1:]
    to_picture[:, :3] = cameras.Ks[1:] @ to_picture[:, :3]
    turn = np.zeros((count, 4, 4))
    turn[:, :3, :3] = np.asarray(rotations[1:]) @ np.asarray(rotations[:-1]).transpose(0, 2, 1)
    turn[:, :3, 3] = centers[1:] - np.einsum("tij,tj->ti", turn[:, :3, :3], centers[:-1])
    turn[:, 3, 3] = 1.0
    return (to_picture @ to_gate)[:, :3], (to_picture @ turn @ to_gate)[:, :3]


def _check(depth: np.ndarray, cameras: Cameras, mask: np.ndarray, centers: np.ndarray, rotations: np.ndarray) -> None:
    expected = (len(cameras), cameras.height, cameras.width)
    got = (depth.shape, np.shape(mask), np.shape(centers), np.shape(rotations))
    names = ("depth", "object_mask", "centers", "rotations")
    wanted = (expected, expected, (len(cameras), 3), (len(cameras), 3, 3))
    for name, shape, want in zip(names, got, wanted, strict=True):
        if shape != want:
            raise InvalidClip(f"optical flow: {name} must be {want} to match the cameras, got shape {shape}")
    if not np.isfinite(depth).all() or depth.min() <= 0.0:
        raise InvalidClip("optical flow: depth must be finite and positive metres")
    if not np.isfinite(centers).all() or not np.isfinite(rotations).all():
        raise InvalidClip("optical flow: the object's centers and rotations must be finite")
