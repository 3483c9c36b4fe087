"""Settings: defaults, then `narthex.toml`, then `NARTHEX_*` of the environment, then flags; each knows its origin.

A setting is named `section.key`: `[server] port = 1` in the file, `NARTHEX_SERVER_PORT=1` in the environment,
`{"server.port": 1}` from the flags of a command. Unknown names are errors that say the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import model
from model.revision import DRAFT_STEPS, FULL_STEPS, GUIDANCE
from service.errors import FieldProblem, InvalidInput

DEFAULT_FILE = Path("narthex.toml")
ENVIRONMENT_PREFIX = "NARTHEX_"
FILE_VARIABLE = "NARTHEX_CONFIG"
NO_SETTINGS = frozenset({FILE_VARIABLE, "NARTHEX_TRACEBACK"})
MIB = 1024 * 1024


def _setting(
    default: Any,
    about: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field that carries what `_Section` checks and `narthex config show` prints."""
    metadata = {"about": about, "low": low, "high": high, "choices": choices, "secret": secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class _Section:
    """Settings of one part. Raises InvalidInput that names every field that is out of range."""

    def __post_init__(self) -> None:
        problems = []
        for item in dataclasses.fields(self):
            wrong = _out_of_range(getattr(self, item.name), item.metadata)
            if wrong:
                problems.append(FieldProblem(item.name, wrong))
        if problems:
            text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
            raise InvalidInput(text, fields=tuple(problems))


@dataclass(frozen=True)
class ServerSettings(_Section):
    """Where the server listens, and its limits."""

    host: str = _setting("127.0.0.1", "Address to listen on; one other than loopback needs auth.server_keys.")
    port: int = _setting(50710, "TCP port; 0 takes a free one.", low=0, high=65535)
    max_message_bytes: int = _setting(8 * MIB, "Largest message taken or sent.", low=MIB, high=1024 * MIB)
    max_concurrent_calls: int = _setting(
        10_000, "Calls and streams at a time; more are refused with RESOURCE_EXHAUSTED.", low=1, high=1_000_000
    )
    keepalive_s: float = _setting(60.0, "Seconds of silence after which a connection is pinged.", low=1, high=7200)
    keepalive_timeout_s: float = _setting(20.0, "Seconds to wait for the answer to a ping.", low=1, high=600)
    min_ping_interval_s: float = _setting(10.0, "A client that pings more often is cut off.", low=0, high=3600)
    max_connection_idle_s: float = _setting(0.0, "Close connections without calls after this; 0: never.", low=0)
    drain_s: float = _setting(10.0, "Seconds that calls in flight have to finish after SIGTERM.", low=0, high=3600)
    watch_write_timeout_s: float = _setting(
        10.0, "A watcher that does not take an update for this long is told to resume.", low=0.01, high=3600
    )


@dataclass(frozen=True)
class AuthSettings(_Section):
    """Who may call."""

    server_keys: tuple[str, ...] = _setting(
        (), "Keys of game servers and designers, 16 characters or more.", secret=True
    )
    token_secret: str = _setting("", "Signs player tokens; empty: made once and kept in the data folder.", secret=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(len(key) < 16 for key in self.server_keys):
            short = FieldProblem(
                "server_keys", "got a key shorter than 16 characters; `openssl rand -hex 24` makes one"
            )
            raise InvalidInput(f"server_keys: {short.message}", fields=(short,))
        if self.token_secret and len(self.token_secret) < 32:
            weak = FieldProblem("token_secret", f"got {len(self.token_secret)} characters, needs 32 or more")
            raise InvalidInput(f"token_secret: {weak.message}", fields=(weak,))


@dataclass(frozen=True)
class DataSettings(_Section):
    """Where everything is kept."""

    dir: Path = _setting(Path("narthex-data"), "Folder of the database, blobs and logs; made if missing.")  # noqa: RUF009
    max_bytes: int = _setting(20 * 1024 * MIB, "Blobs beyond this are evicted, least recently used first.", low=MIB)


@dataclass(frozen=True)
class WorkSettings(_Section):
    """The worker processes."""

    workers: int = _setting(1, "Worker processes that the server starts; 0: none.", low=0, high=64)
    lease_s: float = _setting(15.0, "A job whose worker is silent for this long is given to another.", low=1, high=3600)
    threads: int = _setting(0, "CPU threads of a worker; 0: all cores but one.", low=0, high=1024)
    max_attempts: int = _setting(5, "A job that failed this often is DEAD.", low=1, high=100)


@dataclass(frozen=True)
class ModelSettings(_Section):
    """The generating model."""

    weights_dir: str = _setting("", "Folder of the weights; empty: those that Narthex ships.")
    draft_steps: int = _setting(DRAFT_STEPS, "Denoising steps of a DRAFT.", low=1, high=1000)
    full_steps: int = _setting(FULL_STEPS, "Denoising steps of a FULL.", low=1, high=1000)
    guidance: float = _setting(GUIDANCE, "Classifier-free guidance scale; 1 is none.", low=0, high=20)

    @property
    def folder(self) -> Path:
        """The folder of the weights."""
        return Path(self.weights_dir) if self.weights_dir else Path(model.__file__ or "").parent / "weights"


@dataclass(frozen=True)
class LogSettings(_Section):
    """What is logged to standard error."""

    level: str = _setting("info", "Least severity.", choices=("debug", "info", "warning", "error"))
    format: str = _setting("json", "One JSON object a line, or text for people.", choices=("json", "text"))


@dataclass(frozen=True)
class Config:
    """All settings."""

    server: ServerSettings = field(default_factory=ServerSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    data: DataSettings = field(default_factory=DataSettings)
    work: WorkSettings = field(default_factory=WorkSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    log: LogSettings = field(default_factory=LogSettings)


SECTIONS: Mapping[str, type[_Section]] = {
    "server": ServerSettings,
    "auth": AuthSettings,
    "data": DataSettings,
    "work": WorkSettings,
    "model": ModelSettings,
    "log": LogSettings,
}


@dataclass(frozen=True)
class Loaded:
    """A config and, by setting name, where each value came from: "default", a file, a variable or a flag."""

    config: Config
    origins: Mapping[str, str]


@dataclass(frozen=True)
class SettingRow:
    """One line of `narthex config show`; `value` is "***" for a secret that is set."""

    name: str
    value: Any
    origin: str
    about: str


def load_config(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Loaded:
    """Settings from all origins; a flag of None counts as not given.

    `file` must exist if it is named, here or by NARTHEX_CONFIG; else `narthex.toml` in the working folder is
    read where there is one.

    Raises:
        InvalidInput: a file is missing or not TOML, a name is unknown, or a value is of the wrong type or range.
    """
    environment = environment or {}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_kinds(), "default")
    path = _file_to_read(file, environment)
    layers = [_from_file(path)] if path else []
    layers += [_from_environment(environment), _from_flags(flags or {})]
    for layer in layers:
        for name, (value, origin) in layer.items():
            values[name] = _typed(name, value, origin)
            origins[name] = origin
    return Loaded(_build(values, origins), origins)


def setting_rows(loaded: Loaded) -> list[SettingRow]:
    """Every setting in order, secrets hidden."""
    rows = []
    for section in SECTIONS:
        part = getattr(loaded.config, section)
        for item in dataclasses.fields(part):
            name, value = f"{section}.{item.name}", getattr(part, item.name)
            shown = "***" if item.metadata["secret"] and value else value
            shown = str(shown) if isinstance(shown, Path) else list(shown) if isinstance(shown, tuple) else shown
            rows.append(SettingRow(name, shown, loaded.origins[name], item.metadata["about"]))
    return rows


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, or "" where none is."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else ""


def _kinds() -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    for section, part in SECTIONS.items():
        hints = get_type_hints(part)
        kinds |= {f"{section}.{item.name}": hints[item.name] for item in dataclasses.fields(part)}
    return kinds


def _file_to_read(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if named is not None and not named.is_file():
        origin = "--config" if file else FILE_VARIABLE
        raise InvalidInput(f"{origin}: there is no file {named}", reason="NO_CONFIG_FILE")
    if named is None and DEFAULT_FILE.is_file():
        return DEFAULT_FILE
    return named


Layer = dict[str, tuple[Any, str]]


def _from_file(path: Path) -> Layer:
    try:
        tables = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path}: not a TOML file: {error}", reason="BAD_CONFIG_FILE") from error
    layer: Layer = {}
    for section, table in tables.items():
        if section not in SECTIONS:
            raise _unknown(f"{path}: unknown section [{section}]", section, SECTIONS, "[{}]")
        if not isinstance(table, dict):
            raise InvalidInput(f"{path}: {section} must be a section [{section}], got {table!r}")
        known = [name.partition(".")[2] for name in _kinds() if name.startswith(f"{section}.")]
        for key, value in table.items():
            if key not in known:
                raise _unknown(f"{path}: unknown key {key} in [{section}]", key, known)
            layer[f"{section}.{key}"] = (value, str(path))
    return layer


def _from_environment(environment: Mapping[str, str]) -> Layer:
    known = {ENVIRONMENT_PREFIX + name.replace(".", "_").upper(): name for name in _kinds()}
    layer: Layer = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NO_SETTINGS:
            continue
        if variable not in known:
            raise _unknown(f"environment: unknown variable {variable}", variable, known)
        layer[known[variable]] = (_parsed(known[variable], text, variable), variable)
    return layer


def _from_flags(flags: Mapping[str, Any]) -> Layer:
    unknown = [name for name in flags if name not in _kinds()]
    if unknown:
        raise _unknown(f"flags: unknown setting {unknown[0]}", unknown[0], _kinds())
    return {name: (value, "flag") for name, value in flags.items() if value is not None}


def _unknown(text: str, name: str, known: Iterable[str], form: str = "{}") -> InvalidInput:
    known = list(known)
    near = nearest(name, known)
    hint = f"did you mean {form.format(near)}?" if near else f"known are {', '.join(known)}"
    return InvalidInput(f"{text}; {hint}", fields=(FieldProblem(name, hint),), reason="UNKNOWN_SETTING")


def _parsed(name: str, text: str, variable: str) -> Any:
    """`text` of an environment variable as the setting's type; lists are separated by commas."""
    kind = _kinds()[name]
    try:
        if kind in (int, float):
            return kind(text.replace("_", "") if kind is int else text)
    except ValueError:
        raise _wrong(name, variable, text, "a whole number" if kind is int else "a number") from None
    return [part.strip() for part in text.split(",") if part.strip()] if kind == tuple[str, ...] else text


def _typed(name: str, value: Any, origin: str) -> Any:
    kind = _kinds()[name]
    if kind == tuple[str, ...]:
        if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise _wrong(name, origin, value, "a list of strings")
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, kind):
        expected = {int: "a whole number", float: "a number", str: "a string", Path: "a path"}[kind]
        raise _wrong(name, origin, value, expected)
    return value


def _wrong(name: str, origin: str, got: Any, expected: str) -> InvalidInput:
    message = f"got {got!r}, expected {expected}"
    return InvalidInput(f"{origin}: {name}: {message}", fields=(FieldProblem(name, message),))


def _out_of_range(value: Any, metadata: Mapping[str, Any]) -> str:
    if metadata["choices"] and value not in metadata["choices"]:
        return f"got {value!r}, allowed {', '.join(metadata['choices'])}"
    low, high = metadata["low"], metadata["high"]
    if low is not None and not value >= low:
        return f"got {value!r}, allowed {low} .. {high if high is not None else ''}".rstrip()
    if high is not None and not value <= high:
        return f"got {value!r}, allowed {low if low is not None else ''} .. {high}"
    return ""


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    parts: dict[str, Any] = {}
    for section, part in SECTIONS.items():
        given = {n.partition(".")[2]: v for n, v in values.items() if n.startswith(f"{section}.")}
        try:
            parts[section] = part(**given)
        except InvalidInput as error:
            fields = tuple(FieldProblem(f"{section}.{p.field}", p.message) for p in error.fields)
            text = "; ".join(f"{origins[p.field]}: {p.field}: {p.message}" for p in fields)
            raise InvalidInput(text, fields=fields) from error
    return Config(**parts)
