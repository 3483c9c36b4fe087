"""Refinement: the splats are fitted to the clip by gradient, for as long as the caller grants.

Every step draws one frame, compares it with the clip, and moves every value of every splat that was seen: L1 and
structural dissimilarity of the colours (Kerbl et al. 2023), relative error of the depth, what shines through, and at
first a pull on opacities (FreeTimeGS, arXiv 2506.05348). Splats that have become transparent are put where the picture
pulls most, at a fixed number of splats (after 3DGS-MCMC, arXiv 2404.09591).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from clips.clip import Clip
from recon.raster.torch_raster import TorchMotion, rasterization
from recon.similarity import ssim
from recon.splats import OPACITY_MAX, Splats, covariances_of, quats_and_scales

SSIM_WEIGHT = 0.2
DEPTH_WEIGHT = 0.1
SHINE_WEIGHT = 0.1
OPACITY_WEIGHT = 0.01
OPACITY_SHARE = 0.3
RATES = {
    "offsets": 0.05,
    "quats": 0.002,
    "log_scales": 0.005,
    "logits": 0.02,
    "colors": 0.005,
    "drifts": 0.02,
    "delays": 0.01,
    "log_widths": 0.01,
}
"""Adam's learning rates; offsets and drifts are in sizes of their splat, delays in widths of its window."""
OF_MOVING = ("drifts", "delays", "log_widths")
LAST_RATE = 0.1
LAST_DRIFT_RATE = 0.01
BETAS = (0.9, 0.99)
EPSILON = 1e-15
RELOCATE_EVERY = 50
RELOCATE_SHARE = 0.8
TRANSPARENT = 0.03
WIDEST = 1.5
"""Splats may grow to so many times their first size: a huge one would veil what no frame tells of."""


@dataclass(frozen=True)
class Round:
    """One stretch of the refinement: from share `start` to share `end` of all of it, within `seconds` or in `steps`.

    Attributes:
        number: seeds the order of the frames.
        steps: how many, where seconds do not decide; then one machine gives the same splats every time.
    """

    number: int
    start: float
    end: float
    seconds: float
    steps: int


class Fit:
    """Splats as numbers that a gradient moves, with Adam's moments: everything that a resumed refinement needs.

    Attributes:
        base: what the numbers are measured from: means, velocities, sizes, time centres and widths, windows; and which
            splats are filled.
        values: name to tensor, the names of RATES.
        steps: how many have been made.
    """

    def __init__(self, splats: Splats, filled: np.ndarray) -> None:
        quats, scales = quats_and_scales(splats.covariances)
        sizes = np.sqrt(scales[:, 1] * scales[:, 2])
        self.base = {
            "means": torch.from_numpy(splats.means.copy()),
            "velocities": torch.from_numpy(splats.velocities.copy()),
            "sizes": torch.from_numpy(np.maximum(sizes, 1e-6)),
            "largest": torch.from_numpy(np.log(scales * WIDEST)),
            "time_centers": torch.from_numpy(splats.time_centers.copy()),
            "time_widths": torch.from_numpy(splats.time_widths.copy()),
            "time_starts": torch.from_numpy(splats.time_starts.copy()),
            "time_ends": torch.from_numpy(splats.time_ends.copy()),
            "filled": torch.from_numpy(filled.copy()),
        }
        opacities = np.clip(splats.opacities, 1e-3, OPACITY_MAX)
        count = len(splats)
        self.values = {
            "offsets": torch.zeros(count, 3),
            "quats": torch.from_numpy(quats.copy()),
            "log_scales": torch.from_numpy(np.log(scales)),
            "logits": torch.from_numpy(np.log(opacities / (1.0 - opacities)).astype(np.float32)),
            "colors": torch.from_numpy(splats.colors.copy()),
            "drifts": torch.zeros(count, 3),
            "delays": torch.zeros(count),
            "log_widths": torch.zeros(count),
        }
        self.first = {name: torch.zeros_like(value) for name, value in self.values.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.values.items()}
        self.pull = torch.zeros(count)
        self.steps = 0

    def __len__(self) -> int:
        return len(self.pull)

    @property
    def filled(self) -> np.ndarray:
        """True where a splat continues a surface to where no frame looked, (N,)."""
        return self.base["filled"].numpy()

    @property
    def moving(self) -> Tensor:
        """True where a splat moves or fades, (N,)."""
        return torch.isfinite(self.base["time_widths"])

    def spans(self) -> Float[Tensor, " N"]:
        """Half of each window's length, seconds; 1 for splats without one."""
        half = 0.5 * (self.base["time_ends"] - self.base["time_starts"])
        return torch.where(torch.isfinite(half), half, 1.0)

    def means(self) -> Float[Tensor, "N 3"]:
        """Positions at the centre times."""
        return self.base["means"] + self.values["offsets"] * self.base["sizes"][:, None]

    def motion(self, time_s: float) -> TorchMotion:
        """Velocities and windows at an instant."""
        spans, base, values = self.spans(), self.base, self.values
        drift = values["drifts"] * (base["sizes"] / spans)[:, None]
        centers = base["time_centers"] + values["delays"] * spans
        widths = base["time_widths"] * values["log_widths"].exp()
        return TorchMotion(base["velocities"] + drift, centers, widths, base["time_starts"], base["time_ends"], time_s)

    @torch.no_grad()
    def splats(self) -> Splats:
        """The splats as they are now."""
        motion, values = self.motion(0.0), self.values
        quats = functional.normalize(values["quats"], dim=-1).numpy()
        return Splats(
            self.means().numpy(),
            motion.velocities.numpy(),
            covariances_of(quats, values["log_scales"].exp().numpy()),
            values["colors"].clamp(0.0, 1.0).numpy(),
            values["logits"].sigmoid().numpy(),
            motion.time_centers.numpy(),
            motion.time_widths.numpy(),
            self.base["time_starts"].numpy(),
            self.base["time_ends"].numpy(),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names that `restored` knows."""
        groups = {"base": self.base, "values": self.values, "first": self.first, "second": self.second}
        found = {f"{group}.{name}": tensor.numpy() for group, part in groups.items() for name, tensor in part.items()}
        return {**found, "pull": self.pull.numpy(), "steps": np.array(self.steps)}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> Fit:
        """What `arrays` gave."""
        fit = cls.__new__(cls)
        for group in ("base", "values", "first", "second"):
            names = [name for name in arrays if name.startswith(f"{group}.")]
            setattr(fit, group, {name.split(".")[1]: torch.from_numpy(arrays[name].copy()) for name in names})
        fit.pull, fit.steps = torch.from_numpy(arrays["pull"].copy()), int(arrays["steps"])
        return fit


class ClipTargets:
    """A clip as tensors to compare with."""

    def __init__(self, clip: Clip) -> None:
        self.frames = torch.from_numpy(np.ascontiguousarray(clip.frames))
        self.depth = torch.from_numpy(np.ascontiguousarray(clip.depth, np.float32))
        self.viewmats = torch.from_numpy(np.ascontiguousarray(clip.cameras.viewmats))
        self.Ks = torch.from_numpy(np.ascontiguousarray(clip.cameras.Ks))
        self.times = [float(time_s) for time_s in clip.times]
        self.size = (clip.cameras.width, clip.cameras.height)


def refine(fit: Fit, clip: Clip, part: Round, threads: int = 1) -> float:
    """Fit for one round; returns the mean loss of its steps (NaN where there was no time for any)."""
    if not len(fit):
        return math.nan
    targets, random = ClipTargets(clip), np.random.default_rng(part.number)
    order: list[int] = []
    begun, made, losses = time.perf_counter(), 0, []
    while True:
        spent = (time.perf_counter() - begun) / part.seconds if part.seconds else made / max(part.steps, 1)
        if spent >= 1.0 or not (part.seconds or part.steps):
            break
        share = part.start + (part.end - part.start) * spent
        order = order or random.permutation(len(clip)).tolist()
        losses.append(_step(fit, targets, order.pop(), share, threads))
        made += 1
        if fit.steps % RELOCATE_EVERY == 0 and share < RELOCATE_SHARE:
            relocate(fit, random)
    return float(np.mean(losses)) if losses else math.nan


def _step(fit: Fit, targets: ClipTargets, frame: int, share: float, threads: int) -> float:
    for value in fit.values.values():
        value.requires_grad_(True)
    loss = _loss(fit, targets, frame, share, threads)
    gradients = torch.autograd.grad(loss, list(fit.values.values()))
    for value in fit.values.values():
        value.requires_grad_(False)
    fit.steps += 1
    fit.pull.mul_(0.9).add_(gradients[0].norm(dim=-1), alpha=0.1)
    for name, gradient in zip(fit.values, gradients, strict=True):
        _adam(fit, name, gradient, share)
    fit.values["log_scales"].clamp_max_(fit.base["largest"])
    return loss.item()


def _loss(fit: Fit, targets: ClipTargets, frame: int, share: float, threads: int) -> Float[Tensor, ""]:
    values, one = fit.values, slice(frame, frame + 1)
    opacities = values["logits"].sigmoid()
    picture, alpha, _ = rasterization(
        fit.means(), values["quats"], values["log_scales"].exp(), opacities, values["colors"],
        targets.viewmats[one], targets.Ks[one], *targets.size, render_mode="RGB+D",
        motion=fit.motion(targets.times[frame]), threads=threads,
    )  # fmt: skip
    ours, theirs = picture[0, :, :, :3], targets.frames[frame].float() / 255.0
    depth = targets.depth[frame]
    loss = (1.0 - SSIM_WEIGHT) * (ours - theirs).abs().mean() + SSIM_WEIGHT * (1.0 - ssim(ours, theirs))
    covered = alpha[0, :, :, 0]
    loss = loss + DEPTH_WEIGHT * ((picture[0, :, :, 3] - covered * depth).abs() / depth).mean()
    loss = loss + SHINE_WEIGHT * (1.0 - covered).mean()
    return loss + OPACITY_WEIGHT * opacities.mean() if share < OPACITY_SHARE else loss


def _adam(fit: Fit, name: str, gradient: Tensor, share: float) -> None:
    """One step of Adam; what only moving splats have stays as it is in others."""
    last = LAST_DRIFT_RATE if name in OF_MOVING else LAST_RATE
    rate = RATES[name] * (last + (1.0 - last) * 0.5 * (1.0 + math.cos(math.pi * share)))
    if name in OF_MOVING:
        moving = fit.moving
        gradient = torch.where(moving[:, None] if gradient.ndim == 2 else moving, gradient, 0.0)
    first, second = fit.first[name], fit.second[name]
    first.lerp_(gradient, 1.0 - BETAS[0])
    second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
    grown = second.div(1.0 - BETAS[1] ** fit.steps).sqrt_().add_(EPSILON)
    fit.values[name].addcdiv_(first, grown, value=-rate / (1.0 - BETAS[0] ** fit.steps))


@torch.no_grad()
def relocate(fit: Fit, random: np.random.Generator) -> int:
    """Put transparent splats where the picture pulls most at others; returns how many were moved.

    A splat and its new twin together look as the one did before: opacity o becomes 1 - sqrt(1 - o) and the scales
    shrink as in 3DGS-MCMC (its equation 9 for two).
    """
    opacities = fit.values["logits"].sigmoid()
    dead = torch.nonzero(opacities < TRANSPARENT)[:, 0]
    wanted = torch.where(opacities < TRANSPARENT, 0.0, fit.pull * opacities).double().numpy()
    count = min(len(dead), int((wanted > 0.0).sum()))
    if count == 0:
        return 0
    dead = dead[:count]
    chosen = torch.from_numpy(random.choice(len(wanted), count, replace=False, p=wanted / wanted.sum()))
    before = opacities[chosen].clamp_max(OPACITY_MAX)
    after = 1.0 - (1.0 - before).sqrt()
    shrunk = (before / (2.0 * after - after.square() / math.sqrt(2.0))).log()
    fit.values["logits"][chosen] = torch.logit(after)
    fit.values["log_scales"][chosen] += shrunk[:, None].clamp_max(0.0)
    for part in (fit.base, fit.values):
        for tensor in part.values():
            tensor[dead] = tensor[chosen]
    for moment in (*fit.first.values(), *fit.second.values()):
        moment[dead] = 0.0
        moment[chosen] = 0.0
    nudge = torch.from_numpy(random.normal(size=(count, 3)).astype(np.float32))
    fit.values["offsets"][dead] += 0.5 * nudge
    fit.pull[chosen] *= 0.5
    fit.pull[dead] = fit.pull[chosen]
    return count
