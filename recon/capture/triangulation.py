"""Triangulation: sparse points of pictures whose cameras are known."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap

from recon.capture.capture import Capture, SparsePoints
from recon.capture.features import Optics, Shared, Tell, picture_name, share
from recon.capture.settings import CaptureSettings
from recon.errors import Unreconstructable

MIN_POINTS = 20
MAX_ERROR_PX = 2.0


def with_points(capture: Capture, settings: CaptureSettings, tell: Tell) -> Capture:
    """`capture` with the points that its pictures share, by SIFT matches that its cameras allow.

    Raises:
        Unreconstructable: hardly a point agrees with the cameras: their axes or intrinsics are probably mistaken, or
            the pictures show no texture.
    """
    with tempfile.TemporaryDirectory(prefix="narthex-capture-") as folder:
        frames = list(capture.frames)
        shared = share(frames, _optics(capture), Path(folder), settings, in_sequence=False, tell=tell)
        tell("points", 0.0)
        points = _points(capture, shared, settings)
        matches = sum(len(found) for _, _, found in shared.verified())
    if len(points) < MIN_POINTS:
        raise Unreconstructable(
            f"the cameras of {len(capture)} frames explain {len(points)} points of {matches} matches, at least "
            f"{MIN_POINTS} are needed; check that poses are camera-to-world in OpenGL axes and that fl_x, cx and cy "
            f"belong to the pictures, or leave transforms.json away to have the cameras found"
        )
    return replace(capture, points=points)


def _optics(capture: Capture) -> list[Optics]:
    Ks = capture.cameras.Ks
    optics = [Optics("PINHOLE", (K[0, 0], K[1, 1], K[0, 2], K[1, 2])) for K in Ks]
    return optics[:1] if bool((Ks == Ks[0]).all()) else optics


def _points(capture: Capture, shared: Shared, settings: CaptureSettings) -> SparsePoints:
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads, options.random_seed = 1, settings.seed
    options.mapper.random_seed = options.triangulation.random_seed = settings.seed
    out = shared.database.parent / "model"
    out.mkdir()
    model = pycolmap.triangulate_points(_posed(capture, shared), shared.database, shared.pictures, out, options=options)
    frame = {image: index for index, image in enumerate(shared.image_ids)}
    kept = [point for point in model.points3D.values() if point.error <= MAX_ERROR_PX]
    seen = {(row, frame[element.image_id]) for row, point in enumerate(kept) for element in point.track.elements}
    return SparsePoints(
        np.array([point.xyz for point in kept], np.float64).reshape(-1, 3),
        np.array([point.color for point in kept], np.uint8).reshape(-1, 3),
        np.array(sorted(seen), np.int32).reshape(-1, 2),
    )


def _posed(capture: Capture, shared: Shared) -> pycolmap.Reconstruction:
    """A model of the capture's cameras without points, its ids those of the database."""
    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(shared.database) as database:
        for camera in database.read_all_cameras():
            model.add_camera_with_trivial_rig(camera)
        for index, image_id in enumerate(shared.image_ids):
            stored = database.read_image(image_id)
            image = pycolmap.Image(name=picture_name(index), camera_id=stored.camera_id, image_id=image_id)
            viewmat = pycolmap.Rigid3d(capture.cameras.viewmats[index, :3])
            model.add_image_with_trivial_frame(image, viewmat)
    return model
