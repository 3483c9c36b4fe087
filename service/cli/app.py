"""`narthex`: every command, each imported only when it is called, so that `narthex --help` is quick.

Exit status of every command:

    0    done
    1    rightly asked and failed: disk, network, a server's answer, a training that diverged, a fault of Narthex; also
         what was to be checked is not in order (`world check`, `show` and `pack`, `data inspect`, `doctor`)
    2    wrongly asked: an option, a value, or a file that was named cannot be used, so that only another call helps
    130  stopped by ^C; 143 by SIGTERM (both after cleaning up)
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
TERMINATED = 143
TRACEBACK_VARIABLE = "NARTHEX_TRACEBACK"
_OURS = ("service.errors", "clips.errors", "model.errors", "recon.errors")


@dataclass(frozen=True)
class Entry:
    """Where a command lives: a function or a typer app `attribute` of `module`, and what --help says of it."""

    module: str
    attribute: str
    about: str


COMMANDS: Mapping[str, Entry] = {
    "serve": Entry("service.cli.serve", "serve", "Run the server and its worker processes."),
    "demo": Entry("service.cli.demo", "demo", "A real game plays through its gates; pictures land in out/demo."),
    "play": Entry("service.cli.play", "play", "Replay a recorded trace of a game."),
    "world": Entry("service.cli.world", "world_app", "Make, check and show worlds."),
    "generate": Entry("service.cli.generate", "generate", "Generate segments from a prompt, without a server."),
    "prompt": Entry("service.cli.prompt", "prompt_app", "Show what the model understands of a prompt."),
    "reconstruct": Entry("service.cli.reconstruct", "reconstruct", "Make a 4D scene from a clip, without a server."),
    "train": Entry("service.cli.train", "train_app", "Train the embedded model."),
    "data": Entry("service.cli.data", "data_app", "Render, import, inspect and describe clips to train on."),
    "jobs": Entry("service.cli.jobs", "jobs_app", "List, show, retry and cancel jobs of a running server."),
    "config": Entry("service.cli.config", "config_app", "Show every setting and where its value comes from."),
    "doctor": Entry("service.cli.doctor", "doctor", "Check device, disk, port, clock, versions and weights."),
}

_HEAD = """\
Usage: narthex COMMAND [OPTIONS]

Prepares the world behind a game's gates while the player earns the key.

Commands:
"""
_FOOT = """
Options:
  --version    Show the version.
  --help       Show this text; `narthex COMMAND --help` says more.

Examples:
  narthex demo
  narthex serve --data out/x
  narthex world init my-world.yaml
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with the status that the module says. Errors are one line and a remedy, no traceback."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if name in COMMANDS:
        raise SystemExit(_run(name, rest))
    if name in ("--help", "-h", "help", ""):
        print(help_text(), end="", file=sys.stdout if name else sys.stderr)
        raise SystemExit(0 if name else WRONG_USE)
    if name == "--version":
        print(f"narthex {_version()}")
        raise SystemExit(0)
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(COMMANDS)}"
    print(f"narthex: unknown command {name[:60]!r}; {hint}", file=sys.stderr)
    raise SystemExit(WRONG_USE)


def help_text() -> str:
    """What `narthex --help` prints."""
    width = max(map(len, COMMANDS))
    return _HEAD + "".join(f"  {name:<{width}}  {entry.about}\n" for name, entry in COMMANDS.items()) + _FOOT


def exit_status(error: Exception) -> int:
    """The exit status that an error means, by the rule of this module; imports nothing that errors are made of."""
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return WRONG_USE
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ in _OURS}
    if not names.isdisjoint({"TrainingDiverged", "NoRoom"}):
        return FAILED
    wrong = {"ClipError", "ModelError", "ReconError", "InvalidInput", "Unsupported"}
    return FAILED if names.isdisjoint(wrong) else WRONG_USE


@contextmanager
def _cleaning_up_when_terminated() -> Iterator[None]:
    """SIGTERM unwinds as ^C does, so that half-written files are removed; commands may set handlers of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


def _run(name: str, arguments: list[str]) -> int:
    try:
        with _cleaning_up_when_terminated():
            _call(name, arguments)
    except KeyboardInterrupt:
        print("narthex: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: there is nobody to tell, and nothing may be flushed to them at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _say(error)
    return 0


def _call(name: str, arguments: list[str]) -> None:
    import typer

    entry = COMMANDS[name]
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        app = found
    else:
        app = typer.Typer(add_completion=False)
        app.command(name)(found)
    app(args=arguments, prog_name=f"narthex {name}")


def _say(error: Exception) -> int:
    """Says what failed in one line; the exit status."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    if _is_known(error):
        print(f"narthex: {error}", file=sys.stderr)
    else:
        print(f"narthex: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"narthex: this is a fault of Narthex; {TRACEBACK_VARIABLE}=1 shows where", file=sys.stderr)
    return exit_status(error)


def _is_known(error: Exception) -> bool:
    """Whether the error is one that a user can do something about: ours, or of files and the network."""
    return isinstance(error, OSError) or any(kind.__module__ in _OURS for kind in type(error).__mro__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("narthex")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
