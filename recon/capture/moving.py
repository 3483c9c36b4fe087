"""Moving: where pictures show things that do not stay where they are, by matches that the cameras do not explain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import binary_dilation

ODD_SHARE = 0.006
_CELLS_ALONG = 20
_MIN_ODD_PAIRS = 2
_MIN_ODD_FEATURES = 3
_MIN_ODD_SHARE = 0.5
_NO_BASELINE = 1e-9


def odd_features(
    rays: list[np.ndarray],
    matches: list[tuple[int, int, np.ndarray]],
    poses: Float64[np.ndarray, "T 4 4"],
    focal_px: float,
    long_side_px: int,
) -> list[np.ndarray]:
    """True for features of each frame that go elsewhere than the cameras carry a still point, (F,) each.

    A feature is odd if it breaks the epipolar constraint with at least two other frames, and with more than half of
    those that it has a match in. One wrong match, or a thing that moves along its own epipolar line, stays unnoticed.

    Args:
        rays: straightened directions (x/z, y/z) of each frame's features, (F, 2); frames without a pose have none.
        matches: (frame, frame, feature pairs (M, 2)) by descriptors alone.
        poses: camera-to-world, OpenCV axes.
        focal_px, long_side_px: turn distances into pixels; the limit is ODD_SHARE of the longer side.
    """
    broken, total = ([np.zeros(len(frame), int) for frame in rays] for _ in range(2))
    for a, b, found in matches:
        if not len(found) or not len(rays[a]) or not len(rays[b]):
            continue
        distance_px = _epipolar(rays[a][found[:, 0]], rays[b][found[:, 1]], poses[a], poses[b]) * focal_px
        odd = distance_px > ODD_SHARE * long_side_px
        for frame, column in ((a, 0), (b, 1)):
            np.add.at(total[frame], found[:, column], 1)
            np.add.at(broken[frame], found[odd, column], 1)
    return [(bad >= _MIN_ODD_PAIRS) & (2 * bad > of) for bad, of in zip(broken, total, strict=True)]


def moving_cells(features: list[np.ndarray], odd: list[np.ndarray], size: tuple[int, int]) -> Bool[np.ndarray, "T H W"]:
    """Masks (T, H, W) of the cells that mostly odd features fall into, and the cells around them; `size` (W, H).

    Cells are a twentieth of the longer side, so a mask is coarse; fewer than three odd features mean nothing.
    """
    width, height = size
    cell = max(1, -(-max(size) // _CELLS_ALONG))
    shape = (-(-height // cell), -(-width // cell))
    masks = np.zeros((len(features), height, width), np.bool_)
    for frame, (positions, is_odd) in enumerate(zip(features, odd, strict=True)):
        if not is_odd.any():
            continue
        rows = np.clip((positions[:, 1] // cell).astype(int), 0, shape[0] - 1)
        columns = np.clip((positions[:, 0] // cell).astype(int), 0, shape[1] - 1)
        bad, all_of = np.zeros(shape), np.zeros(shape)
        np.add.at(all_of, (rows, columns), 1)
        np.add.at(bad, (rows, columns), is_odd)
        moves = (bad >= _MIN_ODD_FEATURES) & (bad > _MIN_ODD_SHARE * all_of)
        moves = binary_dilation(moves, np.ones((3, 3), bool))
        masks[frame] = np.repeat(np.repeat(moves, cell, 0), cell, 1)[:height, :width]
    return masks


def _epipolar(one: np.ndarray, other: np.ndarray, pose: np.ndarray, other_pose: np.ndarray) -> np.ndarray:
    """Sampson distance of matched directions (M, 2) for a focal length of 1 (Hartley and Zisserman 2004, 11.9)."""
    turn = other_pose[:3, :3].T @ pose[:3, :3]
    shift = other_pose[:3, :3].T @ (pose[:3, 3] - other_pose[:3, 3])
    length = float(np.linalg.norm(shift))
    if length < _NO_BASELINE:
        return np.zeros(len(one))
    x, y, z = shift / length
    essential = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) @ turn
    a, b = (np.column_stack([rays, np.ones(len(rays))]) for rays in (one, other))
    line, back = a @ essential.T, b @ essential
    miss = (b * line).sum(axis=1)
    norm = line[:, 0] ** 2 + line[:, 1] ** 2 + back[:, 0] ** 2 + back[:, 1] ** 2
    return np.asarray(np.abs(miss) / np.sqrt(np.maximum(norm, 1e-18)))
