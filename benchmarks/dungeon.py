"""Frames a second of the dungeon renderer on one core.

    python -m benchmarks.dungeon [--json] [--check]

One thread renders held-out samples of 17 frames at 96x64 (RGB and exact depth, 2x supersampled) after a warm-up that
compiles. The peer in the same run is the cheapest thing that could be called rendering: writing as many pixels of the
same arrays with NumPy, which bounds what memory allows.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.aims import check
from clips.dungeon.render import render_sample

FRAMES, WIDTH, HEIGHT = 17, 96, 64


def measure(samples: int) -> dict[str, float]:
    """Frames per second of the renderer, and of writing the same arrays."""
    render_sample(0, held_out=True, frames=FRAMES, width=WIDTH, height=HEIGHT)
    start = time.perf_counter()
    for seed in range(samples):
        render_sample(seed, held_out=True, frames=FRAMES, width=WIDTH, height=HEIGHT)
    rendered_s = time.perf_counter() - start
    start = time.perf_counter()
    for seed in range(samples):
        np.full((FRAMES, HEIGHT, WIDTH, 3), seed % 256, np.uint8)
        np.full((FRAMES, HEIGHT, WIDTH), float(seed), np.float32)
    written_s = time.perf_counter() - start
    count = samples * FRAMES
    return {"frames_per_s": count / rendered_s, "memory_bound_frames_per_s": count / written_s, "frames": float(count)}


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60, help="clips of 17 frames to render (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    figures = measure(arguments.samples)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:12.1f}")
    return check("dungeon", figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
