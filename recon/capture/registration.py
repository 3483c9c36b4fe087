"""Registration: cameras and sparse points of pictures that have neither, by COLMAP's incremental mapping (pycolmap)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from clips.cameras import Cameras
from clips.footage.lens import Lens, straightening
from recon.capture.capture import Capture, SparsePoints
from recon.capture.diagnosis import REMEDIES, left_out, movement_of, told
from recon.capture.features import Optics, Shared, Tell, share
from recon.capture.moving import moving_cells, odd_features
from recon.capture.pictures import MIN_FRAMES, Pictures
from recon.capture.placement import GUESSED_DISTANCE_M, estimate_down, placed, scale_of
from recon.capture.settings import CaptureSettings
from recon.errors import Unreconstructable

MIN_SHARE = 0.3
MAX_ERROR_PX = 2.0
_MIN_TRACK = 3
_FOCAL_FACTOR = 1.2
_FOCAL_SHARES = 0.35, 3.5
_MAX_K1 = 0.5
_UNBENDING_STEPS = 30


@dataclass(frozen=True, eq=False)
class Model:
    """What mapping found, in its own world and units.

    Attributes:
        frames: indices of the pictures that have a pose, (R,), increasing.
        poses: their camera-to-world matrices, (R, 4, 4).
        lens: of all of them; k1 is its only distortion.
        positions, colors: of points, (N, 3) each.
        seen: rows (point, index into `frames`), (M, 2).
    """

    frames: np.ndarray
    poses: np.ndarray
    lens: Lens
    positions: np.ndarray
    colors: np.ndarray
    seen: np.ndarray


def register(pictures: Pictures, settings: CaptureSettings, tell: Tell) -> Capture:
    """The Capture of `pictures`: poses, one lens, sparse points, and a mask of what moves, in the gate frame.

    The scale is unknown unless settings.scale_m tells it, and up is estimated from how the camera was held; `notes`
    says both, and which frames were left out and why. The same pictures and settings give the same capture.

    Raises:
        Unreconstructable: less than MIN_SHARE of the frames could be registered; says which and why.
    """
    height, width = pictures.frames.shape[1:3]
    focal_px = pictures.focal_px or _FOCAL_FACTOR * max(width, height)
    guess = Lens(width, height, focal_px, focal_px, width / 2, height / 2)
    optics = [Optics("SIMPLE_RADIAL", (focal_px, width / 2, height / 2, 0.0))]
    with tempfile.TemporaryDirectory(prefix="narthex-capture-") as folder:
        shared = share(
            list(pictures.frames), optics, Path(folder), settings, in_sequence=pictures.in_sequence, tell=tell
        )
        _refuse_without_parallax(pictures, shared, focal_px)
        tell("mapping", 0.0)
        mapped = _mapped(shared, settings)
        model = None if mapped is None else _model(mapped, shared, guess)
        missing = np.setdiff1d(np.arange(len(pictures)), [] if model is None else model.frames)
        rows = left_out(pictures, shared, missing.tolist())
        if model is None or mapped is None or len(model.frames) < max(MIN_FRAMES, MIN_SHARE * len(pictures)):
            raise Unreconstructable(
                f"{len(missing)} of {len(pictures)} frames could not be registered: {'; '.join(told(rows))}"
            )
        tell("moving", 0.0)
        moving = _moving(model, shared, max(width, height))
        if moving.any():
            _refine_without(mapped, shared, model, moving)
            model = _model(mapped, shared, guess)
    return _capture(pictures, model, moving, settings, told(rows))


def _refuse_without_parallax(pictures: Pictures, shared: Shared, focal_px: float) -> None:
    height, width = pictures.frames.shape[1:3]
    reason = movement_of(shared, (width, height), focal_px)
    if reason is not None:
        raise Unreconstructable(
            f"none of {len(pictures)} frames could be registered: {reason.value} from {pictures.names[0]} to "
            f"{pictures.names[-1]}, so that no two frames show parallax; {REMEDIES[reason]}"
        )


def _mapped(shared: Shared, settings: CaptureSettings) -> pycolmap.Reconstruction | None:
    """The largest model with a lens that can be; None where no pair of frames starts one.

    The lens is found with the cameras, which a flat scene or few frames do not allow: then focal length and
    distortion run away together. Such a model is given up for one without distortion.
    """
    found = []
    for refines_distortion in (True, False):
        model = _largest(shared, settings, refines_distortion)
        if model is not None:
            found.append(model)
            if _is_plausible(model) and model.num_reg_images() == len(shared.image_ids):
                break
    return max(
        found, key=lambda model: (_is_plausible(model), model.num_reg_images(), model.num_points3D()), default=None
    )


def _largest(shared: Shared, settings: CaptureSettings, refines_distortion: bool) -> pycolmap.Reconstruction | None:
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads, options.random_seed = 1, settings.seed
    options.mapper.random_seed = options.triangulation.random_seed = settings.seed
    options.min_model_size, options.max_num_models = MIN_FRAMES, 3
    options.ba_refine_extra_params = options.mapper.abs_pose_refine_extra_params = refines_distortion
    # COLMAP's own choice is for thousands of pictures on many cores: most of its time goes into repeated adjustments.
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.3
    options.ba_global_max_refinements, options.ba_local_max_refinements = 2, 1
    options.ba_global_max_num_iterations, options.ba_local_max_num_iterations = 40, 15
    options.ba_global_function_tolerance = options.ba_local_function_tolerance = 1e-5
    out = shared.database.parent / f"models-{refines_distortion}"
    out.mkdir()
    models = pycolmap.incremental_mapping(shared.database, shared.pictures, out, options=options)
    return max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)


def _is_plausible(model: pycolmap.Reconstruction) -> bool:
    (camera,) = model.cameras.values()
    focal, _, _, k1 = camera.params
    share = focal / max(camera.width, camera.height)
    return bool(_FOCAL_SHARES[0] < share < _FOCAL_SHARES[1] and abs(k1) < _MAX_K1)


def _model(mapped: pycolmap.Reconstruction, shared: Shared, guess: Lens) -> Model:
    registered = set(mapped.reg_image_ids())
    frames = np.array([frame for frame, image in enumerate(shared.image_ids) if image in registered], int)
    index = {shared.image_ids[frame]: row for row, frame in enumerate(frames)}
    poses = np.tile(np.eye(4), (len(frames), 1, 1))
    for image, row in index.items():
        poses[row, :3] = mapped.images[image].cam_from_world().inverse().matrix()
    (camera,) = mapped.cameras.values()
    focal, cx, cy, k1 = camera.params
    kept = [point for point in mapped.points3D.values() if _is_good(point)]
    seen = [(row, index[element.image_id]) for row, point in enumerate(kept) for element in point.track.elements]
    return Model(
        frames=frames,
        poses=poses,
        lens=replace(guess, fl_x=focal, fl_y=focal, cx=cx, cy=cy, k1=k1),
        positions=np.array([point.xyz for point in kept], np.float64).reshape(-1, 3),
        colors=np.array([point.color for point in kept], np.uint8).reshape(-1, 3),
        seen=np.array(sorted(set(seen)), np.int32).reshape(-1, 2),
    )


def _is_good(point: Any) -> bool:
    return bool(point.error <= MAX_ERROR_PX and point.track.length() >= _MIN_TRACK)


def _moving(model: Model, shared: Shared, long_side_px: int) -> np.ndarray:
    """Masks of the registered frames, in the bent pictures."""
    features = [features if len(features) else np.zeros((0, 2)) for features in shared.features()]
    row = {int(frame): index for index, frame in enumerate(model.frames)}
    chosen = [features[frame] for frame in model.frames]
    rays = [_rays(positions, model.lens) for positions in chosen]
    pairs = [(row[a], row[b], found) for a, b, found in shared.matches() if a in row and b in row]
    odd = odd_features(rays, pairs, model.poses, model.lens.fl_x, long_side_px)
    return moving_cells(chosen, odd, (model.lens.width, model.lens.height))


def _rays(positions: np.ndarray, lens: Lens) -> np.ndarray:
    """Straightened directions (x/z, y/z) of pixels (F, 2), by fixed-point iteration."""
    focal, center = np.array([lens.fl_x, lens.fl_y]), np.array([lens.cx, lens.cy])
    rays = (positions - center) / focal
    for _ in range(_UNBENDING_STEPS):
        rays = rays - 0.7 * (lens.pixels_of(rays) - positions) / focal
    return np.asarray(rays)


def _refine_without(mapped: pycolmap.Reconstruction, shared: Shared, model: Model, moving: np.ndarray) -> None:
    """Drops what moving cells contributed to the model, and adjusts the rest."""
    for row, frame in enumerate(model.frames):
        image = mapped.images[shared.image_ids[frame]]
        for number, feature in enumerate(image.points2D):
            x, y = feature.xy
            inside = 0 <= x < moving.shape[2] and 0 <= y < moving.shape[1]
            if feature.has_point3D() and inside and moving[row, int(y), int(x)]:
                mapped.delete_observation(image.image_id, number)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_extra_params = model.lens.k1 != 0.0
    options.print_summary = False
    options.ceres.solver_options.num_threads = 1
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in mapped.reg_image_ids():
        config.add_image(image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # pycolmap.bundle_adjustment does the same and prints, whatever the level of its log.
    pycolmap.create_default_bundle_adjuster(options, config, mapped).solve()
    mapped.update_point_3d_errors()


def _capture(
    pictures: Pictures, model: Model, moving: np.ndarray, settings: CaptureSettings, problems: list[str]
) -> Capture:
    by = straightening(model.lens)
    frames = np.stack([by.picture(pictures.frames[frame]) for frame in model.frames])
    masks = np.stack([by.plane(mask) for mask in moving])
    positions = model.poses[:, :3, 3]
    distances = np.linalg.norm(positions[model.seen[:, 1]] - model.positions[model.seen[:, 0]], axis=1)
    units_to_m, is_metric = scale_of(positions, distances, settings.scale_m)
    viewmats, points = placed(model.poses, model.positions, estimate_down(model.poses), units_to_m)
    notes = [f"left out: {line}" for line in problems]
    notes.append(_scale_note(settings.scale_m, is_metric))
    notes.append("up: estimated from how the camera was held")
    if masks.any():
        notes.append(f"moving things: {100 * masks.mean():.1f} % of the pictures is masked; they are not reconstructed")
    height, width = frames.shape[1:3]
    return Capture(
        frames=frames,
        cameras=Cameras(viewmats, np.repeat(by.K[None], len(frames), axis=0), width, height),
        times=pictures.times[model.frames],
        names=tuple(pictures.names[frame] for frame in model.frames),
        points=SparsePoints(points, model.colors, model.seen),
        moving=masks,
        is_metric=is_metric,
        notes=tuple(notes),
    )


def _scale_note(scale_m: float | None, is_metric: bool) -> str:
    if is_metric:
        return f"scale: first and last camera are {scale_m:g} m apart, as told"
    return (
        f"scale: unknown (pictures alone do not show it); what the cameras see lies {GUESSED_DISTANCE_M:g} m away in "
        f"the median; give --scale-m METRES between the first and the last camera"
    )
