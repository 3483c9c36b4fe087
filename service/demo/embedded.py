"""An embedded server: `narthex serve` as a child process on a free loopback port, until it is left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from service.demo.processes import Child, python
from service.errors import Unavailable

START_S = 60.0
WARM_UP_S = 300.0
QUIET = {"GRPC_VERBOSITY": "ERROR"}
# Settings of a server that this machine may have do not count for this one: it is reached without a key, on loopback
# only, and its logs are read.
ALONE = QUIET | {"NARTHEX_AUTH_SERVER_KEYS": ""}
READABLE = ("--host", "127.0.0.1", "--log-level", "info", "--log-format", "json")


class EmbeddedServer:
    """A server with one worker on `data_dir`, between `start()` and `stop()`; `address` is where it answers.

    Args:
        data_dir: of the server: database, blobs, logs.
        say: called with what it is doing while it starts ("worker warming reconstruct").
    """

    def __init__(self, data_dir: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self._data_dir = data_dir
        self._say = say
        self._child: Child | None = None
        self.address = ""

    def start(self) -> None:
        """Returns once calls are answered and the worker is ready.

        Raises:
            Unavailable: the server did not start, or its worker did not get ready; says what it said last.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        port_file = self._data_dir / "port"
        port_file.unlink(missing_ok=True)
        options = ("--data", str(self._data_dir), "--port", "0", "--port-file", str(port_file), "--workers", "1")
        self._child = Child("server", python("service.cli.app", "serve", *options, *READABLE), environment=ALONE)
        try:
            self._say("server starts")
            self._wait(port_file.exists, START_S, "the server did not start")
            self.address = f"127.0.0.1:{int(port_file.read_text())}"
            self._wait(self._worker_is_ready, WARM_UP_S, "the worker did not get ready")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and its worker."""
        if self._child is not None:
            self._child.stop()

    def check(self) -> None:
        """Raises Unavailable where the server has ended by itself."""
        if self._child is None or self._child.returncode is not None:
            raise self._failure("the server ended")

    def _wait(self, condition: Callable[[], bool], limit_s: float, complaint: str) -> None:
        until_s = time.monotonic() + limit_s
        while not condition():
            self.check()
            if time.monotonic() > until_s:
                raise self._failure(f"{complaint} within {limit_s:.0f} s")
            time.sleep(0.05)

    def _worker_is_ready(self) -> bool:
        """Reads what the worker has logged so far: first it loads the model and compiles its loops."""
        log = self._data_dir / "logs" / "worker-1.log"
        messages = [_message(line) for line in log.read_text().splitlines()] if log.exists() else []
        if messages:
            self._say(messages[-1])
        return "worker ready" in messages

    def _failure(self, what: str) -> Unavailable:
        said = self._child.last_lines() if self._child is not None else ""
        log = self._data_dir / "logs" / "worker-1.log"
        worker = "\n".join(log.read_text().splitlines()[-5:]) if log.exists() else ""
        return Unavailable(f"{what}; `narthex doctor` looks for causes. It said last:\n{said}\n{worker}".rstrip())


def _message(line: str) -> str:
    try:
        return str(json.loads(line).get("msg", "")).strip()
    except (ValueError, AttributeError):
        return line.strip()
