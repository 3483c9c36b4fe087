"""How quick the CPU rasterizer is, beside bare loops that do only its arithmetic.

    python -m benchmarks.raster [--json] [--check]

Three scenes are really reconstructed from one walk through a held-out dungeon room with two movers, coarse to fine, to
about 5,000, 20,000 and 100,000 splats, and drawn at 256x256 and 640x360 as RGB and depth, at the instant of a frame,
with one and two threads; `forward` is the picture, `backward` what its gradients by every value of the splats take
after it. A bare loop goes over the same Gaussian-pixel pairs in the same order: forward one exp and the blend's
multiply-adds, backward one exp and those of all sums that the gradients need; it knows the pairs beforehand and
projects and sorts nothing. Both take turns, and the median of several rounds is taken.

Figures with an aim: `forward_over_bare` and `backward_over_bare` are the worst of all scenes and sizes with one thread,
`two_thread_share` is the least speed-up by a second thread over that of the bare loop, of scenes and sizes whose
picture takes a millisecond or more, and `growth_exponent` the power of the number of splats, from the middle to the
largest scene, with which forward and backward together grow.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numba import njit

from benchmarks.aims import check
from benchmarks.reconstruction.scenes import SCENES, truth_of
from clips.clip import Clip
from recon.instant import Instant, scene_at
from recon.pipeline import reconstruct
from recon.raster.bands import run_all
from recon.raster.blend import collect_weights, front_to_back
from recon.raster.projection import project
from recon.raster.torch_raster import rasterization
from recon.settings import ReconSettings

SCENE = "walk-two-flat"
GRAINS = {"5k": (5.0, 2.0), "20k": (2.2, 1.0), "100k": (0.9, 0.45)}
"""Cells and spreads, in pixel footprints, that give about so many splats."""
SIZES = ((256, 256), (640, 360))
ROUNDS = 9
LEAST_S = 1e-3


@njit(nogil=True)
def bare_forward(
    pixels: np.ndarray,
    splats: np.ndarray,
    powers: np.ndarray,
    features: np.ndarray,
    image: np.ndarray,
    left: np.ndarray,
) -> None:
    """One exp and four multiply-adds a pair, into (P, 4) and the transmittance (P,)."""
    for n in range(len(pixels)):
        p, g = pixels[n], splats[n]
        alpha = np.exp(-powers[n])
        weight = left[p] * alpha
        for k in range(4):
            image[p, k] += weight * features[g, k]
        left[p] *= np.float32(1.0) - alpha


@njit(nogil=True)
def bare_backward(
    pixels: np.ndarray,
    splats: np.ndarray,
    powers: np.ndarray,
    features: np.ndarray,
    image: np.ndarray,
    left: np.ndarray,
    behind: np.ndarray,
    sums: np.ndarray,
) -> None:
    """One exp a pair, and the multiply-adds of four features' gradients, of what lies behind, and of three moments."""
    for n in range(len(pixels)):
        p, g = pixels[n], splats[n]
        alpha = np.exp(-powers[n])
        weight = left[p] * alpha
        own = np.float32(0.0)
        for k in range(4):
            own += features[g, k] * image[p, k]
            sums[g, k] += weight * image[p, k]
        behind[p] -= weight * own
        push = weight * own - behind[p] * alpha
        dx = np.float32(p & 255)
        sums[g, 4] += push
        sums[g, 5] += push * dx
        sums[g, 6] += push * dx * dx
        left[p] *= np.float32(1.0) - alpha


@dataclass(frozen=True, eq=False)
class Pairs:
    """The blends of one picture in their order, split at a row into two halves of about equal work.

    Attributes:
        halves: (pixels, splats, powers) of each.
        features, image, left, behind: what the loops read and write, (N, 4), (P, 4), (P,), (P,).
    """

    halves: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    features: np.ndarray
    image: np.ndarray
    left: np.ndarray
    behind: np.ndarray

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return sum(len(pixels) for pixels, _, _ in self.halves)

    def seconds(self, threads: int, backward: bool) -> float:
        """What going over all pairs takes, with one thread or each half in its own."""
        self.left[:], self.behind[:] = 1.0, 0.0
        calls: list[Callable[[], object]] = []
        for half in self.halves:
            if backward:
                sums = np.zeros((len(self.features), 7), np.float32)
                calls.append(partial(bare_backward, *half, self.features, self.image, self.left, self.behind, sums))
            else:
                calls.append(partial(bare_forward, *half, self.features, self.image, self.left))
        begun = time.perf_counter()
        if threads > 1:
            run_all(calls)
        else:
            for call in calls:
                call()
        return time.perf_counter() - begun


def pairs_of(instant: Instant, viewmat: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> Pairs:
    """The blends of an instant in one view."""
    ellipses = project(instant.means, instant.quats, instant.scales, viewmat, K, *size, opacities=instant.opacities)
    seen, pixels_total = front_to_back(ellipses), size[0] * size[1]
    pixels, splats, weights = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
    count = collect_weights(seen.geometry, seen.order, np.ones(size[::-1], np.float32), pixels, splats, weights)
    pixels, splats, weights = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.float32)
    collect_weights(seen.geometry, seen.order, np.ones(size[::-1], np.float32), pixels, splats, weights)
    middle = int(np.median(pixels // size[0])) * size[0]
    powers = np.full(count, 2.0, np.float32)
    halves = tuple((pixels[part], splats[part], powers[part]) for part in (pixels < middle, pixels >= middle))
    features, image = np.ones((len(instant.means), 4), np.float32), np.zeros((pixels_total, 4), np.float32)
    return Pairs(halves, features, image, np.ones(pixels_total, np.float32), np.zeros(pixels_total, np.float32))


def drawing(instant: Instant, clip: Clip, frame: int, size: tuple[int, int]) -> Callable[[int], tuple[float, float]]:
    """A call that draws an instant and its gradients with so many threads; returns seconds forward and backward."""
    cameras = clip.cameras.resized(*size)
    means, quats, scales, opacities, colors = values = [
        torch.from_numpy(np.ascontiguousarray(array)).requires_grad_(True)
        for array in (instant.means, instant.quats, instant.scales, instant.opacities, instant.colors)
    ]
    viewmats, Ks = (torch.from_numpy(part[frame : frame + 1]) for part in (cameras.viewmats, cameras.Ks))

    def draw(threads: int) -> tuple[float, float]:
        begun = time.perf_counter()
        picture, alpha, _ = rasterization(
            means, quats, scales, opacities, colors, viewmats, Ks, *size, render_mode="RGB+D", threads=threads
        )
        drawn = time.perf_counter()
        torch.autograd.grad([picture, alpha], values, [torch.ones_like(picture), torch.ones_like(alpha)])
        return drawn - begun, time.perf_counter() - drawn

    return draw


def measure(clip: Clip, instant: Instant, frame: int, size: tuple[int, int]) -> dict[str, float]:
    """Median seconds of the rasterizer and of the bare loops, with one and two threads, and their ratios."""
    cameras = clip.cameras.resized(*size)
    pairs, draw = (
        pairs_of(instant, cameras.viewmats[frame], cameras.Ks[frame], size),
        drawing(instant, clip, frame, size),
    )
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS + 1):
        for threads in (1, 2):
            row = dict(zip(("forward", "backward"), draw(threads), strict=True))
            row["bare_forward"] = pairs.seconds(threads, backward=False)
            row["bare_backward"] = pairs.seconds(threads, backward=True)
            for name, seconds in row.items():
                taken.setdefault(f"{name}_{threads}_s", []).append(seconds)
    # The first round compiles and warms up.
    figures = {name: float(np.median(seconds[1:])) for name, seconds in taken.items()}
    figures |= {"splats": float(len(pairs.features)), "pairs": float(pairs.count)}
    for way in ("forward", "backward"):
        one, two, bare = figures[f"{way}_1_s"], figures[f"{way}_2_s"], figures[f"bare_{way}_1_s"]
        figures[f"{way}_ratio"] = one / bare
        figures[f"{way}_share"] = (one / two) / (bare / figures[f"bare_{way}_2_s"])
        figures[f"{way}_blends_per_s"] = pairs.count / one
    return figures


def summary(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """The figures that have an aim."""
    shares = [
        row[f"{way}_share"] for row in rows.values() for way in ("forward", "backward") if row[f"{way}_1_s"] >= LEAST_S
    ]
    growth = []
    for width, height in SIZES:
        middle, large = rows[f"20k_{width}x{height}"], rows[f"100k_{width}x{height}"]
        times = [row["forward_1_s"] + row["backward_1_s"] for row in (middle, large)]
        growth.append(math.log(times[1] / times[0]) / math.log(large["splats"] / middle["splats"]))
    return {
        "forward_over_bare": max(row["forward_ratio"] for row in rows.values()),
        "backward_over_bare": max(row["backward_ratio"] for row in rows.values()),
        "two_thread_share": min(shares),
        "growth_exponent": max(growth),
    }


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clip = truth_of(next(scene for scene in SCENES if scene.name == SCENE), 0).clip
    frame, rows = len(clip) // 2, {}
    for grain, (cell, spread) in GRAINS.items():
        settings = ReconSettings(cell_footprints=cell, spread_footprints=spread, color_rounds=1)
        instant = scene_at(reconstruct(clip, settings), float(clip.times[frame]))
        for width, height in SIZES:
            rows[f"{grain}_{width}x{height}"] = measure(clip, instant, frame, (width, height))
    figures = summary(rows)
    if arguments.json:
        print(
            json.dumps(
                {**figures, **{f"{row}_{name}": value for row, part in rows.items() for name, value in part.items()}}
            )
        )
    else:
        _print(rows, figures)
    return check("raster", figures) if arguments.check else 0


def _print(rows: dict[str, dict[str, float]], figures: dict[str, float]) -> None:
    print(f"{'':16}{'splats':>8}{'pairs':>11}{'fwd ms':>9}{'bare':>8}{'ratio':>7}{'2 thr':>7}{'bwd ms':>9}{'bare':>8}"
          f"{'ratio':>7}{'2 thr':>7}{'Mblends/s':>11}")  # fmt: skip
    for name, row in rows.items():
        parts = [f"{name:16}{row['splats']:8.0f}{row['pairs']:11.0f}"]
        for way in ("forward", "backward"):
            parts.append(
                f"{1e3 * row[f'{way}_1_s']:9.2f}{1e3 * row[f'bare_{way}_1_s']:8.2f}{row[f'{way}_ratio']:7.2f}"
                f"{row[f'{way}_share']:7.2f}"
            )
        print("".join(parts) + f"{row['forward_blends_per_s'] / 1e6:11.1f}")
    for name, value in figures.items():
        print(f"{name:22} {value:8.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
