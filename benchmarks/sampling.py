"""How many network evaluations each sampler needs, on a distribution whose velocity is known in closed form.

    python -m benchmarks.sampling [--json] [--check] [--samples N] [--picture FILE.png]

Samples of a mixture of two Gaussians in the plane (unequal shares, unequal widths, variance about 1 as whitened latents
have) are made by every sampler on every path. `error` is the largest, in percent, of: the error of the mean over the
mixture's deviation, of the covariance over the covariance (Frobenius), and of a component's share over its share.
`direct` is the error that one in ten sets of as many samples, drawn from the mixture itself, exceeds: figures about
that or below cannot be told apart.
The velocity here is exact. A network's is not, and how samplers bear that is a question for `benchmarks.model`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.aims import check
from model.diffusion import DIFFUSIONS, diffusion
from model.interpolant import PATHS, Path
from model.sampler import Velocity, sample_euler, sample_heun, sample_sde, sample_sde_heun, seeded_noise, sigma_grid

EVALUATIONS = (4, 8, 16, 32, 64, 128)
SHIFT = 1.0
SEED = 1

Sampler = Callable[[Velocity, Tensor, Tensor], Tensor]
"""(velocity, state at sigmas[0], sigmas) to the state at sigmas[-1]."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians with diagonal covariances, in any number of dimensions: means (K, D), variances (K, D), shares (K,)."""

    means: Tensor
    variances: Tensor
    shares: Tensor

    @property
    def mean(self) -> Float[Tensor, " D"]:
        """The mean of all."""
        return self.shares @ self.means

    @property
    def covariance(self) -> Float[Tensor, "D D"]:
        """The covariance of all."""
        spread = self.means - self.mean
        return torch.diag(self.shares @ self.variances) + torch.einsum("k,ki,kj->ij", self.shares, spread, spread)

    def responsibilities(self, points: Float[Tensor, "*N D"]) -> Float[Tensor, "*N K"]:
        """The probability that each component made a point."""
        return self._posterior(points[..., None, :] - self.means, self.variances)

    def velocity(self, path: str) -> Velocity:
        """The exact dx/dsigma, E[alpha' data + noise_scale' noise | x], for points (B, ..., D) and sigmas (B,).

        Each component stays Gaussian: its mean moves as alpha does, its offsets grow at half the rate of its variance.
        The paths are written out here once more, so that the ones of the model are held against something else.
        """

        def exact(points: Tensor, sigmas: Tensor) -> Tensor:
            level = sigmas.double().view(-1, *([1] * points.ndim))
            alpha, slope, power, half_growth = (part.to(points.dtype) for part in _PATHS[path](level))
            offsets = points[..., None, :] - alpha * self.means
            variances = alpha**2 * self.variances + power
            growth = (alpha * slope * self.variances + half_growth) / variances
            weight = self._posterior(offsets, variances)
            return (weight[..., None] * (slope * self.means + growth * offsets)).sum(-2)

        return exact

    def draw(self, count: int, random: torch.Generator) -> Float[Tensor, "N D"]:
        """Points (N, D) of the mixture itself."""
        chosen = torch.multinomial(self.shares, count, replacement=True, generator=random)
        unit = torch.randn(count, self.means.shape[1], generator=random)
        return self.means[chosen] + self.variances[chosen].sqrt() * unit

    def error(self, points: Float[Tensor, "N D"]) -> float:
        """The largest relative error of the mean, the covariance and the shares of points (N, D); 0.03 is 3 %."""
        wanted, centred = self.covariance, points - points.mean(0)
        found = centred.T @ centred / len(points)
        shares = self.responsibilities(points).mean(0)
        of_mean = (points.mean(0) - self.mean).norm() / wanted.trace().sqrt()
        of_covariance = (found - wanted).norm() / wanted.norm()
        of_shares = ((shares - self.shares).abs() / self.shares).max()
        return float(torch.stack([of_mean, of_covariance, of_shares]).max())

    def _posterior(self, offsets: Tensor, variances: Tensor) -> Tensor:
        log_density = -0.5 * (offsets**2 / variances + variances.log()).sum(-1)
        return (self.shares.log() + log_density).softmax(-1)


TWO = Mixture(
    means=torch.tensor([[-1.0, 0.6], [0.8, -0.2]]),
    variances=torch.tensor([[0.06, 0.25], [0.3, 0.12]]),
    shares=torch.tensor([0.4, 0.6]),
)


def _linear(level: Tensor) -> tuple[Tensor, ...]:
    return 1.0 - level, -torch.ones_like(level), level**2, level


def _gvp(level: Tensor) -> tuple[Tensor, ...]:
    angle = 0.5 * math.pi * level
    cosine, sine = angle.cos(), angle.sin()
    return cosine, -0.5 * math.pi * sine, sine**2, 0.5 * math.pi * sine * cosine


def _vp(level: Tensor) -> tuple[Tensor, ...]:
    alpha = torch.exp(-0.05 * level - 4.975 * level**2)
    slope = -0.5 * (0.1 + 19.9 * level) * alpha
    return alpha, slope, 1.0 - alpha**2, -alpha * slope


_PATHS: dict[str, Callable[[Tensor], tuple[Tensor, ...]]] = {"linear": _linear, "gvp": _gvp, "vp": _vp}
"""Sigmas to alpha, alpha', noise_scale^2 and noise_scale noise_scale'."""


def samplers(path: Path) -> dict[str, tuple[Sampler, int]]:
    """By name, each sampler on a path and its evaluations a step."""
    table: dict[str, tuple[Sampler, int]] = {"euler": (sample_euler, 1), "heun": (sample_heun, 2)}
    for name in DIFFUSIONS:
        if name != "zero":
            w = diffusion(name, path)
            table[f"sde {name}"] = (partial(sample_sde, diffusion=w, seeds=[SEED], path=path), 1)
            table[f"sde-heun {name}"] = (partial(sample_sde_heun, diffusion=w, seeds=[SEED], path=path), 2)
    return table


def direct_error(count: int) -> float:
    """The error in percent that one in ten sets of `count` points of the mixture itself exceeds."""
    random = torch.Generator().manual_seed(SEED)
    errors = sorted(TWO.error(TWO.draw(count, random)) for _ in range(20))
    return round(100.0 * errors[17], 3)


def measure(path: Path, count: int) -> dict[str, list[float]]:
    """By sampler, the error in percent at each of `EVALUATIONS`, from the same noise."""
    start = seeded_noise([SEED], (count, 2))
    flow = TWO.velocity(path.name)
    return {
        name: [
            round(100.0 * TWO.error(sampler(flow, start, sigma_grid(evaluations // each, SHIFT))[0]), 3)
            for evaluations in EVALUATIONS
        ]
        for name, (sampler, each) in samplers(path).items()
    }


def write_picture(tables: dict[str, dict[str, list[float]]], floor: float, file: FilePath) -> None:
    """Error against evaluations, one panel a path: solid lines are first order, dashed ones second."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True)
    colors = {name: f"C{index}" for index, name in enumerate(("ode", *(w for w in DIFFUSIONS if w != "zero")))}
    for panel, (path, rows) in zip(panels, tables.items(), strict=True):
        for name, errors in rows.items():
            color = colors[name.partition(" ")[2] or "ode"]
            style = "--" if "heun" in name else "-"
            panel.loglog(EVALUATIONS, errors, style, color=color, marker="o", markersize=3, label=name)
        panel.axhspan(0.0, floor, color="0.9", label="what direct samples miss")
        panel.axhline(3.0, color="0.5", linewidth=0.8)
        panel.set_title(f"{path} path")
        panel.set_xlabel("network evaluations")
        panel.set_xticks(EVALUATIONS, [str(evaluations) for evaluations in EVALUATIONS])
        panel.minorticks_off()
    panels[0].set_ylabel("error of the moments, %")
    panels[0].set_yticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000, help="samples of each figure (default 20,000)")
    parser.add_argument("--picture", type=FilePath, help="also draw the errors into this PNG file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    floor = direct_error(arguments.samples)
    tables = {name: measure(path, arguments.samples) for name, path in PATHS.items()}
    figures = {"direct": floor} | {
        f"{path}_{name.replace(' ', '_').replace('-', '_')}_{evaluations}": error
        for path, rows in tables.items()
        for name, errors in rows.items()
        for evaluations, error in zip(EVALUATIONS, errors, strict=True)
    }
    if arguments.picture:
        write_picture(tables, floor, arguments.picture)
    if arguments.json:
        print(json.dumps(figures))
    else:
        print_tables(tables, floor)
    return _check(figures) if arguments.check else 0


def print_tables(tables: dict[str, dict[str, list[float]]], floor: float) -> None:
    """One table a path: a row for each sampler, a column for each number of evaluations."""
    print(f"error of the moments in percent; direct samples: {floor:.2f}")
    for path, rows in tables.items():
        print(f"\n{path + ' path, evaluations':32}" + "".join(f"{evaluations:8d}" for evaluations in EVALUATIONS))
        for name, errors in rows.items():
            print(f"{name:32}" + "".join(f"{error:8.2f}" for error in errors))


def _check(figures: dict[str, float]) -> int:
    """The outcome of `benchmarks.aims.check`; 0 with a note while no issue has set an aim for samplers."""
    try:
        return check("sampling", figures)
    except ValueError as error:
        print(f"no aims are set for samplers yet ({error})", file=sys.stderr)
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
