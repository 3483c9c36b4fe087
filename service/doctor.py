"""What can be wrong with a machine: one check a function, each with a remedy."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from model.errors import UnreadableCheckpoint
from model.revision import DIT_FILE, VAE_FILE, weights_revision
from service.config import Config

MIN_FREE_BYTES = 2 * 1024**3
EARLIEST_S = 1_767_225_600.0
"""2026-01-01: no machine that runs this can have an earlier time."""
DEVICE_TIMEOUT_S = 120.0
_DEVICE_SCRIPT = (
    "import json, torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
    "print(json.dumps({'version': torch.__version__, 'cuda': [torch.cuda.get_device_name(i) for i in range(n)], "
    "'threads': torch.get_num_threads()}))"
)


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` is empty where nothing is wrong."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


def examine(config: Config) -> list[Finding]:
    """All findings, in order. Changes nothing and starts nothing but one short-lived Python."""
    checks: list[Callable[[Config], Finding]] = [
        check_device,
        check_disk,
        check_port,
        check_clock,
        check_versions,
        check_weights,
        check_kernel_cache,
    ]
    return [check(config) for check in checks]


def check_device(_: Config) -> Finding:
    """Whether torch can be imported (in a process of its own: it takes seconds and memory), and what it sees."""
    remedy = "install torch==2.13.0 into the environment of narthex: `make setup` or `pip install .`"
    command = [sys.executable, "-c", _DEVICE_SCRIPT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEVICE_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Finding("device", False, f"torch did not load within {DEVICE_TIMEOUT_S:.0f} s", remedy)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("device", False, f"torch does not load: {last}", remedy)
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    cards = ", ".join(facts["cuda"]) or f"no GPU; CPU with {facts['threads']} threads"
    return Finding("device", True, f"torch {facts['version']}, {cards}")


def check_disk(config: Config) -> Finding:
    """Whether the data folder can be written and has room."""
    folder = _existing(config.data.dir)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Finding("disk", False, f"{folder} cannot be written", f"chown {folder}, or name another with --data")
    wrong = free < MIN_FREE_BYTES
    return Finding("disk", not wrong, found, "free 2 GiB, or name another folder with --data" if wrong else "")


def check_port(config: Config) -> Finding:
    """Whether the server's port is free."""
    host, port = config.server.host, config.server.port
    if port == 0:
        return Finding("port", True, "0: a free one is taken")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), port))
    except OSError as error:
        remedy = "stop what listens there (a running `narthex serve`?), or choose another with --port or server.port"
        return Finding("port", False, f"{host}:{port}: {error.strerror}", remedy)
    return Finding("port", True, f"{host}:{port} is free")


def check_clock(
    _: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> Finding:
    """Whether the clocks make sense: a year that can be, and both going forwards at one pace."""
    remedy = "set the machine's clock (NTP): leases, tokens and forecasts rely on it"
    wall_0, steady_0 = wall(), monotonic()
    for _step in range(100):
        wall_1, steady_1 = wall(), monotonic()
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(wall_1))
    if wall_1 < EARLIEST_S:
        return Finding("clock", False, f"{found} is in the past", remedy)
    drift_s = abs((wall_1 - wall_0) - (steady_1 - steady_0))
    if steady_1 < steady_0 or drift_s > 1.0:
        return Finding("clock", False, f"{found}; wall and steady clock drift by {drift_s:.1f} s", remedy)
    return Finding("clock", True, found)


def check_versions(_: Config) -> Finding:
    """Whether the packages that narthex needs are there in versions that it allows."""
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires("narthex") or []]
    except importlib.metadata.PackageNotFoundError:
        return Finding("versions", False, "narthex is not installed", "`make setup`, or `pip install .`")
    wrong, count = [], 0
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            got = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        # A build suffix such as +cpu is no other version.
        if not requirement.specifier.contains(got.partition("+")[0], prereleases=True):
            wrong.append(f"{requirement.name} {got} is not {requirement.specifier}")
    if wrong:
        return Finding("versions", False, "; ".join(wrong), "`make setup`, or `pip install .` again")
    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("versions", True, f"Python {python}, {count} packages as required")


def check_weights(config: Config) -> Finding:
    """Whether the model's weights are there and whole."""
    folder = config.model.folder
    remedy = (
        "restore model/weights (git checkout model/weights), or train some: `narthex train vae`, `narthex train dit`"
    )
    for name in (VAE_FILE, DIT_FILE):
        wrong = _cut_short(folder / name)
        if wrong:
            return Finding("weights", False, f"{folder / name}: {wrong}", remedy)
    try:
        return Finding("weights", True, f"revision {weights_revision(folder)} in {folder}")
    except UnreadableCheckpoint as error:
        return Finding("weights", False, str(error), remedy)


def check_kernel_cache(_: Config) -> Finding:
    """Whether Numba can keep what it compiles; else every start compiles anew, for half a minute."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(__file__).resolve().parent.parent / "recon" / "__pycache__"
    target = _existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=target, prefix=".narthex-"):
            return Finding("kernel cache", True, f"{target} can be written")
    except OSError as error:
        remedy = "set NUMBA_CACHE_DIR to a folder that can be written"
        return Finding("kernel cache", False, f"{target}: {error.strerror}", remedy)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def _cut_short(path: Path) -> str:
    """Why a .safetensors file is not whole, by its own header; "" where it is."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                return "not a safetensors file"
            tensors = json.loads(file.read(length))
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"{size} bytes, its header says {expected}"
