"""What one reconstructed scene scores against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import binary_dilation

from benchmarks.reconstruction.pictures import (
    FLIP_EVERY,
    Video,
    depth_abs_rel,
    flip_map,
    masked_mean,
    psnr_db,
    ssim_map,
    ssim_mask,
    unsteadiness,
)
from benchmarks.reconstruction.scenes import Truth
from clips.cameras import Cameras
from clips.clip import Clip
from recon.export.fourdgs_file import encode_4dgs
from recon.instant import scene_at
from recon.raster import rasterization, render_scene
from recon.scene import Scene4D

HOLE_ALPHA = 0.9
"""A pixel is a hole where splats cover less than this share of it."""

SPEED_EVERY = 4
AROUND_PX = 4


@dataclass(frozen=True, eq=False)
class Drawn:
    """A scene as cameras see it: frames, expected depth in metres, alpha."""

    frames: Video
    depth: Float32[np.ndarray, "T H W"]
    alpha: Float32[np.ndarray, "T H W"]


def drawn(scene: Scene4D, cameras: Cameras, times: np.ndarray) -> Drawn:
    """`scene` seen by `cameras` at `times`."""
    return Drawn(*render_scene(scene, cameras, times))


def scores(scene: Scene4D, truth: Truth, seen: Drawn, held: Drawn) -> dict[str, float]:
    """Every figure of a scene; `seen` and `held` are it along the clip's cameras and along the held-out ones.

    Beginning with `clip_` or `held_`: along that path; `motion` in a name: inside the mask of what truly moves there;
    `held_seen_db`: where the clip showed the surface; `between`: held-out instants between two frames.
    """
    aside, between = truth.aside.clip, truth.between
    halfway = drawn(scene, between.cameras, between.times)
    truly = np.linalg.norm(truth.aside.velocity[::SPEED_EVERY], axis=-1)
    moves = np.isfinite(truly) & (truly > 0)
    return {
        **picture_scores("clip", seen, truth.clip),
        **picture_scores("held", held, aside),
        **error_parts(held.frames, truth),
        "between_db": psnr_db(halfway.frames, between.frames),
        "between_motion_db": psnr_db(halfway.frames, between.frames, between.motion_mask),
        "holes_percent": holes_percent(held),
        "velocity_epe_m_s": masked_mean(speed_error(scene, truth), moves),
        "true_speed_m_s": masked_mean(truly, moves),
        **size_scores(scene, truth.clip),
    }


def picture_scores(name: str, drawn_by_us: Drawn, clip: Clip) -> dict[str, float]:
    """Figures of pictures and depth along one path, whole and inside the clip's motion mask (NaN without one)."""
    frames, truth = drawn_by_us.frames, clip.frames
    mask = np.zeros(clip.depth.shape, bool) if clip.motion_mask is None else clip.motion_mask
    likeness, change = ssim_map(frames, truth), unsteadiness(frames, truth)
    error = flip_map(frames[::FLIP_EVERY], truth[::FLIP_EVERY])
    covered = drawn_by_us.alpha >= HOLE_ALPHA
    return {
        f"{name}_db": psnr_db(frames, truth),
        f"{name}_motion_db": psnr_db(frames, truth, mask),
        f"{name}_ssim": masked_mean(likeness),
        f"{name}_motion_ssim": masked_mean(likeness, ssim_mask(mask)),
        f"{name}_flip": masked_mean(error),
        f"{name}_motion_flip": masked_mean(error, mask[::FLIP_EVERY]),
        f"{name}_temporal": masked_mean(change),
        f"{name}_motion_temporal": masked_mean(change, mask[1:] | mask[:-1]),
        f"{name}_depth_abs_rel": depth_abs_rel(drawn_by_us.depth, clip.depth, covered),
        f"{name}_motion_depth_abs_rel": depth_abs_rel(drawn_by_us.depth, clip.depth, covered & mask),
    }


def error_parts(frames: Video, truth: Truth) -> dict[str, float]:
    """How much of the squared held-out error is where: in surfaces that the clip never shows, in what moves, in the
    AROUND_PX pixels around that (halos and ghosts), and in the rest.
    """
    aside, seen = truth.aside.clip, truth.seen
    moving = seen & truth.aside.moving
    halo = 2 * AROUND_PX + 1
    around = seen & ~moving & binary_dilation(truth.aside.moving, np.ones((1, halo, halo), bool))
    rest = seen & ~moving & ~around
    error = np.square(frames.astype(np.float64) - aside.frames).mean(axis=-1)
    total = max(float(error.sum()), 1e-9)
    parts = {"unseen": ~seen, "motion": moving, "around": around, "rest": rest}
    return {
        "held_seen_db": psnr_db(frames, aside.frames, seen),
        "held_around_db": psnr_db(frames, aside.frames, around),
        "held_rest_db": psnr_db(frames, aside.frames, rest),
        "unseen_percent": 100.0 * float((~seen).mean()),
        **{f"held_error_{name}_percent": 100.0 * float(error[part].sum()) / total for name, part in parts.items()},
    }


def holes_percent(drawn_by_us: Drawn) -> float:
    """Share of pixels that splats cover by less than HOLE_ALPHA, percent."""
    return 100.0 * float((drawn_by_us.alpha < HOLE_ALPHA).mean())


def size_scores(scene: Scene4D, clip: Clip) -> dict[str, float]:
    """Splats, bytes as `.4dgs`, and still pixels of the clip for each static splat (what merging gained)."""
    data_bytes, splats, static = len(encode_4dgs(scene)), len(scene), int(scene.is_static.sum())
    still = clip.depth.size if clip.motion_mask is None else int((~clip.motion_mask).sum())
    return {
        "splats": float(splats),
        "moving_splats": float(splats - static),
        "mb": data_bytes / 1e6,
        "bytes_per_splat": data_bytes / max(splats, 1),
        "merge_factor": still / max(static, 1),
    }


def speed_error(scene: Scene4D, truth: Truth) -> Float32[np.ndarray, "t H W"]:
    """|v - true v| in m/s at pixels of every SPEED_EVERYth held-out frame; v is blended from splats as colour is."""
    aside = truth.aside
    picked = range(0, len(aside.clip), SPEED_EVERY)
    found = np.stack([splat_velocity(scene, aside.clip, number) for number in picked])
    return np.asarray(np.linalg.norm(found - aside.velocity[::SPEED_EVERY], axis=-1), np.float32)


def splat_velocity(scene: Scene4D, view: Clip, number: int) -> Float32[np.ndarray, "H W 3"]:
    """Mean velocity of the splats that paint each pixel of one frame, m/s; zero where none does."""
    instant = scene_at(scene, float(view.times[number]))
    cameras = view.cameras[number : number + 1]
    blended, alpha, _ = rasterization(
        instant.means,
        instant.quats,
        instant.scales,
        instant.opacities,
        scene.velocities[instant.indices],
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
    )
    return np.asarray(blended[0] / np.maximum(alpha[0], 1e-6), np.float32)


def own_scores(scene: Scene4D, clip: Clip, aside: Cameras) -> dict[str, float]:
    """Figures of a generated clip, against itself: there is no other truth. Holes are those from `aside`."""
    return {
        **picture_scores("clip", drawn(scene, clip.cameras, clip.times), clip),
        "holes_percent": holes_percent(drawn(scene, aside, clip.times)),
        **size_scores(scene, clip),
    }
