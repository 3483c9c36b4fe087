"""Writing a file so that a crash leaves the old one or none, never half of one."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFT_S = 3600.0
"""A file that nobody has written to for so long was left by a process that was killed."""

_LEFT = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


def remove_left(folder: Path) -> list[str]:
    """Names of half-written files of a folder that killed processes left there, and that are removed now."""
    names = []
    for path in folder.iterdir():
        if _LEFT.fullmatch(path.name) and time.time() - path.stat().st_mtime > LEFT_S:
            path.unlink(missing_ok=True)
            names.append(path.name)
    return names


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; when the block ends well it is synced to disk and takes its place.

    When the block raises, what was written is removed and `path` is as it was.

    Raises:
        OSError: the folder is missing or cannot be written, or the block wrote no file.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            # A full disk is met by a write, which knows no name.
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)
