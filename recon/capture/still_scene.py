"""The still scene of a capture: seeds from stereo, colours refitted, all refined by gradient; no moving things."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clips.cameras import Cameras
from clips.clip import Clip
from recon.capture.capture import Capture
from recon.capture.features import Tell
from recon.capture.seeding import dense_splats, filled_in, guessed_splats, sparse_splats
from recon.capture.settings import CaptureSettings
from recon.capture.stereo import Dense, dense_depth, nearest
from recon.errors import Unreconstructable
from recon.prune import visible
from recon.raster import render_scene
from recon.refine import Fit, Round, refine
from recon.refit import View, every_view, refit_colors, splat_weights
from recon.scene import Scene4D
from recon.splats import Splats, concatenate_splats, scene_of

COLOR_STEPS = 30
MAX_BLENDS = 24_000_000
_BLENDS_PER_PIXEL = 16
_REFINE_ROUNDS = 20
_OPAQUE = 0.5


def still_scene(capture: Capture, settings: CaptureSettings, tell: Tell) -> tuple[Scene4D, Dense]:
    """The Scene4D of what stands still in `capture`, and the dense depth that it was made from.

    Splats are static; the scene lasts as long as the capture.

    Raises:
        Unreconstructable: no depth could be found anywhere; says what to do.
    """
    dense = dense_depth(capture, settings, tell)
    tell("seeds", 0.0)
    splats = seeds(capture, dense)
    if not len(splats):
        raise Unreconstructable(
            f"no surface was found in {len(capture)} frames: no two of them agree on any depth; check that the cameras "
            f"belong to the pictures, and that neighbouring pictures overlap"
        )
    duration_s = capture.times[-1] - capture.times[0]
    tell("colors", 0.0)
    splats = _colored(splats, capture, dense, duration_s)
    if settings.refine_steps and len(splats):
        splats = _refined(splats, capture, dense, settings, tell)
    return scene_of(splats, duration_s), dense


def seeds(capture: Capture, dense: Dense) -> Splats:
    """Gaussians to start from: confirmed depth, guesses where that leaves holes; sparse points if there is none."""
    confirmed = dense_splats(dense)
    if not len(confirmed):
        return sparse_splats(capture.points)
    return concatenate_splats([confirmed, guessed_splats(dense, confirmed)])


def _colored(splats: Splats, capture: Capture, dense: Dense, duration_s: float) -> Splats:
    """`splats` with the colours that reproduce the pictures best, less those that no picture shows."""
    pixels = dense.cameras.width * dense.cameras.height
    affordable = int(np.clip(MAX_BLENDS // (_BLENDS_PER_PIXEL * pixels), 3, len(capture)))
    chosen = np.unique(np.linspace(0, len(capture) - 1, affordable).astype(int))
    cameras = Cameras(
        dense.cameras.viewmats[chosen], dense.cameras.Ks[chosen], dense.cameras.width, dense.cameras.height
    )
    clip = Clip(dense.frames[chosen], filled_in(dense.depth[chosen]), cameras, capture.times[chosen])
    views = list(every_view(scene_of(splats, duration_s), clip))
    if capture.moving is not None:
        moving = nearest(capture.moving[chosen], dense.cameras).reshape(len(chosen), -1)
        views = [_still(view, mask) for view, mask in zip(views, moving, strict=True)]
    colors = refit_colors(splats.colors, views, COLOR_STEPS)
    keep = visible(splats, splat_weights(views, len(splats)), np.zeros(len(splats), bool))
    return replace(splats, colors=colors)[keep]


def _refined(splats: Splats, capture: Capture, dense: Dense, settings: CaptureSettings, tell: Tell) -> Splats:
    """`splats` fitted to the pictures by gradient, at the size of `dense`."""
    clip = refinement_clip(scene_of(splats, capture.times[-1] - capture.times[0]), capture, dense)
    fit = Fit(splats, np.zeros(len(splats), bool))
    rounds = min(_REFINE_ROUNDS, settings.refine_steps)
    for number in range(rounds):
        tell("refine", number / rounds)
        steps = settings.refine_steps // rounds + (number < settings.refine_steps % rounds)
        refine(fit, clip, Round(number, number / rounds, (number + 1) / rounds, 0.0, steps), settings.threads)
    return fit.splats()


def refinement_clip(scene: Scene4D, capture: Capture, dense: Dense) -> Clip:
    """What a refinement of `scene` compares with, as a clip at the size of `dense`.

    Depth that nobody confirmed, and colours where something moved, are the scene's own as it is now: they pull at
    nothing at first, and lightly against leaving later.
    """
    frames, depth, alpha = render_scene(scene, dense.cameras, capture.times)
    ours = np.where((alpha > _OPAQUE) & (depth > 0), depth, filled_in(dense.depth))
    pictures = dense.frames
    if capture.moving is not None:
        pictures = np.where(nearest(capture.moving, dense.cameras)[..., None], frames, pictures)
    return Clip(pictures, np.where(dense.depth > 0, dense.depth, ours).astype(np.float32), dense.cameras, capture.times)


def _still(view: View, moving: np.ndarray) -> View:
    """A view without the pixels of moving things: those are no colour of the still scene."""
    keep = ~moving[view.pixels]
    return View(view.pixels[keep], view.splats[keep], view.weights[keep], view.target)
