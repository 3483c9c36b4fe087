"""How quick the CPU rasterizer is, beside a bare loop that does only its arithmetic.

    python -m benchmarks.raster [--json] [--check]

Scenes are really reconstructed from held-out dungeon clips, DRAFT and FULL, and drawn with the clip's middle camera at
256x256 and 640x360, with one and two threads. `blends_per_s` counts Gaussian-pixel pairs that reach the picture. The
bare loop does one exp and the blend's multiply-adds for each of the same pairs, in the same order and in one thread;
`ratio` is the rasterizer's seconds (one thread, projection and sorting included) over the loop's. The median of several
runs is taken; the figures depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from benchmarks.aims import check
from clips.dungeon.render import render_sample
from recon.instant import Instant, scene_at
from recon.pipeline import reconstruct
from recon.raster import rasterization
from recon.raster.blend import collect_weights
from recon.raster.projection import project
from recon.raster.rasterize import front_to_back
from recon.settings import ReconSettings

SIZES = ((256, 256), (640, 360))
RUNS = 7


@njit(nogil=True)
def bare_loop(
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
        left[p] *= 1.0 - alpha


def median_s(call: Callable[[], object]) -> float:
    """Median seconds of several runs, after one that warms up."""
    call()
    seconds = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


def measure(instant: Instant, viewmat: np.ndarray, K: np.ndarray, width: int, height: int) -> dict[str, float]:
    """Seconds of one picture with one and two threads, and of the bare loop over its pairs."""

    def draw(threads: int) -> None:
        rasterization(
            instant.means, instant.quats, instant.scales, instant.opacities, instant.colors,
            viewmat[None], K[None], width, height, render_mode="RGB+ED", threads=threads,
        )  # fmt: skip

    ellipses = project(instant.means, instant.quats, instant.scales, viewmat, K, width, height)
    order = front_to_back(ellipses)
    pixels, splats, weights = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
    for _ in range(2):
        left = np.ones((height, width), np.float32)
        count = collect_weights(
            order, ellipses.means2d, ellipses.conics, instant.opacities, left, pixels, splats, weights
        )
        if len(pixels) < count:
            pixels, splats, weights = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.float32)
    features = np.ones((len(instant.means), 4), np.float32)
    powers = np.full(count, 2.0, np.float32)
    image, flat = np.zeros((width * height, 4), np.float32), np.ones(width * height, np.float32)
    one_s, two_s = median_s(lambda: draw(1)), median_s(lambda: draw(2))
    bare_s = median_s(lambda: bare_loop(pixels, splats, powers, features, image, flat))
    return {
        "splats": float(len(instant.means)),
        "one_thread_s": one_s,
        "two_threads_s": two_s,
        "bare_s": bare_s,
        "ratio": one_s / bare_s,
        "blends_per_s": count / one_s,
    }


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    clip = render_sample(0, held_out=True).clip
    middle = len(clip) // 2
    figures: dict[str, float] = {}
    for quality, settings in (("draft", ReconSettings.draft()), ("full", ReconSettings.full())):
        instant = scene_at(reconstruct(clip, settings), float(clip.times[middle]))
        for width, height in SIZES:
            cameras = clip.cameras.resized(width, height)
            row = measure(instant, cameras.viewmats[middle], cameras.Ks[middle], width, height)
            figures |= {f"{quality}_{width}x{height}_{name}": value for name, value in row.items()}
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34} {value:14.4g}")
    return _check(figures) if arguments.check else 0


def _check(figures: dict[str, float]) -> int:
    """The outcome of `benchmarks.aims.check`; 0 with a note while no issue has set an aim for the rasterizer."""
    try:
        return check("raster", figures)
    except ValueError as error:
        print(f"no aims are set for the rasterizer yet ({error})", file=sys.stderr)
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
