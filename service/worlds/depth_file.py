"""A world's control depth: the bytes of an array file beside the world, or written into it."""

from __future__ import annotations

import base64
import binascii
import io
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from model.spec_control import MAX_DEPTH_M
from service.worlds.limits import MAX_DEPTH_FILE_BYTES

INLINE = "base64:"


_DAMAGE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy, zipfile and zlib raise for damaged or foreign files."""


class BadDepthFile(Exception):
    """The depth file cannot be used; the message goes on after "got ...,"."""


def depth_of(written: str, base_dir: Path | None) -> Float32[np.ndarray, "T H W"]:
    """Depth in metres (T, H, W) of what a world's `depth_file` names; whether it is finite is not checked here.

    `base_dir` is the world file's folder; None where there is none (a world sent to a server): then only files that
    are written into the world as `base64:...` can be read.

    Raises:
        BadDepthFile: no such file, not an array of numbers, too big, or outside the world's folder.
    """
    return depth_from_bytes(_inline(written) if written.startswith(INLINE) else _beside(written, base_dir))


def depth_from_bytes(data: bytes) -> Float32[np.ndarray, "T H W"]:
    """Depth in metres (T, H, W) of a .npy, or of the one array of a .npz: floats are metres, uint16 millimetres.

    Raises:
        BadDepthFile: it is no such file, or too big.
    """
    try:
        depth = _array(data)
    except _DAMAGE as error:
        raise BadDepthFile(f"which is not a .npy or .npz of numbers ({error})") from error
    if depth.ndim != 3 or 0 in depth.shape or not (depth.dtype.kind == "f" or depth.dtype == np.uint16):
        raise BadDepthFile(
            f"an array of {depth.dtype} {depth.shape}, not (frames, height, width) of floats in metres or uint16 in "
            f"millimetres"
        )
    scale = 1.0 if depth.dtype.kind == "f" else 1e-3
    return (depth.astype(np.float64) * scale).astype(np.float32)


def inlined_depth(depth: Float32[np.ndarray, "T H W"]) -> str:
    """How a depth clip is written into a world: whole millimetres in a compressed .npz."""
    file = io.BytesIO()
    depth_mm = np.round(np.clip(depth.astype(np.float64), 0.0, MAX_DEPTH_M) * 1000)
    np.savez_compressed(file, depth_mm=depth_mm.astype(np.uint16))
    return INLINE + base64.b64encode(file.getvalue()).decode("ascii")


def read_depth_file(path: Path) -> Float32[np.ndarray, "T H W"]:
    """Depth in metres (T, H, W) of a file. Raises BadDepthFile."""
    return depth_from_bytes(_file_bytes(path))


def _inline(written: str) -> bytes:
    try:
        return base64.b64decode(written[len(INLINE) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadDepthFile(f"which is not base64 ({error})") from error


def _beside(written: str, base_dir: Path | None) -> bytes:
    if base_dir is None:
        raise BadDepthFile("but there is no folder to read it from: `narthex world pack` writes it into the world")
    path = (base_dir / written).resolve()
    if not path.is_relative_to(base_dir.resolve()):
        raise BadDepthFile("which is outside the folder of the world file")
    return _file_bytes(path)


def _file_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_DEPTH_FILE_BYTES:
            raise BadDepthFile(f"a file of {path.stat().st_size:,} bytes, more than {MAX_DEPTH_FILE_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise BadDepthFile(f"which cannot be read ({error.strerror or error})") from error


def _array(data: bytes) -> np.ndarray:
    if not data.startswith(b"PK"):
        return np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = [member.file_size for member in archive.infolist()]
    if len(sizes) != 1 or sizes[0] > MAX_DEPTH_FILE_BYTES:
        raise ValueError(f"{len(sizes)} arrays of {sum(sizes):,} bytes, expected one of {MAX_DEPTH_FILE_BYTES:,}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return np.asarray(arrays[arrays.files[0]])
