"""What is wrong with the form of a world file: pydantic's complaints in the words of designers."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from service.worlds.document import WorldDocument
from service.worlds.nearest import did_you_mean
from service.worlds.problems import Path, Problem, field_of, got
from service.worlds.yaml_text import YamlText

_Model = TypeVar("_Model", bound=BaseModel)
_WORDS = {
    "string_type": "text (in quotes, if it looks like a number or true, false)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "list_type": "a list: [...]",
    "dict_type": "a mapping of ids to their fields",
    "model_type": "a mapping of fields",
    "union_tag_not_found": "the id of a task, {all: [...]} or {any: [...]}",
    "union_tag_invalid": "the id of a task, {all: [...]} or {any: [...]}",
}
_PATTERNS = {
    "^[a-z0-9][a-z0-9_-]{0,62}$": "1 to 63 lower-case letters, digits, - and _, with no - or _ first",
    "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$": "1 to 63 lower-case letters, digits and hyphens, no hyphen at the ends",
    "mist": "mist, FILE.npz or base64:...",
    "pool": "shared, pool(n), session or player",
    r"\.np[yz]": "FILE.npy, FILE.npz or base64:...",
    r"\.glb": "FILE.glb or base64:...",
}


def document_of(text: YamlText) -> tuple[WorldDocument | None, list[Problem]]:
    """The world document in `text`, or None and all that is wrong with its form."""
    return part_of(text, WorldDocument)


def part_of(text: YamlText, model: type[_Model]) -> tuple[_Model | None, list[Problem]]:
    """The `model` that the whole of `text` is, or None and all that is wrong with its form."""
    try:
        return model.model_validate(text.value), []
    except ValidationError as error:
        return None, [_problem(text, complaint, model) for complaint in error.errors(include_url=False)]


def _problem(text: YamlText, complaint: Any, model: type[BaseModel]) -> Problem:
    path = _path_of(text.value, complaint["loc"], missing=complaint["type"] == "missing")
    return Problem(text.line(path), path, _words(complaint, path, model))


def _path_of(value: Any, loc: tuple[str | int, ...], *, missing: bool) -> Path:
    """The path in the file: pydantic's, without the tags of unions and `[key]` marks."""
    path: list[str | int] = []
    for part in loc:
        inside_mapping = isinstance(value, dict) and part in value
        inside_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if inside_mapping or inside_list:
            path.append(part)
            value = value[part]
    if missing:
        path.append(loc[-1])
    return tuple(path)


def _words(complaint: Any, path: Path, model: type[BaseModel]) -> str:
    kind, value, limits = complaint["type"], complaint["input"], complaint.get("ctx", {})
    if kind == "missing":
        return f"got nothing, allowed {_described(path, model)}"
    if kind == "extra_forbidden":
        return _unknown_field(path, model)
    return f"got {got(value)}, {_allowed(kind, limits, complaint['msg'])}"


def _allowed(kind: str, limits: dict[str, Any], message: str) -> str:
    if kind == "value_error":
        return str(limits["error"])
    if kind in _WORDS:
        return f"allowed {_WORDS[kind]}"
    if kind == "string_pattern_mismatch":
        pattern = limits["pattern"]
        return "allowed " + next(words for start, words in _PATTERNS.items() if start in pattern)
    if kind == "literal_error":
        return f"allowed {limits['expected']}"
    bounds = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    for bound, words in bounds.items():
        if bound in limits:
            return f"allowed {words} {limits[bound]:,}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        least, most = limits.get("min_length"), limits.get("max_length")
        count = most if least is None else least
        what = ("character" if kind.startswith("string") else "item") + ("" if count == 1 else "s")
        return f"allowed at {'most' if least is None else 'least'} {count:,} {what}"
    return f"allowed something else ({message})"


def _described(path: Path, root: type[BaseModel]) -> str:
    model = _model_at(path[:-1], root)
    info = model.model_fields.get(str(path[-1])) if model and path else None
    if info is None or not info.description:
        return "a value: this field is required"
    return f"a value ({info.description.rstrip('.')})"


def _unknown_field(path: Path, root: type[BaseModel]) -> str:
    model = _model_at(path[:-1], root)
    names = list(model.model_fields) if model else []
    hint = did_you_mean(str(path[-1]), names)
    where = field_of(path[:-1]) or ("a world" if root is WorldDocument else "this file")
    return f"got an unknown field, allowed in {where}: {', '.join(names)}{hint}"


def _model_at(path: Path, root: type[BaseModel]) -> type[BaseModel] | None:
    """The model of the mapping at `path` below `root`."""
    at: Any = root
    for part in path:
        if isinstance(at, type) and issubclass(at, BaseModel):
            info = at.model_fields.get(str(part))
            at = info.annotation if info else None
        elif getattr(at, "__origin__", None) in (dict, list):
            at = get_args(at)[-1]
        models = [arg for arg in get_args(at) if isinstance(arg, type) and issubclass(arg, BaseModel)]
        if models and getattr(at, "__origin__", None) not in (dict, list):
            at = models[0]
    return at if isinstance(at, type) and issubclass(at, BaseModel) else None
