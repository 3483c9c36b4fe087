"""GLB: meshes in glTF 2.0's binary form, the gate's origin kept, through PyPI `trimesh` (MIT).

glTF's axes are x right, y up, z towards the viewer (RUB), as in `.4dgs`; the gate's threshold stays at the origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float

from clips.atomic_file import replacing
from clips.frame_axes import GLTF_RUB
from recon.errors import InvalidScene, UnreadableScene
from recon.mesh import Mesh, joined

MAX_GLB_BYTES = 64 * 2**20
_MAGIC = b"glTF"


@dataclass(frozen=True, eq=False)
class MeshFile:
    """What a GLB file holds, in the gate frame: all its triangles, and where its named nodes stand, metres (3,)."""

    mesh: Mesh
    places: Mapping[str, Float[np.ndarray, "3"]]


def encode_glb(parts: Sequence[tuple[str, Mesh]], facts: Mapping[str, object] | None = None) -> bytes:
    """The GLB file of `parts`, a node for each by its name; `facts` go into the scene's extras.

    Raises:
        InvalidScene: there is no part, a part is empty, or two have one name.
    """
    names = [name for name, _ in parts]
    if not parts or len(set(names)) < len(names) or any(len(mesh) == 0 for _, mesh in parts):
        raise InvalidScene(f"a GLB file needs parts with triangles and names of their own, got {names}")
    scene = trimesh.Scene(metadata=dict(facts or {}))
    for name, mesh in parts:
        made = trimesh.Trimesh(GLTF_RUB.points(mesh.vertices), mesh.faces, process=False)
        scene.add_geometry(made, node_name=name, geom_name=name)
    export: Any = scene.export
    return bytes(export(file_type="glb"))


def write_glb(parts: Sequence[tuple[str, Mesh]], path: Path, facts: Mapping[str, object] | None = None) -> int:
    """Write `encode_glb` to `path` (all or nothing); returns the number of bytes."""
    data = encode_glb(parts, facts)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return len(data)


def decode_glb(data: bytes) -> MeshFile:
    """The meshes and named places in a GLB file's bytes, in the gate frame.

    Raises:
        UnreadableScene: not a GLB file, larger than 64 MiB, without triangles, or damaged.
    """
    if len(data) > MAX_GLB_BYTES or data[:4] != _MAGIC:
        raise UnreadableScene(f"not a GLB file of at most {MAX_GLB_BYTES} bytes: got {len(data)} bytes")
    try:
        scene = trimesh.load_scene(BytesIO(data), file_type="glb")
        meshes = [_placed(scene, node) for node in scene.graph.nodes_geometry]
        places = {str(node): _to_gate(scene.graph.get(node)[0][:3, 3]) for node in scene.graph.nodes}
        mesh = joined([mesh for mesh in meshes if len(mesh)])
    except Exception as error:
        # trimesh raises whatever the damaged part of a file leads it to: struct, JSON, index and attribute errors.
        raise UnreadableScene(f"not a readable GLB file ({type(error).__name__}: {error})") from error
    if len(mesh) == 0:
        raise UnreadableScene("the GLB file holds no triangles")
    return MeshFile(mesh, places)


def read_glb(path: Path) -> MeshFile:
    """The meshes and named places in the file at `path`, in the gate frame.

    Raises:
        UnreadableScene: no such file, or what `decode_glb` refuses; the message names the file.
    """
    try:
        return decode_glb(path.read_bytes())
    except OSError as error:
        raise UnreadableScene(f"{path}: cannot be read ({error.strerror})") from error
    except UnreadableScene as error:
        raise UnreadableScene(f"{path}: {error}") from error


def _placed(scene: trimesh.Scene, node: str) -> Mesh:
    matrix, name = scene.graph.get(node)
    geometry = scene.geometry[name]
    if not isinstance(geometry, trimesh.Trimesh):
        return joined([])
    faces = np.asarray(geometry.faces, np.int64)
    # A node that mirrors turns its triangles inside out.
    faces = faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else faces
    return Mesh(_to_gate(np.asarray(geometry.vertices) @ matrix[:3, :3].T + matrix[:3, 3]), faces)


def _to_gate(points: np.ndarray) -> np.ndarray:
    return GLTF_RUB.inverse.points(np.asarray(points, np.float64))
