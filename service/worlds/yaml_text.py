"""YAML text as plain values with the line of each: a safe, bounded part of YAML 1.2.

Values are made from parser events only: no tags, anchors or aliases, so nothing can grow or run. `yes`, `no`, `on`
and `12:30` are text, as in YAML 1.2. Repeated keys are problems, not silent overwrites.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from service.worlds.limits import MAX_DEPTH, MAX_SOURCE_BYTES, MAX_VALUES
from service.worlds.problems import Path, Problem, got

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")
_SPECIAL = {".nan": "nan", ".inf": "inf", "+.inf": "inf", "-.inf": "-inf"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class YamlText:
    """What a file says. `lines` gives for each path the line (from 1) of its key, or of the list item. `is_whole`:
    all of it could be read, so that what is missing is missing indeed.
    """

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_whole: bool = False

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(source: bytes) -> YamlText:
    """The values in `source` with their lines; `problems` says what is wrong with it as YAML."""
    text = YamlText()
    decoded = _decoded(source, text.problems)
    if decoded is None:
        return text
    try:
        _Builder(text).build(yaml.parse(decoded, Loader=_LOADER))
        text.is_whole = True
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        text.problems.append(Problem(line, (), _syntax(error, decoded, line)))
    except yaml.YAMLError as error:
        text.problems.append(Problem(1, (), f"got text that is not YAML ({' '.join(str(error).split())})"))
    except _TooMuch as error:
        text.problems.append(error.problem)
    if text.value is None and not text.problems:
        text.problems.append(Problem(1, (), "got an empty file, allowed a world: see `narthex world init`"))
    return text


class _TooMuch(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass
class _Open:
    """A list or mapping that is being read; `key` is the mapping's key whose value comes next."""

    value: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    repeated: bool = False


class _Builder:
    """Builds values from parser events, without recursion."""

    def __init__(self, text: YamlText) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._documents = 0
        self._values = 0

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _TooMuch(Problem(line, (), "got a second YAML document (---), allowed one"))
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, line)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._open.pop()

    def _node(self, event: Any, line: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _TooMuch(Problem(line, (), f"got more than {MAX_VALUES:,} values, allowed at most so many"))
        if len(self._open) >= MAX_DEPTH:
            raise _TooMuch(Problem(line, (), f"got nesting deeper than {MAX_DEPTH} levels, allowed at most so many"))
        top = self._open[-1] if self._open else None
        if isinstance(event, yaml.AliasEvent):
            self._complain(line, f"got the alias *{event.anchor}, allowed only values written out")
            self._put(top, None, line)
            return
        if event.anchor is not None:
            self._complain(line, f"got the anchor &{event.anchor}, allowed only values written out")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(top, event, line)
            return
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.tag is not None:
            self._complain(line, f"got the tag {event.tag}, allowed no tags")
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._complain(line, "got a list or mapping as a key, allowed text")
            top.key, top.repeated = "?", True
            self._open.append(_Open(value, (*top.path, "?")))
            top.key = None
            return
        self._open.append(_Open(value, self._put(top, value, line)))

    def _scalar(self, top: _Open | None, event: Any, line: int) -> None:
        if top is not None and isinstance(top.value, dict) and top.key is None:
            path = (*top.path, event.value)
            top.key, top.repeated = event.value, event.value in top.value
            if top.repeated:
                first = self._text.line(path)
                self._text.problems.append(
                    Problem(line, path, f"got the key {got(event.value)} again, allowed once (first in line {first})")
                )
            else:
                self._text.lines[path] = line
            return
        plain = event.implicit[0] and not event.style
        if event.tag is not None:
            self._complain(line, f"got the tag {event.tag}, allowed no tags")
        self._put(top, scalar(event.value) if plain else event.value, line)

    def _put(self, top: _Open | None, value: Any, line: int) -> Path:
        """Puts a value where it belongs; its path."""
        if top is None:
            self._text.value = value
            self._text.lines[()] = line
            return ()
        if isinstance(top.value, list):
            path: Path = (*top.path, len(top.value))
            top.value.append(value)
            self._text.lines[path] = line
            return path
        key, top.key = top.key or "", None
        path = (*top.path, key)
        if not top.repeated:
            top.value[key] = value
        return path

    def _complain(self, line: int, text: str) -> None:
        top = self._open[-1] if self._open else None
        path: Path = () if top is None else (top.path if top.key is None else (*top.path, top.key))
        self._text.problems.append(Problem(line, path, text))


def scalar(text: str) -> Any:
    """The value of an unquoted scalar: null, bool, int, float, else the text itself (YAML 1.2 core schema)."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.get(text.lower())
    return text if special is None else float(special)


def _decoded(source: bytes, problems: list[Problem]) -> str | None:
    if len(source) > MAX_SOURCE_BYTES:
        problems.append(Problem(1, (), f"got {len(source):,} bytes, allowed at most {MAX_SOURCE_BYTES:,}"))
        return None
    if not source.strip():
        problems.append(Problem(1, (), "got an empty file, allowed a world: see `narthex world init`"))
        return None
    try:
        decoded = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        problems.append(
            Problem(line, (), f"got the byte 0x{source[error.start]:02x} at offset {error.start}, allowed UTF-8 text")
        )
        return None
    bad = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", decoded)
    if bad:
        line = decoded.count("\n", 0, bad.start()) + 1
        offset = len(decoded[: bad.start()].encode())
        problems.append(
            Problem(line, (), f"got the control character 0x{ord(bad[0]):02x} at offset {offset}, allowed text")
        )
        return None
    return decoded


def _syntax(error: yaml.MarkedYAMLError, decoded: str, line: int) -> str:
    rows = decoded.split("\n")
    row = rows[min(line, len(rows)) - 1]
    if "\t" in row[: len(row) - len(row.lstrip())] or "\\t" in str(error.problem):
        return "got a tab in the indentation, allowed spaces"
    context = f" {error.context}" if error.context else ""
    return f"got text that is not YAML: {error.problem}{context}"
