"""Arrays of training clips in memory-mapped files: made whole or not at all, on disks that have room for them."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from model.errors import ModelError, NoRoom

SPARE_BYTES = 32 * 2**20
"""Left free beside what is asked for: states, logs and pictures of the training are written too."""

LEFT_S = 600.0
"""A file that was begun so long ago was left by a process that was killed."""


@dataclass(frozen=True)
class ArrayForm:
    """Shape and NumPy type of one array; its first axis counts clips."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        """Of its values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def kept_arrays(folder: Path, forms: Mapping[str, ArrayForm]) -> dict[str, np.ndarray]:
    """The arrays NAME.npy of a folder, mapped to be read and written; those that are missing are made, all zeros.

    Two processes may ask for one folder at once: they get the same files.

    Raises:
        NoRoom: the disk has not the room to fill them all.
        ModelError: a file is no such array.
    """
    _refuse_full_disk(folder, forms)
    return {name: _kept_array(folder / f"{name}.npy", form) for name, form in forms.items()}


def require_room(folder: Path, wanted_bytes: int, what: str) -> None:
    """Refuse to go on where the disk has not the room for `what`.

    What is written through a memory map to a full disk ends the process with SIGBUS, so this is asked before.

    Raises:
        NoRoom: names the folder, what is wanted and what is free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < wanted_bytes + SPARE_BYTES:
        raise NoRoom(
            f"{folder}: {what} needs {_mebibytes(wanted_bytes + SPARE_BYTES)} on its disk, and "
            f"{_mebibytes(free_bytes)} are free; make room, take fewer clips, or choose a folder on another disk"
        )


def _refuse_full_disk(folder: Path, forms: Mapping[str, ArrayForm]) -> None:
    """Only what is not yet written counts: the files are sparse and grow as clips are put into them."""
    wanted_bytes = 0
    for name, form in forms.items():
        wanted_bytes += max(0, form.size_bytes - _written_bytes(folder / f"{name}.npy"))
    clips = max(form.shape[0] for form in forms.values())
    require_room(folder, wanted_bytes, f"a store of {clips} clips")


def _written_bytes(path: Path) -> int:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0
    # Windows tells no blocks; files are not sparse there.
    blocks = getattr(stat, "st_blocks", None)
    return stat.st_size if blocks is None else int(blocks) * 512


def _kept_array(path: Path, form: ArrayForm) -> np.ndarray:
    if not path.exists():
        _make(path, form)
    try:
        open_memmap(path, mode="r")  # To be written, a short file would be filled up with zeros in silence.
        array = open_memmap(path, mode="r+")
    except (ValueError, EOFError, OSError) as error:
        raise ModelError(f"{path}: cut short or no array ({error}); remove {path.parent} to make it anew") from error
    if array.shape != form.shape or array.dtype != np.dtype(form.dtype):
        wanted = f"{np.dtype(form.dtype)} {form.shape}"
        raise ModelError(f"{path}: holds {array.dtype} {array.shape}, expected {wanted}; remove {path.parent}")
    return array


def _make(path: Path, form: ArrayForm) -> None:
    """Linked into place whole: a kill leaves no short file, and nobody empties what another process has made.

    What a killed process left is removed; it takes a moment to make a file, so an old one is nobody's work.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        if time.time() - left.stat().st_mtime > LEFT_S:
            left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        open_memmap(partial, mode="w+", dtype=np.dtype(form.dtype), shape=form.shape)
        with suppress(FileExistsError):
            os.link(partial, path)
    except OSError as error:
        if error.filename is None:
            # A file that may not grow so large is met by a write, which knows no name.
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
