"""The memory allocator of the server's process: buffers of asset pieces are used again instead of given back."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h> (glibc)."""
KEEP_BYTES = 64 * 1024 * 1024
LARGE_BYTES = 4 * 1024 * 1024


def keep_freed_buffers() -> bool:
    """Whether the C library was told to keep up to 64 MiB of freed memory, and pieces of 256 KiB in it; glibc only.

    Else it maps every piece anew and the kernel clears its pages: three quarters of the processor time of ReadAsset
    (`python -m benchmarks.server` prints it).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE_BYTES)) and bool(mallopt(_TRIM_THRESHOLD, KEEP_BYTES))
