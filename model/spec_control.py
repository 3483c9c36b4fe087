"""What steers a segment besides its prompt: nothing, a layout from the prompt, a blockout, or a depth clip.

Imports no torch. `model/spec.py` keeps a Control; `model/generate.py` makes depth of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from clips.cameras import Cameras
from clips.dungeon.blockout import Graybox
from clips.errors import ClipError
from model.errors import InvalidSpec

LAYOUT_VERSION = 1
"""Counts up when the layout prior draws something else from the same prompt and seed."""

MAX_DEPTH_M = 65.535
"""Depth is kept in whole millimetres of 16 bits; what is farther (a sky) is kept as this."""

MAX_DEPTH_VALUES = 1 << 26


class ControlKind(StrEnum):
    """Where the control depth of a segment comes from."""

    NONE = "none"
    LAYOUT = "layout"
    BLOCKOUT = "blockout"
    DEPTH = "depth"


@dataclass(frozen=True, eq=False)
class Control:
    """What steers a segment besides its prompt. Controls with equal digests are equal.

    Attributes:
        kind: none: the prompt alone; layout: the layout prior samples a blockout from prompt and seed; blockout: the
            world's own; depth: a depth clip as a game engine renders it.
        graybox: the blockout, with kind blockout only.
        depth: metres along the cameras' z axis, (T, H, W), float32, with kind depth only; kept in whole millimetres.

    Raises:
        InvalidSpec: graybox or depth do not go with the kind, or depth is not finite and positive; names the frames.
    """

    kind: ControlKind = ControlKind.NONE
    graybox: Graybox | None = None
    depth: Float32[np.ndarray, "T H W"] | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "kind", ControlKind(self.kind))
        except ValueError:
            raise InvalidSpec(f"control: kind must be one of {', '.join(ControlKind)}, got {self.kind!r}") from None
        for name, kind in (("graybox", ControlKind.BLOCKOUT), ("depth", ControlKind.DEPTH)):
            given = getattr(self, name) is not None
            if given != (self.kind is kind):
                said = f"got {'one' if given else 'none'} with kind {self.kind}"
                raise InvalidSpec(f"control: a {name} goes with kind {kind} alone, {said}")
        if self.depth is not None:
            object.__setattr__(self, "depth", _in_millimetres(self.depth) / np.float32(1000))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Control) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """What the segment's address has of this control: the kind, and the SHA-256 of what it was given."""
        if self.depth is not None:
            shape = "x".join(map(str, self.depth.shape))
            return f"depth/{shape}/{hashlib.sha256(_in_millimetres(self.depth).tobytes()).hexdigest()}"
        if self.graybox is not None:
            text = json.dumps(_rounded(self.graybox.to_json()), sort_keys=True)
            return f"blockout/{hashlib.sha256(text.encode()).hexdigest()}"
        return f"layout/{LAYOUT_VERSION}" if self.kind is ControlKind.LAYOUT else "none"

    def check_size(self, cameras: Cameras) -> None:
        """Raises InvalidSpec where a depth clip has another size than the cameras; the message names both."""
        if self.depth is None:
            return
        wanted = (len(cameras), cameras.height, cameras.width)
        if self.depth.shape != wanted:
            raise InvalidSpec(
                f"control depth must have the size of the cameras' pictures, (frames, height, width) = {wanted}, "
                f"got {self.depth.shape}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values from which `from_json` makes an equal control."""
        fields: dict[str, Any] = {"kind": str(self.kind)}
        if self.graybox is not None:
            fields["graybox"] = self.graybox.to_json()
        if self.depth is not None:
            fields["shape"] = list(self.depth.shape)
            fields["depth_mm"] = _packed(_in_millimetres(self.depth))
        return fields

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Control:
        """The control that `to_json` described. Raises InvalidSpec."""
        try:
            kind = ControlKind(fields["kind"])
            graybox = Graybox.from_json(fields["graybox"]) if kind is ControlKind.BLOCKOUT else None
            depth = None
            if kind is ControlKind.DEPTH:
                values = _unpacked(fields["depth_mm"], fields["shape"], "<u2")
                depth = values.astype(np.float32) / np.float32(1000)
            return Control(kind, graybox, depth)
        except (KeyError, TypeError, ValueError, AttributeError, ClipError) as error:
            raise InvalidSpec(f"not a control: {error!r}") from error


NO_CONTROL = Control()


@dataclass(frozen=True, eq=False)
class FirstFrame:
    """The picture that a segment begins with, instead of one that the model makes up.

    Attributes:
        frame: sRGB-encoded colour (H, W, 3), uint8.
        depth: metres along the camera's z axis, (H, W), float32; kept in whole millimetres.

    Raises:
        InvalidSpec: shapes disagree, or depth is not finite and positive.
    """

    frame: UInt8[np.ndarray, "H W 3"]
    depth: Float32[np.ndarray, "H W"]

    def __post_init__(self) -> None:
        if self.frame.dtype != np.uint8 or self.frame.shape != (*self.depth.shape, 3) or self.depth.ndim != 2:
            raise InvalidSpec(
                f"first frame: expected uint8 (H, W, 3) and depth (H, W), got {self.frame.dtype} {self.frame.shape} "
                f"and {self.depth.shape}"
            )
        object.__setattr__(self, "depth", _in_millimetres(self.depth[None])[0] / np.float32(1000))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of picture and depth."""
        hasher = hashlib.sha256(repr(self.frame.shape).encode())
        hasher.update(np.ascontiguousarray(self.frame).tobytes())
        hasher.update(_in_millimetres(self.depth[None]).tobytes())
        return hasher.hexdigest()

    def check_size(self, cameras: Cameras) -> None:
        """Raises InvalidSpec where the picture has another size than the cameras'; the message names both."""
        wanted, got = (cameras.height, cameras.width), self.depth.shape
        if got != wanted:
            raise InvalidSpec(f"first frame must have the size of the cameras' pictures {wanted}, got {got}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values from which `from_json` makes the same first frame."""
        depth_mm = _in_millimetres(self.depth[None])[0]
        return {"shape": list(self.depth.shape), "frame": _packed(self.frame), "depth_mm": _packed(depth_mm)}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> FirstFrame:
        """The first frame that `to_json` described. Raises InvalidSpec."""
        try:
            frame = _unpacked(fields["frame"], [*fields["shape"], 3], "u1")
            depth_mm = _unpacked(fields["depth_mm"], fields["shape"], "<u2")
            return FirstFrame(frame, depth_mm.astype(np.float32) / np.float32(1000))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSpec(f"not a first frame: {error!r}") from error


def _in_millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth (T, H, W) in whole millimetres, little-endian uint16."""
    depth = np.asarray(depth)
    if depth.ndim != 3 or depth.dtype.kind not in "fiu" or 0 in depth.shape:
        raise InvalidSpec(f"control depth must be numbers of metres (T, H, W), got {depth.dtype} {depth.shape}")
    bad = np.flatnonzero(~(np.isfinite(depth) & (depth > 0)).all(axis=(1, 2)))
    if len(bad):
        raise InvalidSpec(
            f"control depth must be finite and more than 0 metres in every pixel; frames {bad[:8].tolist()} are not "
            f"(give a sky a far distance, such as 50)"
        )
    millimetres = np.round(np.clip(depth.astype(np.float64), 0.001, MAX_DEPTH_M) * 1000)
    return np.ascontiguousarray(millimetres.astype("<u2"))


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 6)).decode("ascii")


def _unpacked(text: str, shape: list[int], dtype: str) -> np.ndarray:
    """The array that `_packed` wrote. Raises ValueError."""
    count = int(np.prod([int(size) for size in shape]))
    if not 0 < count <= MAX_DEPTH_VALUES:
        raise ValueError(f"an array of shape {shape} is empty or too large")
    size_bytes = count * np.dtype(dtype).itemsize
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size_bytes + 1)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(f"damaged array ({error})") from error
    if len(data) != size_bytes:
        raise ValueError(f"an array of shape {shape} has {size_bytes} bytes, got {len(data)}")
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _rounded(value: Any) -> Any:
    """JSON values with numbers rounded to a millionth, so that a digest is the same on every machine."""
    if isinstance(value, float):
        return round(value, 6) + 0.0
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
