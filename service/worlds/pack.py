"""Packing: a world with its clips and meshes written into it: one file says everything to a server."""

from __future__ import annotations

from pathlib import Path

import yaml

from service.errors import InvalidInput
from service.worlds.depth_file import inlined_depth, read_depth_file
from service.worlds.limits import MAX_SOURCE_BYTES
from service.worlds.mesh_file import inlined_mesh
from service.worlds.placeholder import inlined
from service.worlds.sizes import ANY_SIZE
from service.worlds.yaml_file import parse_world

_SUFFIXES = {"placeholder": (".npz",), "depth_file": (".npy", ".npz"), "mesh_file": (".glb",), "graybox": (".glb",)}
"""The fields that may name files, and how those end."""


def packed(source: bytes, name: str, base_dir: Path) -> bytes:
    """`source` with every file of `base_dir` that it names replaced by its bytes; all else stays as it is written.

    Which sizes are made is for the server to say that gets the world.

    Raises:
        InvalidInput: the world has problems, or is more than 1 MiB when it is packed.
    """
    parse_world(source, name, base_dir, sizes=ANY_SIZE)
    text = source.decode("utf-8-sig")
    for start, end, field, file in reversed(_files(text)):
        path = base_dir / file
        text = text[:start] + _inlined(field, path) + text[end:]
    result = text.encode()
    if len(result) > MAX_SOURCE_BYTES:
        raise InvalidInput(
            f"{name}: got {len(result):,} bytes when packed, allowed {MAX_SOURCE_BYTES:,}: use fewer or smaller clips",
            reason="WORLD_TOO_BIG",
        )
    parse_world(result, name, sizes=ANY_SIZE)
    return result


def _inlined(field: str, path: Path) -> str:
    if field == "depth_file":
        return inlined_depth(read_depth_file(path))
    return inlined(path.read_bytes()) if field == "placeholder" else inlined_mesh(path.read_bytes())


def _files(text: str) -> list[tuple[int, int, str, str]]:
    """Where the values that name files stand in the text: first and last + 1 character, the field and the file.

    A checked world has no other fields of these names, so that looking at keys alone is enough.
    """
    found = []
    key = ""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        value = event.value if isinstance(event, yaml.ScalarEvent) else ""
        if value.endswith(_SUFFIXES.get(key, ("\0",))) and event.start_mark and event.end_mark:
            found.append((event.start_mark.index, event.end_mark.index, key, value))
        key = value
    return found
