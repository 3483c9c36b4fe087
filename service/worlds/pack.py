"""Packing: a world with its placeholder clips written into it, so that one file says everything to a server."""

from __future__ import annotations

from pathlib import Path

import yaml

from service.errors import InvalidInput
from service.worlds.limits import MAX_SOURCE_BYTES
from service.worlds.placeholder import inlined
from service.worlds.yaml_file import parse_world

_SUFFIX = ".npz"


def packed(source: bytes, name: str, base_dir: Path) -> bytes:
    """`source` with every placeholder file of `base_dir` replaced by its bytes; all else stays as it is written.

    Raises:
        InvalidInput: the world has problems, or is more than 1 MiB when it is packed.
    """
    parse_world(source, name, base_dir)
    text = source.decode("utf-8-sig")
    for start, end, file in reversed(_placeholder_files(text)):
        text = text[:start] + inlined((base_dir / file).read_bytes()) + text[end:]
    result = text.encode()
    if len(result) > MAX_SOURCE_BYTES:
        raise InvalidInput(
            f"{name}: got {len(result):,} bytes when packed, allowed {MAX_SOURCE_BYTES:,}: use fewer or smaller clips",
            reason="WORLD_TOO_BIG",
        )
    parse_world(result, name)
    return result


def _placeholder_files(text: str) -> list[tuple[int, int, str]]:
    """Where the values of `placeholder:` that name files stand in the text: first and last + 1 character, and the file.

    A checked world has no other field of that name, so that looking at keys alone is enough.
    """
    found = []
    key = ""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        value = event.value if isinstance(event, yaml.ScalarEvent) else ""
        if key == "placeholder" and value.endswith(_SUFFIX) and event.start_mark and event.end_mark:
            found.append((event.start_mark.index, event.end_mark.index, value))
        key = value
    return found
