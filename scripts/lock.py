"""Writes requirements.lock: exactly what this environment holds, less Narthex itself and pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """# Every package that `make setup` installs, pinned. Made by `make lock` from a working environment.
# torch is exact on purpose: a bare or newer one pulls several GB of CUDA on machines that have no GPU.
"""
LEFT_OUT = {"narthex", "pip", "uv"}


def main() -> None:
    """Write the lock file beside pyproject.toml."""
    command = [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    pins = sorted((pin.split("+")[0] for pin in listed if pin.split("==")[0].lower() not in LEFT_OUT), key=str.lower)
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(pins) + "\n")
    print(f"requirements.lock: {len(pins)} packages")


if __name__ == "__main__":
    main()
