"""A world's collision mesh: the GLB file that a graybox names, and where a way through it begins and ends.

Only the container and its nodes are looked at here: triangles are the engine's business, and the workers'.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from clips.frame_axes import GLTF_RUB
from service.worlds.limits import MAX_MESH_BYTES
from service.worlds.world import Collider, Position

INLINE = "base64:"
SPAWN, EXIT = "spawn", "exit"
_HEADER = struct.Struct("<4sII")
_CHUNK = struct.Struct("<I4s")
_MAX_NESTING = 64


class BadMeshFile(Exception):
    """The mesh cannot be used; the message goes on after "got ...,"."""


def collider_of(written: str, base_dir: Path | None, spawn: Position | None, exit_at: Position | None) -> Collider:
    """The collider that a world's `mesh_file` names; nodes called spawn and exit say where a way leads unless given.

    `base_dir` is the world file's folder; None where there is none (a world sent to a server): then only meshes that
    are written into the world as `base64:...` can be read.

    Raises:
        BadMeshFile: no such file, not a GLB with a mesh, too big, or outside the world's folder.
    """
    data = _inline(written) if written.startswith(INLINE) else _beside(written, base_dir)
    places = _places(_document(data))
    return Collider(data, spawn or places.get(SPAWN), exit_at or places.get(EXIT))


def inlined_mesh(data: bytes) -> str:
    """How a GLB file is written into a world."""
    return INLINE + base64.b64encode(data).decode("ascii")


def _inline(written: str) -> bytes:
    try:
        return base64.b64decode(written[len(INLINE) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMeshFile(f"which is not base64 ({error})") from error


def _beside(written: str, base_dir: Path | None) -> bytes:
    if base_dir is None:
        raise BadMeshFile("but there is no folder to read it from: `narthex world pack` writes it into the world")
    path = (base_dir / written).resolve()
    if not path.is_relative_to(base_dir.resolve()):
        raise BadMeshFile("which is outside the folder of the world file")
    try:
        if path.stat().st_size > MAX_MESH_BYTES:
            raise BadMeshFile(f"a file of {path.stat().st_size:,} bytes, more than {MAX_MESH_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise BadMeshFile(f"which cannot be read ({error.strerror or error})") from error


def _document(data: bytes) -> dict[str, Any]:
    """The JSON of a GLB file (glTF 2.0, section 4)."""
    try:
        magic, version, length = _HEADER.unpack_from(data)
        size, kind = _CHUNK.unpack_from(data, _HEADER.size)
        if (magic, version, kind) != (b"glTF", 2, b"JSON") or length != len(data):
            raise BadMeshFile(f"which is no GLB file of glTF 2.0 with {len(data):,} bytes")
        start = _HEADER.size + _CHUNK.size
        document = json.loads(data[start : start + size])
    except (struct.error, ValueError, RecursionError) as error:
        raise BadMeshFile(f"which is no GLB file ({error})") from error
    if not isinstance(document, dict) or not document.get("meshes"):
        raise BadMeshFile("a GLB file without a mesh")
    return document


def _places(document: dict[str, Any]) -> dict[str, Position]:
    """Where the nodes called spawn and exit stand, in the gate frame."""
    try:
        nodes = document.get("nodes", [])
        parents = {child: index for index, node in enumerate(nodes) for child in node.get("children", ())}
        wanted = [(index, node["name"]) for index, node in enumerate(nodes) if node.get("name") in (SPAWN, EXIT)]
        return {name: _position(nodes, parents, index) for index, name in wanted}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadMeshFile(f"a GLB file with damaged nodes ({error!r})") from error


def _position(nodes: list[dict[str, Any]], parents: dict[int, int], index: int) -> Position:
    point, at = np.array([0.0, 0.0, 0.0, 1.0]), index
    for _ in range(_MAX_NESTING):
        point = _matrix(nodes[at]) @ point
        if at not in parents:
            x, y, z = GLTF_RUB.inverse.points(point[:3]).tolist()
            if not np.isfinite(point).all():
                raise ValueError("a node stands nowhere")
            return (x, y, z)
        at = parents[at]
    raise ValueError(f"nodes nested more than {_MAX_NESTING} deep")


def _matrix(node: dict[str, Any]) -> np.ndarray:
    """A node's local transform (4, 4)."""
    if "matrix" in node:
        return np.asarray(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.asarray(node.get("rotation", (0.0, 0.0, 0.0, 1.0)), np.float64)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.asarray(node.get("scale", (1.0, 1.0, 1.0)), np.float64)
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix
