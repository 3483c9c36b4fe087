"""JSON text of frozen dataclasses and back, by their type hints: how sessions lie in the database.

Dataclasses become objects; where a hint allows several classes, the object says which under "kind". Mappings
have text keys, enums their values, tuples and sets are lists. Infinities are written as Python's json does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum, StrEnum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

Encoder = Callable[[Any], Any]
Decoder = Callable[[Any], Any]
KIND = "kind"

_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def to_json(hint: Any, value: Any) -> str:
    """The JSON text of `value`, which is of the type `hint`."""
    return _write(_encoder(hint)(value))


def from_json(hint: Any, text: str) -> Any:
    """The value of type `hint` whose text `to_json` wrote.

    Raises:
        ValueError: the text is no JSON, or does not describe such a value.
    """
    try:
        return _decoder(hint)(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the JSON form of {hint}: {error!r}") from error


def layout(hint: Any) -> str:
    """A name (16 hex digits) for the JSON form of a type: another one whenever a field or its type changes."""
    return hashlib.sha256(_describe(hint, ()).encode()).hexdigest()[:16]


def _describe(hint: Any, within: tuple[Any, ...]) -> str:
    hint = _plain(hint)
    if get_args(hint):
        parts = ",".join(_describe(argument, within) for argument in get_args(hint) if argument is not Ellipsis)
        return f"{getattr(get_origin(hint), '__name__', 'union')}[{parts}]"
    name = getattr(hint, "__name__", str(hint))
    if not is_dataclass(hint) or hint in within:
        return str(name)
    hints = get_type_hints(hint)
    members = (f"{field.name}:{_describe(hints[field.name], (*within, hint))}" for field in fields(hint))
    return f"{name}({','.join(members)})"


def _same(value: Any) -> Any:
    return value


@cache
def _encoder(hint: Any) -> Encoder:
    """Turns values of a type into what `json` can write; `_same` where that is the value itself."""
    hint = _plain(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union_encoder(arguments)
    if origin in (tuple, frozenset):
        return _list_encoder(_encoder(arguments[0]), ordered=origin is tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_encoder(_encoder(arguments[1]))
    if isinstance(hint, type) and issubclass(hint, IntEnum | StrEnum):
        return _same  # json writes them as what they are made of
    if is_dataclass(hint):
        return _dataclass_encoder(hint)
    return _check_plain(hint)


def _list_encoder(item: Encoder, *, ordered: bool) -> Encoder:
    if not ordered:
        return lambda values: sorted(map(item, values))
    return _same if item is _same else lambda values: [item(value) for value in values]


def _mapping_encoder(item: Encoder) -> Encoder:
    # json writes whole numbers among keys as text, but IntEnum keys only from Python 3.12 on as numbers.
    def key(name: Any) -> str:
        return str(int(name)) if isinstance(name, int) else str(name)

    return lambda values: {key(name): item(value) for name, value in values.items()}


@cache
def _decoder(hint: Any) -> Decoder:
    hint = _plain(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union_decoder(arguments)
    if origin in (tuple, frozenset):
        item, make = _decoder(arguments[0]), origin
        return lambda values: make([item(value) for value in values])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = _key_decoder(arguments[0]), _decoder(arguments[1])
        return lambda values: {key(name): item(value) for name, value in values.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if is_dataclass(hint):
        return _dataclass_decoder(hint)
    return _check_plain(hint)


def _plain(hint: Any) -> Any:
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    return hint


def _check_plain(hint: Any) -> Callable[[Any], Any]:
    if hint not in (str, int, float, bool):
        raise TypeError(f"no JSON form for the type {hint}")
    return _same


def _key_decoder(hint: Any) -> Decoder:
    hint = _plain(hint)
    if isinstance(hint, type) and issubclass(hint, int):
        return lambda name: hint(int(name))
    return _decoder(hint)


def _dataclass_encoder(hint: Any) -> Encoder:
    hints = get_type_hints(hint)
    names = tuple(field.name for field in fields(hint))
    if len(names) < 2:  # attrgetter gives a tuple only for two names or more
        encoders = [(name, _encoder(hints[name])) for name in names]
        return lambda value: {name: part(getattr(value, name)) for name, part in encoders}
    parts = [(name, part) for name in names if (part := _encoder(hints[name])) is not _same]
    values_of = attrgetter(*names)

    def encode(value: Any) -> Any:
        data = dict(zip(names, values_of(value), strict=True))
        for name, part in parts:
            data[name] = part(data[name])
        return data

    return encode


def _dataclass_decoder(hint: Any) -> Decoder:
    hints = get_type_hints(hint)
    members = [(field.name, hints[field.name]) for field in fields(hint)]
    return lambda data: hint(**{name: _decoder(member)(data[name]) for name, member in members if name in data})


def _union_encoder(arguments: tuple[Any, ...]) -> Encoder:
    kinds = [argument for argument in arguments if argument is not NoneType]
    if len(kinds) == 1:
        one = _encoder(kinds[0])
        return _same if one is _same else lambda value: None if value is None else one(value)
    encoders = {kind: (kind.__name__, _encoder(kind)) for kind in kinds}

    def encode(value: Any) -> Any:
        if value is None:
            return None
        name, one = encoders[type(value)]
        return {KIND: name, **one(value)}

    return encode


def _union_decoder(arguments: tuple[Any, ...]) -> Decoder:
    kinds = [argument for argument in arguments if argument is not NoneType]
    if len(kinds) == 1:
        one = _decoder(kinds[0])
        return lambda data: None if data is None else one(data)
    by_name = {kind.__name__: kind for kind in kinds}
    return lambda data: None if data is None else _decoder(by_name[data[KIND]])(data)
