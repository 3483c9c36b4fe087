"""Seeding: the first Gaussians of a capture, from dense depth where views agree, and from sparse points elsewhere."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from clips.cameras import Cameras
from recon.capture.capture import SparsePoints
from recon.capture.stereo import Dense
from recon.merge import merge
from recon.points import Points, concatenate, points_of
from recon.raster import rasterization
from recon.settings import ReconSettings
from recon.splats import Splats, concatenate_splats, quats_and_scales, static_splats

SEEDS = ReconSettings(cell_footprints=1.5, spread_footprints=0.75)
GUESSES = ReconSettings(cell_footprints=2.5, spread_footprints=1.25)
SPARSE_OPACITY = 0.1
_NEIGHBOURS = 3
_COVERED = 0.5
_LOOKS = 8
_FARTHEST = 3.0


def sparse_splats(points: SparsePoints) -> Splats:
    """One round Gaussian for each sparse point: as large as its three nearest neighbours are far (3DGS, section 5.1).

    Faint (SPARSE_OPACITY), to start an optimisation from. Fewer than four points have no neighbours to tell a size
    by: none are made.
    """
    count = len(points)
    if count <= _NEIGHBOURS:
        return _none()
    distances, _ = cKDTree(points.positions).query(points.positions, k=_NEIGHBOURS + 1)
    mean = np.sqrt(np.square(distances[:, 1:]).mean(axis=1))
    # A point far from all others would be a ball that hides everything before it.
    scales = np.clip(mean, 1e-6, _FARTHEST * np.median(mean))
    covariances = np.zeros((count, 6))
    covariances[:, [0, 3, 5]] = np.square(scales)[:, None]
    return static_splats(points.positions, covariances, points.colors / 255.0, SPARSE_OPACITY)


def dense_splats(dense: Dense, settings: ReconSettings = SEEDS) -> Splats:
    """Flat Gaussians of all pixels with known depth, merged where several pictures show one surface."""
    return merge(_points(dense, dense.depth > 0), settings)


def guessed_splats(dense: Dense, splats: Splats, settings: ReconSettings = GUESSES) -> Splats:
    """Coarser Gaussians for what `splats` leave empty in _LOOKS evenly spaced pictures.

    Depth there is stereo's unconfirmed guess, or the nearest known pixel's; most of it is nearly right, and a hole
    is wrong for sure. Frame by frame, so that what one frame fills is not filled again by the next.
    """
    count = len(dense.frames)
    added: list[Splats] = []
    for frame in np.unique(np.linspace(0, count - 1, min(_LOOKS, count)).astype(int)):
        alpha = _alpha(concatenate_splats([splats, *added]), dense.cameras, int(frame))
        empty = np.zeros(dense.depth.shape, bool)
        empty[frame] = alpha < _COVERED
        if not empty.any() or not (dense.guess[frame] > 0).any():
            continue
        filled = Dense(dense.guess, dense.guess, dense.frames, dense.cameras)
        added.append(merge(_points(filled, empty, int(frame)), settings))
    return concatenate_splats(added) if added else _none()


def filled_in(depth: np.ndarray) -> np.ndarray:
    """Depth (T, H, W) whose unknown pixels (0) take the nearest known pixel's; a frame that knows none is 1 m away."""
    out = np.ones_like(depth)
    for frame, plane in enumerate(depth):
        if (plane > 0).any():
            rows, columns = distance_transform_edt(plane <= 0, return_distances=False, return_indices=True)
            out[frame] = plane[rows, columns]
    return out


def _points(dense: Dense, chosen: np.ndarray, frame: int | None = None) -> Points:
    """Samples of the pixels `chosen` (T, H, W), of one frame or of all."""
    parts = []
    for index in range(len(dense.frames)) if frame is None else [frame]:
        one = slice(index, index + 1)
        samples = points_of(dense.frames[one], filled_in(dense.depth[one]), dense.cameras[one])
        parts.append(samples[chosen[index].ravel()])
    return concatenate(parts)


def _alpha(splats: Splats, cameras: Cameras, frame: int) -> np.ndarray:
    if not len(splats):
        return np.zeros((cameras.height, cameras.width), np.float32)
    quats, scales = quats_and_scales(splats.covariances)
    one = slice(frame, frame + 1)
    _, alpha, _ = rasterization(
        splats.means, quats, scales, splats.opacities, splats.colors,
        cameras.viewmats[one], cameras.Ks[one], cameras.width, cameras.height,
    )  # fmt: skip
    return np.asarray(alpha[0, ..., 0])


def _none() -> Splats:
    return static_splats(np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 3)), SPARSE_OPACITY)
