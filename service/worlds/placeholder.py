"""A world's own placeholder clip: the bytes of a clip file beside the world, or written into it."""

from __future__ import annotations

import base64
import binascii
import io
import tempfile
import zipfile
from pathlib import Path

from clips.clip import load_clip
from clips.errors import ClipError
from service.worlds.limits import MAX_PLACEHOLDER_BYTES

MIST = "mist"
INLINE = "base64:"


class BadPlaceholder(Exception):
    """The placeholder cannot be used; the message goes on after "got ...,"."""


def placeholder_bytes(written: str, base_dir: Path | None) -> bytes | None:
    """The clip file that a world's `placeholder` names; None for the built-in mist room.

    `base_dir` is the world file's folder; None where there is none (a world sent to a server): then only clips
    that are written into the world as `base64:...` can be read.

    Raises:
        BadPlaceholder: no such file, not a clip, too big, or outside the world's folder.
    """
    if written == MIST:
        return None
    data = _inline(written) if written.startswith(INLINE) else _beside(written, base_dir)
    _check_clip(data)
    return data


def inlined(data: bytes) -> str:
    """How a clip file is written into a world."""
    return INLINE + base64.b64encode(data).decode("ascii")


def _inline(written: str) -> bytes:
    try:
        return base64.b64decode(written[len(INLINE) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPlaceholder(f"which is not base64 ({error})") from error


def _beside(written: str, base_dir: Path | None) -> bytes:
    if base_dir is None:
        raise BadPlaceholder("but there is no folder to read it from: `narthex world pack` writes it into the world")
    path = (base_dir / written).resolve()
    if not path.is_relative_to(base_dir.resolve()):
        raise BadPlaceholder("which is outside the folder of the world file")
    try:
        if path.stat().st_size > MAX_PLACEHOLDER_BYTES:
            raise BadPlaceholder(f"a file of {path.stat().st_size:,} bytes, more than {MAX_PLACEHOLDER_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise BadPlaceholder(f"which cannot be read ({error.strerror or error})") from error


def _check_clip(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BadPlaceholder(f"which is not a clip file ({error})") from error
    if size > MAX_PLACEHOLDER_BYTES:
        raise BadPlaceholder(f"which unpacks to {size:,} bytes, more than {MAX_PLACEHOLDER_BYTES:,}")
    with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
        path = Path(folder) / "placeholder.npz"
        path.write_bytes(data)
        try:
            load_clip(path)
        except ClipError as error:
            raise BadPlaceholder(f"which is not a clip ({str(error).replace(str(path), 'the file')})") from error
