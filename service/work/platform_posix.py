"""What only POSIX systems can do. The one place that needs it; on other systems its functions do nothing (untried)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 64 * 1024 * 1024
LARGE_BYTES = 4 * 1024 * 1024


def end_with_parent(parent_pid: int) -> None:
    """Make Linux send SIGTERM to this process when the process `parent_pid` that started it ends.

    Elsewhere, and where the kernel refuses, `parent_is_gone` is all there is.
    """
    if sys.platform != "linux" or parent_is_gone(parent_pid):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def parent_is_gone(parent_pid: int) -> bool:
    """Whether another process than `parent_pid` is the parent now; never where `parent_pid` is 0."""
    return parent_pid != 0 and os.getppid() != parent_pid


def lock_file(path: Path) -> int | None:
    """A descriptor that holds `path` locked until it is closed or the process ends; None where another process has it.

    On Windows nothing is locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    if sys.platform == "win32":
        return descriptor
    import fcntl  # noqa: PLC0415 (not on Windows)

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


READ_NOW: int | None = getattr(os, "RWF_NOWAIT", None)
"""Flag of `read_at`: only what is in memory already; None where the system cannot say."""


def read_at(file: int, piece: memoryview, offset: int, flags: int = 0) -> int:
    """How many bytes at `offset` of a descriptor were read into `piece`; by seeking elsewhere than on Linux."""
    if READ_NOW is not None:
        return os.preadv(file, [piece], offset, flags)
    os.lseek(file, offset, os.SEEK_SET)
    data = os.read(file, len(piece))
    piece[: len(data)] = data
    return len(data)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable. Windows cannot open folders, and makes renames durable itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident; 0 where nobody can say."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 (not on Windows)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_freed_buffers() -> bool:
    """Whether the C library was told to keep up to 64 MiB of freed memory, and pieces of 256 KiB in it; glibc only.

    Else it maps every piece of an asset anew and the kernel clears its pages: most of the processor time of ReadAsset
    (`python -m benchmarks.server` prints it).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, KEEP_BYTES))
