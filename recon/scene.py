"""Scene4D: the splats of one segment with explicit motion (FreeTimeGS form, arXiv 2506.05348)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float32

from recon.errors import InvalidScene

TEMPORAL_CUTOFF = 0.05


@dataclass(frozen=True, eq=False)
class Scene4D:
    """Splats in the gate frame (x right, y down, z into the room, metres), as stored (not activated).

    Attributes:
        means: position at the centre time, (N, 3), metres.
        quats: rotation w,x,y,z, unit length, (N, 4).
        log_scales: natural log of the standard deviations, (N, 3), log metres.
        logit_opacities: (N,).
        sh0: degree-0 SH colour of sRGB-encoded display values, (N, 1, 3): colour = 0.5 + 0.28209479 * sh0.
        shN: higher degrees, (N, K-1, 3); K = 1 when there are none.
        velocities: (N, 3), metres per second.
        time_centers: (N,), scene seconds.
        time_widths: temporal standard deviation s, (N,), seconds; inf for static splats.
        time_starts, time_ends: the hard window, (N,), scene seconds; -inf and inf for static splats.
        duration_s: length of the segment that the scene shows.

    Raises:
        InvalidScene: lengths disagree or a value means nothing.
    """

    means: Float32[np.ndarray, "N 3"]
    quats: Float32[np.ndarray, "N 4"]
    log_scales: Float32[np.ndarray, "N 3"]
    logit_opacities: Float32[np.ndarray, " N"]
    sh0: Float32[np.ndarray, "N 1 3"]
    shN: Float32[np.ndarray, "N K 3"]
    velocities: Float32[np.ndarray, "N 3"]
    time_centers: Float32[np.ndarray, " N"]
    time_widths: Float32[np.ndarray, " N"]
    time_starts: Float32[np.ndarray, " N"]
    time_ends: Float32[np.ndarray, " N"]
    duration_s: float

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def is_static(self) -> np.ndarray:
        """True where a splat neither moves nor fades, (N,)."""
        return np.asarray(np.isinf(self.time_widths))


def static_part(scene: Scene4D) -> Scene4D:
    """The splats of `scene` that neither move nor fade."""
    arrays = {f.name: getattr(scene, f.name)[scene.is_static] for f in fields(scene) if f.name != "duration_s"}
    return replace(scene, **arrays)


_TAILS: dict[str, tuple[int, ...]] = {
    "means": (3,),
    "quats": (4,),
    "log_scales": (3,),
    "logit_opacities": (),
    "sh0": (1, 3),
    "velocities": (3,),
    "time_centers": (),
    "time_widths": (),
    "time_starts": (),
    "time_ends": (),
}
_MAY_BE_INFINITE = {"time_widths", "time_starts", "time_ends"}


def _check(scene: Scene4D) -> None:
    count = len(scene.means)
    for name, tail in _TAILS.items():
        array = getattr(scene, name)
        if array.shape != (count, *tail) or array.dtype != np.float32:
            raise InvalidScene(f"{name} must be float32 {(count, *tail)}, got {array.dtype} {array.shape}")
    if scene.shN.ndim != 3 or scene.shN.shape[0] != count or scene.shN.shape[2] != 3:
        raise InvalidScene(f"shN must be float32 ({count}, K-1, 3), got {scene.shN.shape}")
    for field in fields(scene):
        value = getattr(scene, field.name)
        bad = np.isnan(value) if field.name in _MAY_BE_INFINITE else ~np.isfinite(value)
        if np.any(bad):
            raise InvalidScene(f"{field.name} must be finite; {int(np.sum(bad))} values are not")
    if np.any(scene.time_widths <= 0) or np.any(scene.time_ends < scene.time_starts):
        raise InvalidScene("time_widths must be positive and time_ends not before time_starts")
    if not scene.duration_s >= 0:
        raise InvalidScene(f"duration_s must not be negative, got {scene.duration_s}")
