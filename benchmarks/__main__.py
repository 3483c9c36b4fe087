"""Runs every benchmark in turn, each in a process of its own.

    python -m benchmarks [--check]

With --check the exit status is 1 where any figure misses its aim in benchmarks/aims.toml.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"__init__", "__main__", "aims"}


def names() -> list[str]:
    """The benchmarks of this folder, in alphabetical order."""
    here = Path(__file__).parent
    return sorted(path.stem for path in here.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def main() -> int:
    """Run all; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="hold every figure against its aim")
    arguments = parser.parse_args()
    failed = []
    for name in names():
        print(f"== benchmarks.{name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--check"] if arguments.check else [])]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "every benchmark ran")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
