"""A blockout in a file of its own: what stands under `graybox:` in a world, or what is kept with a segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clips.dungeon.blockout import Graybox
from clips.errors import InvalidRoom
from model.spec_control import Control, ControlKind
from service.worlds import limits, problems
from service.worlds.form import part_of
from service.worlds.graybox import BadGraybox, GrayboxPart, control_of
from service.worlds.problems import Problem, got
from service.worlds.yaml_text import read_yaml


def load_graybox(path: Path) -> Control:
    """The control that a YAML or JSON file describes; a depth_file is looked for beside it.

    Raises:
        InvalidInput: with reason INVALID_WORLD; the message has a line for every problem.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        text = read_yaml(file.read(limits.MAX_SOURCE_BYTES + 1))
    found = list(text.problems)
    if found or not isinstance(text.value, dict):
        found = found or [Problem(1, (), f"got {got(text.value)}, allowed a mapping with width_m, height_m, depth_m")]
        raise problems.error_of(str(path), found)
    try:
        stored = _stored(text.value)
        if "proxies" in stored:
            return Control(ControlKind.BLOCKOUT, graybox=Graybox.from_json(stored))
        part, found = part_of(text, GrayboxPart)
        if part is None:
            raise problems.error_of(str(path), found)
        return control_of(part, path.parent)
    except BadGraybox as error:
        raise problems.error_of(str(path), [Problem(text.line(error.path), error.path, str(error))]) from error
    except InvalidRoom as error:
        raise problems.error_of(str(path), [Problem(1, (), f"got a stored blockout: {error}")]) from error


def _stored(value: dict[str, Any]) -> dict[str, Any]:
    """The blockout in the record of a clip (`control: {graybox: ...}`), or the value itself."""
    record = value.get("control")
    inner = record.get("graybox") if isinstance(record, dict) else None
    return inner if isinstance(inner, dict) else value
