"""Seconds and memory of `narthex demo`: its first run, when Numba compiles, and the next one.

    python -m benchmarks.demo [--json] [--check] [--speed 1]

Two runs in processes of their own, with a fresh folder for Numba's compiled code: the first fills it, the second finds
it filled. `peak_memory_gb` is the most that all processes of a run held together. The physical limit is the player: at
human pace the walk alone takes about a minute, which is printed beside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.aims import check


def run_once(out: Path, cache: Path, speed: float) -> dict[str, Any]:
    """The demo's report, with `process_s`, the seconds from starting the command to its end."""
    narthex = str(Path(sys.executable).parent / "narthex")
    command = [narthex, "demo", "--out", str(out), "--speed", str(speed), "--json"]
    start_s = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, "NUMBA_CACHE_DIR": str(cache)}, stdout=subprocess.PIPE, text=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"process_s": time.monotonic() - start_s}


def measure(speed: float) -> dict[str, float]:
    """Figures of a first and of a warm run."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "numba"
        first = run_once(Path(folder) / "first", cache, speed)
        warm = run_once(Path(folder) / "warm", cache, speed)
    arranged = [all(report["arrangement"].values()) for report in (first, warm)]
    return {
        "first_run_s": first["process_s"],
        "warm_s": warm["process_s"],
        "peak_memory_gb": max(first["peak_memory_mb"], warm["peak_memory_mb"]) / 1000,
        "walk_s": warm["seconds"]["walk"],
        "runs_as_arranged": float(sum(arranged)),
    }


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=float, default=1.0, help="pace of the player (the aims are for 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    figures = measure(arguments.speed)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value:10.2f}")
    return check("demo", figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
