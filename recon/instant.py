"""A Scene4D at one instant: motion and fading evaluated, values activated, ready to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from recon.export.color import display_of_sh0
from recon.scene import TEMPORAL_CUTOFF, Scene4D


@dataclass(frozen=True, eq=False)
class Instant:
    """The splats of a scene that are visible at one time, activated.

    Attributes:
        indices: which splats of the scene these are, (M,).
        means: positions at this time, (M, 3), metres.
        quats: w,x,y,z, (M, 4).
        scales: standard deviations, (M, 3), metres.
        opacities: with the temporal factor, (M,), in [0, 1].
        colors: sRGB-encoded display values of the degree-0 SH, (M, 3), at least 0.
    """

    indices: Int64[np.ndarray, " M"]
    means: Float32[np.ndarray, "M 3"]
    quats: Float32[np.ndarray, "M 4"]
    scales: Float32[np.ndarray, "M 3"]
    opacities: Float32[np.ndarray, " M"]
    colors: Float32[np.ndarray, "M 3"]


def temporal_factor(scene: Scene4D, time_s: float) -> np.ndarray:
    """exp(-0.5 ((x - tau) / s)^2) at x = `time_s`, (N,); 0 outside the hard window and where it is under 0.05.

    The window is half open, [time_starts, time_ends), as in the `.4dgs` container.
    """
    elapsed = (time_s - scene.time_centers.astype(np.float64)) / scene.time_widths
    factor = np.exp(-0.5 * np.square(elapsed))
    visible = (scene.time_starts <= time_s) & (time_s < scene.time_ends) & (factor >= TEMPORAL_CUTOFF)
    return np.where(visible, factor, 0.0)


def scene_at(scene: Scene4D, time_s: float) -> Instant:
    """The visible splats of `scene` at `time_s` scene seconds: position mu + v (x - tau), opacity with its factor."""
    factor = temporal_factor(scene, time_s)
    indices = np.flatnonzero(factor > 0.0)
    elapsed = (time_s - scene.time_centers[indices].astype(np.float64))[:, None]
    means = scene.means[indices] + scene.velocities[indices] * elapsed
    logits = scene.logit_opacities[indices].astype(np.float64)
    opacities = factor[indices] / (1.0 + np.exp(-logits))
    colors = np.maximum(display_of_sh0(scene.sh0[indices, 0]), 0.0)
    return Instant(
        indices,
        means.astype(np.float32),
        scene.quats[indices],
        np.exp(scene.log_scales[indices]),
        opacities.astype(np.float32),
        colors.astype(np.float32),
    )
