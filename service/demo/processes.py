"""Child processes of a demo: started, listened to, and ended, whatever happens."""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

import psutil

LAST_LINES = 30
STOP_S = 15.0
SAMPLE_S = 0.25


class Child:
    """A running child process. Use as a context manager: on leaving, it and its children are gone.

    Args:
        name: for messages ("server", "client").
        command: what to run, from the folder that this process runs in.
        on_line: called, in a thread, with every line of its standard output.
        environment: variables on top of this process's own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, on_line), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, None), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """True as soon as the process has ended and all that it said has been heard; False after `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        for reader in self._readers:
            reader.join(5.0)
        return True

    def last_lines(self) -> str:
        """What the process said last."""
        return "\n".join(self._last)

    def stop(self) -> None:
        """Ends the process (it gets time to finish) and whatever it started."""
        family = _family(self._process.pid)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=5.0)
        for reader, stream in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(5.0)
            if stream is not None and not reader.is_alive():
                stream.close()

    def _read(self, stream: object, on_line: Callable[[str], None] | None) -> None:
        for raw in stream:  # type: ignore[attr-defined]
            line = raw.decode("utf-8", "replace").rstrip()
            self._last.append(line)
            if on_line is not None:
                on_line(line)


class MemoryWatch:
    """Notices the most memory that this process and all below it hold together, sampled four times a second.

    It adds up resident sets, so pages that processes share count more than once: an upper bound.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)
        self._thread.start()

    def close(self) -> int:
        """Ends the watch; the peak in bytes."""
        self._closing.set()
        self._thread.join(5.0)
        return self.peak_bytes

    def _sample(self) -> None:
        while not self._closing.wait(SAMPLE_S):
            total = 0
            for process in [psutil.Process(), *_family(os.getpid())]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak_bytes = max(self.peak_bytes, total)


def python(module: str, *arguments: str) -> list[str]:
    """A command that runs a module of ours with this very Python."""
    return [sys.executable, "-m", module, *arguments]


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
