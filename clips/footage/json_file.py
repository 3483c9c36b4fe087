"""Reading JSON files that people and engines write: every mistake is named by file, field, value and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from clips.errors import UnreadableClip

MAX_JSON_BYTES = 64 * 2**20
_SHOWN_PROBLEMS = 4
_SHOWN_CHARACTERS = 60

Model = TypeVar("Model", bound=BaseModel)


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        UnreadableClip: missing, not UTF-8, not JSON, or more than MAX_JSON_BYTES.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise UnreadableClip(f"{path.name}: {size} bytes, at most {MAX_JSON_BYTES} are read")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UnreadableClip(f"{path.name}: no such file; write it (docs/clip-folders.md)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableClip(f"{path.name}: not readable JSON ({error}); write it anew") from error


def parsed(model: type[Model], value: Any, name: str) -> Model:
    """`value` as a `model`; `name` is the file's, for messages.

    Raises:
        UnreadableClip: names the first fields that are wrong, what they hold and what was expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_problem(dict(detail)) for detail in error.errors(include_url=False)]
        more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        raise UnreadableClip(f"{name}: {'; '.join(problems[:_SHOWN_PROBLEMS])}{more}") from error


def _problem(detail: dict[str, Any]) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{field}: is missing; add it"
    if detail["type"] == "extra_forbidden":
        return f"{field}: no such field; remove it or correct its name"
    if not field:
        return message
    got = repr(detail["input"])
    shown = got if len(got) <= _SHOWN_CHARACTERS else f"{got[:_SHOWN_CHARACTERS]}..."
    return f"{field}: got {shown}: {message[:1].lower()}{message[1:]}"
