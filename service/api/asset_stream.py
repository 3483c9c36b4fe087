"""Reading an asset as ReadAssetResponse messages that are framed here, ready to be sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from service.api.convert.names import bad_field
from service.errors import Corrupt, FieldProblem, OutOfWindow

PIECE_BYTES = 256 * 1024
READ_AHEAD_PIECES = 8
_DATA_TAG, _OFFSET_TAG, _TOTAL_TAG = b"\x0a", b"\x10", b"\x18"
"""Field number and wire type of ReadAssetResponse's data, offset_bytes and total_bytes."""


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

    The next two MiB are read on a thread of `readers` while the caller sends the last ones: the event loop never
    waits for a disk, and at most twice that is in memory for one reader.

    Raises:
        Corrupt: the file became shorter while it was read.
    """
    if wanted.start == wanted.end:
        yield frame(b"", wanted.start, wanted.total)
        return
    loop = asyncio.get_running_loop()
    file = os.open(path, os.O_RDONLY)
    try:
        spans = _spans(wanted)
        ahead = loop.run_in_executor(readers, _read, file, next(spans), wanted.total)
        try:
            for span in spans:
                ready = await ahead
                ahead = loop.run_in_executor(readers, _read, file, span, wanted.total)
                for message in ready:
                    yield message
            for message in await ahead:
                yield message
        finally:
            # A thread may be reading still when the client is gone: the file must stay open until it is done.
            await asyncio.wait([ahead])
    finally:
        os.close(file)


def frame(data: bytes, offset: int, total: int) -> bytes:
    """ReadAssetResponse(data, offset_bytes, total_bytes).SerializeToString(), with one copy of the data only."""
    return b"".join(
        (
            (_DATA_TAG + varint(len(data))) if data else b"",
            data,
            (_OFFSET_TAG + varint(offset)) if offset else b"",
            (_TOTAL_TAG + varint(total)) if total else b"",
        )
    )


def varint(value: int) -> bytes:
    """A number of 0 and up as protobuf writes it."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _spans(wanted: ByteRange) -> Iterator[tuple[int, int]]:
    size = PIECE_BYTES * READ_AHEAD_PIECES
    for start in range(wanted.start, wanted.end, size):
        yield start, min(start + size, wanted.end)


def _read(file: int, span: tuple[int, int], total: int) -> list[bytes]:
    messages = []
    for start in range(span[0], span[1], PIECE_BYTES):
        size = min(PIECE_BYTES, span[1] - start)
        data = os.pread(file, size, start)
        if len(data) != size:
            raise Corrupt(f"an asset of {total} bytes ends at byte {start + len(data)}")
        messages.append(frame(data, start, total))
    return messages
