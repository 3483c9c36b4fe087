"""Writes down a playthrough: the trace, what was on screen when, and the game's own pictures at the doors.

A folder afterwards holds:
    events.jsonl   the trace: {"world": FILE}, then offset_s and an event (proto3 JSON) a line (docs/traces.md)
    screen.jsonl   what became ready, was opened, faded and shown, a line each, with offset_s
    frames.jsonl   pose of the player for each picture of frames/, with offset_s
    frames/*.png   the game's screen around each opening
"""

from __future__ import annotations

import collections
import json
import queue
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from google.protobuf.json_format import MessageToDict
from narthex.v1 import event_pb2

from examples.vizdoom.game import GameState
from examples.vizdoom.level import DOORWAYS, UNITS_PER_M

KEPT_BEFORE_OPENING = 70
LONGEST_QUEUE = 64
PORTRAIT_FROM_M = 5.0


@dataclass(frozen=True)
class Picture:
    """The game's screen in one tick, and when that was."""

    state: GameState
    offset_s: float
    pixels: np.ndarray


class Recorder:
    """Writes into `folder`; every method may be called from any thread. `close()` finishes all files.

    Args:
        folder: made where it does not exist.
        world_file: what the trace's first line names, relative to the trace.
        echo: where the lines of screen.jsonl go as well, for whoever started this process; None for nowhere.
    """

    def __init__(self, folder: Path, world_file: str, echo: TextIO | None) -> None:
        self._folder = folder = folder.resolve()
        self._echo = echo
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._start_s = time.monotonic()
        self._files = {name: (folder / name).open("w") for name in ("events.jsonl", "screen.jsonl", "frames.jsonl")}
        self._write("events.jsonl", {"world": world_file})
        self._portrait: dict[str, Picture] = {}
        self._before: collections.deque[Picture] = collections.deque(maxlen=KEPT_BEFORE_OPENING)
        self._pictures: queue.Queue[Picture | None] = queue.Queue(LONGEST_QUEUE)
        self._painter = threading.Thread(target=self._paint_all, name="pictures", daemon=True)
        self._painter.start()
        self.pictures_dropped = 0

    def offset_s(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self._start_s

    def on_event(self, event: event_pb2.Event) -> None:
        """Adds an event to the trace."""
        self._write("events.jsonl", {"offset_s": round(self.offset_s(), 4), **MessageToDict(event)})

    def note(self, what: str, **values: Any) -> None:
        """Adds a line to screen.jsonl and to the echo."""
        line = {"what": what, "offset_s": round(self.offset_s(), 4), "time_s": time.time(), **values}
        self._write("screen.jsonl", line)
        if self._echo is not None:
            print(json.dumps(line), file=self._echo, flush=True)

    def keep_in_mind(self, gate: str, state: GameState, picture: np.ndarray) -> None:
        """Keeps a picture of a closed door; the newest two seconds of them are written when a door opens,
        and with them the newest that shows the door from a few steps away.
        """
        item = Picture(state, self.offset_s(), picture)
        self._before.append(item)
        if DOORWAYS[gate].y - state.y > PORTRAIT_FROM_M * UNITS_PER_M:
            self._portrait[gate] = item

    def keep(self, state: GameState, picture: np.ndarray) -> None:
        """Writes a picture of an open door, and those that were kept in mind before it."""
        for item in (*self._portrait.values(), *self._before):
            self._pictures.put(item)
        self._portrait.clear()
        self._before.clear()
        try:
            self._pictures.put_nowait(Picture(state, self.offset_s(), picture))
        except queue.Full:
            self.pictures_dropped += 1

    def close(self) -> None:
        """Writes what is left and closes the files."""
        self._pictures.put(None)
        self._painter.join()
        for file in self._files.values():
            file.close()

    def _paint_all(self) -> None:
        while (item := self._pictures.get()) is not None:
            state = item.state
            name = f"frames/{state.tick:06d}.png"
            if (self._folder / name).exists():
                continue
            (self._folder / name).write_bytes(png(item.pixels))
            line: dict[str, Any] = {"file": name, "offset_s": round(item.offset_s, 4), "tick": state.tick}
            line |= {"x": state.x, "y": state.y, "eye": state.eye, "angle_deg": state.angle_deg}
            self._write("frames.jsonl", line | {"doors": dict(state.doors)})

    def _write(self, name: str, line: dict[str, Any]) -> None:
        with self._lock:
            self._files[name].write(json.dumps(line) + "\n")
            self._files[name].flush()


def png(picture: np.ndarray) -> bytes:
    """A PNG file of a picture (H, W, 3) uint8."""
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + width * 3), np.uint8)
    rows[:, 1:] = picture.reshape(height, width * 3)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
