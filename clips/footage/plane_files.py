"""What a clip folder has per pixel besides colour: depth, masks, flow; in one array file or a numbered sequence."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.frame_files import numbered, read_picture, save_picture

MAX_PLANES_BYTES = 4 * 2**30
PNG_LARGEST = 65535
_DEPTH_MODES = ("I;16", "I;16B", "I")
_MASK_MODES = ("1", "L", "RGB", "RGBA", "P")
# What zipfile, zlib and NumPy raise for damaged and foreign files.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    MemoryError,
    RuntimeError,
    OverflowError,
    SyntaxError,
    zlib.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


class DepthAs(StrEnum):
    """How depth is written: float32 without loss, or 16-bit pictures in steps of 1 / units_per_m metres."""

    NPZ = "npz"
    PNG = "png"


def read_depth(folder: Path, name: str, shape: tuple[int, ...], required: bool) -> np.ndarray | None:
    """Raw numbers of `NAME.npz`, `NAME.npy` or `NAME/` (16-bit PNG or .npy, one a frame), (T, H, W), float64.

    None where none of them is there and it is not required.

    Raises:
        UnreadableClip: missing though required, there twice, damaged, or pictures of 8 bits.
        InvalidClip: not the frames' shape.
    """
    found = _find(folder, name)
    if found is None:
        if required:
            raise UnreadableClip(f"{name}: no {name}.npz, {name}.npy or {name}/ is there; write one of them")
        return None
    planes = _load(found, _DEPTH_MODES, shape)
    if planes.dtype.kind not in "fu" and planes.dtype != np.int32:
        raise InvalidClip(f"{found.name}: holds {planes.dtype}, expected float32 or 16-bit numbers")
    return planes.astype(np.float64)


def read_mask(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The mask in `NAME.npz`, `NAME.npy` or `NAME/` (PNG; all but black is True), (T, H, W) bool; None where missing.

    Raises:
        UnreadableClip, InvalidClip: as `read_depth`.
    """
    found = _find(folder, name)
    if found is None:
        return None
    planes = _load(found, _MASK_MODES, shape)
    return np.asarray(planes != 0)


def read_flow(folder: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The flow in `flow.npz` or `flow.npy`, (T-1, H, W, 2) float32, pixels; None where there is none.

    Raises:
        UnreadableClip, InvalidClip: as `read_depth`.
    """
    found = _find(folder, "flow")
    if found is None:
        return None
    if found.is_dir():
        raise UnreadableClip("flow/: flow is read from flow.npz or flow.npy alone")
    flow = _load(found, (), (shape[0] - 1, *shape[1:], 2))
    return flow.astype(np.float32)


def write_depth(folder: Path, name: str, depth: np.ndarray, units_per_m: float, depth_as: DepthAs) -> None:
    """Write metric depth as `NAME.npz` (times units_per_m, float32) or as 16-bit PNG (rounded).

    Raises:
        InvalidClip: a value does not fit into 16 bits; says which units_per_m would do.
        OSError: it cannot be written.
    """
    values = depth if units_per_m == 1.0 else depth.astype(np.float64) * units_per_m
    if depth_as is DepthAs.NPZ:
        write_array(folder, name, values.astype(np.float32))
        return
    steps = np.round(values)
    if steps.min() < 1 or steps.max() > PNG_LARGEST:
        raise InvalidClip(
            f"{name}: {depth.min():.4g} to {depth.max():.4g} m do not fit into 16 bits at {units_per_m:g} units a "
            f"metre; at most {int(PNG_LARGEST / depth.max())} would fit, or write depth as npz"
        )
    (folder / name).mkdir()
    for index, plane in enumerate(steps.astype(np.uint16)):
        save_picture(Image.fromarray(plane), folder / name / f"{index:06d}.png")


def write_mask(folder: Path, name: str, mask: np.ndarray) -> None:
    """Write a mask as `NAME/000000.png`, ...: white where True.

    Raises:
        OSError: it cannot be written.
    """
    (folder / name).mkdir()
    for index, plane in enumerate(mask):
        save_picture(Image.fromarray(plane.astype(np.uint8) * 255), folder / name / f"{index:06d}.png")


def write_array(folder: Path, name: str, values: np.ndarray) -> None:
    """Write one array as `NAME.npz`.

    Raises:
        OSError: it cannot be written.
    """
    with (folder / f"{name}.npz").open("wb") as file:
        arrays: dict[str, Any] = {name: values}
        np.savez_compressed(file, **arrays)


def _find(folder: Path, name: str) -> Path | None:
    found = [path for path in (folder / f"{name}.npz", folder / f"{name}.npy", folder / name) if path.exists()]
    if len(found) > 1:
        raise UnreadableClip(f"{' and '.join(path.name for path in found)} are there; remove all but one")
    return found[0] if found else None


def _load(found: Path, modes: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of a file or a sequence; a shape other than `shape` is refused before it is copied."""
    try:
        if not found.is_dir():
            planes = _array(found)
            _check_shape(found, planes, shape)
            return planes
        files = numbered(found, (".png", ".npy"))
        parts = [_array(file) if file.suffix == ".npy" else _plane(file, modes) for file in files]
    except ClipError:
        raise
    except _DAMAGE as error:
        raise UnreadableClip(f"{found.name}: not readable ({error}); write it anew") from error
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise InvalidClip(f"{found.name}/: mixed sizes {shapes}; capture all frames at one size")
    if (len(parts), *shapes[0]) != shape:
        raise InvalidClip(f"{found.name}/: has {len(parts)} planes of {shapes[0]}, the frames ask for {shape}")
    return np.stack(parts)


def _array(file: Path) -> np.ndarray:
    if file.suffix == ".npy":
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAX_PLANES_BYTES:
        raise UnreadableClip(f"{file.name}: unpacks to {unpacked} bytes, at most {MAX_PLANES_BYTES} are read")
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        chosen = file.stem if file.stem in names else names[0] if len(names) == 1 else None
        if chosen is None:
            raise UnreadableClip(f"{file.name}: holds {names}, expected one array, or one called {file.stem!r}")
        return np.asarray(arrays[chosen])


def _plane(file: Path, modes: tuple[str, ...]) -> np.ndarray:
    picture = read_picture(file)
    if picture.mode not in modes:
        wanted = "16-bit grey" if modes == _DEPTH_MODES else "an 8-bit picture"
        raise UnreadableClip(f"{file.parent.name}/{file.name}: has mode {picture.mode}, expected {wanted}")
    if modes == _MASK_MODES:
        picture = picture.convert("L")
    values: Any = np.asarray(picture)
    return np.asarray(values)


def _check_shape(found: Path, planes: np.ndarray, shape: tuple[int, ...]) -> None:
    if planes.shape != shape:
        raise InvalidClip(f"{found.name}: has shape {planes.shape}, the frames ask for {shape}")
