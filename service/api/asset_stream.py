"""Reading an asset as ReadAssetResponse messages that are framed here, ready to be sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from service.api.convert.names import bad_field
from service.errors import Corrupt, FieldProblem, OutOfWindow
from service.work.platform_posix import READ_NOW, read_at

PIECE_BYTES = 256 * 1024
READ_AHEAD_PIECES = 8
_DATA_TAG, _OFFSET_TAG, _TOTAL_TAG = b"\x0a", b"\x10", b"\x18"
"""Field number and wire type of ReadAssetResponse's data, offset_bytes and total_bytes."""
_HEAD_ROOM = 64


@dataclass(frozen=True)
class ByteRange:
    """Bytes [start, end) of a file of `total` bytes."""

    start: int
    end: int
    total: int


def to_range(offset: int, limit: int, total: int) -> ByteRange:
    """The bytes that a ReadAssetRequest asks for; reading from the very end gives none.

    Raises:
        InvalidInput: a negative number.
        OutOfWindow: `offset` lies beyond the end.
    """
    if offset < 0:
        raise bad_field("offset_bytes", f"got {offset}, allowed 0 .. {total}")
    if limit < 0:
        raise bad_field("limit_bytes", f"got {limit}, allowed 0 (to the end) and up")
    if offset > total:
        message = f"got {offset}, allowed 0 .. {total}: the asset has {total} bytes"
        problem = FieldProblem("offset_bytes", message)
        raise OutOfWindow(f"offset_bytes: {message}", fields=(problem,), reason="OFFSET_BEYOND_END")
    return ByteRange(offset, min(total, offset + limit) if limit else total, total)


async def asset_messages(path: Path, wanted: ByteRange, readers: Executor) -> AsyncIterator[bytes]:
    """Serialized ReadAssetResponse messages of at most 256 KiB of data each, in order; one without data for none.

    What the page cache holds is read at once; else the next two MiB are read on a thread of `readers`. The event
    loop never waits for a disk.

    Raises:
        Corrupt: the file became shorter while it was read.
    """
    if wanted.start == wanted.end:
        yield frame(b"", wanted.start, wanted.total)
        return
    loop = asyncio.get_running_loop()
    with _Reader(path, wanted) as reader:
        while reader.at < wanted.end:
            message = reader.next_cached()
            if message is not None:
                yield message
                continue
            # The file must stay open until the thread is done, also where the client is gone meanwhile.
            ahead = loop.run_in_executor(readers, reader.next_pieces, READ_AHEAD_PIECES)
            try:
                messages = await asyncio.shield(ahead)
            except asyncio.CancelledError:
                await asyncio.wait([ahead])
                raise
            for message in messages:
                yield message


class _Reader:
    """Reads pieces of an open file into one buffer, behind room for the head of their message."""

    def __init__(self, path: Path, wanted: ByteRange) -> None:
        self.at = wanted.start
        self._wanted = wanted
        self._path = path
        self._file = -1
        self._can_try = READ_NOW is not None
        self._buffer = memoryview(bytearray(_HEAD_ROOM + PIECE_BYTES))

    def __enter__(self) -> _Reader:
        self._file = os.open(self._path, os.O_RDONLY)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def next_cached(self) -> bytes | None:
        """The next message, if its whole piece can be had without waiting."""
        if not self._can_try:
            return None
        try:
            return self._next(READ_NOW or 0)
        except BlockingIOError:
            return None
        except OSError:
            self._can_try = False  # a file system that does not know of the flag
            return None

    def next_pieces(self, count: int) -> list[bytes]:
        """The next messages, at most `count`; waits for the disk. Raises Corrupt."""
        messages: list[bytes] = []
        while len(messages) < count and self.at < self._wanted.end:
            message = self._next(0)
            if message is None:
                raise Corrupt(f"an asset of {self._wanted.total} bytes ends before byte {self._wanted.end}")
            messages.append(message)
        return messages

    def _next(self, flags: int) -> bytes | None:
        size = min(PIECE_BYTES, self._wanted.end - self.at)
        piece = self._buffer[_HEAD_ROOM : _HEAD_ROOM + size]
        if read_at(self._file, piece, self.at, flags) != size:
            return None
        head = _head(size, self.at, self._wanted.total)
        start = _HEAD_ROOM - len(head)
        self._buffer[start:_HEAD_ROOM] = head
        self.at += size
        return bytes(self._buffer[start : _HEAD_ROOM + size])


def frame(data: bytes, offset: int, total: int) -> bytes:
    """A serialized ReadAssetResponse with its data last (parsers take fields in any order)."""
    return _head(len(data), offset, total) + data


def _head(size: int, offset: int, total: int) -> bytes:
    parts = (_OFFSET_TAG, varint(offset), _TOTAL_TAG, varint(total), _DATA_TAG, varint(size))
    return b"".join(parts)


def varint(value: int) -> bytes:
    """A number of 0 and up as protobuf writes it."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
