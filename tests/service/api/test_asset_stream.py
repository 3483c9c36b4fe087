from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from narthex.v1.asset_service_pb2 import ReadAssetResponse

from service.api import asset_stream
from service.api.asset_stream import PIECE_BYTES, ByteRange, asset_messages, frame, to_range, varint
from service.errors import Corrupt, InvalidInput, OutOfWindow

TOTAL = 5 * 1024 * 1024 + 12_345


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    data = os.urandom(TOTAL)
    path = tmp_path_factory.mktemp("assets") / "asset"
    path.write_bytes(data)
    return path, data


async def read(path: Path, wanted: ByteRange) -> list[ReadAssetResponse]:
    with ThreadPoolExecutor(1) as readers:
        return [ReadAssetResponse.FromString(m) async for m in asset_messages(path, wanted, readers)]


def open_files() -> int:
    return psutil.Process().num_fds()


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, TOTAL), (1, TOTAL), (TOTAL - 1, TOTAL), (PIECE_BYTES, 2 * PIECE_BYTES), (17, 18), (2_000_000, 4_500_000)],
)
async def test_the_messages_are_the_bytes_in_order(content: tuple[Path, bytes], start: int, end: int):
    path, data = content
    messages = await read(path, ByteRange(start, end, TOTAL))
    assert b"".join(message.data for message in messages) == data[start:end]
    at = start
    for message in messages:
        assert (message.offset_bytes, message.total_bytes) == (at, TOTAL)
        assert 0 < len(message.data) <= PIECE_BYTES
        at += len(message.data)


@pytest.mark.parametrize(("at", "total"), [(0, 0), (TOTAL, TOTAL)])
async def test_no_bytes_are_one_message_that_says_the_size(content: tuple[Path, bytes], at: int, total: int):
    messages = await read(content[0], ByteRange(at, at, total))
    assert messages == [ReadAssetResponse(offset_bytes=at, total_bytes=total)]


async def test_a_reader_that_leaves_early_leaves_no_open_file(content: tuple[Path, bytes]):
    before = open_files()
    with ThreadPoolExecutor(1) as readers:
        stream = asset_messages(content[0], ByteRange(0, TOTAL, TOTAL), readers)
        await anext(stream)
        await stream.aclose()
        assert open_files() == before


async def test_a_file_that_was_cut_is_corrupt(tmp_path: Path):
    path = tmp_path / "short"
    path.write_bytes(b"x" * 1_000)
    with pytest.raises(Corrupt, match="ends before byte 2000"):
        await read(path, ByteRange(0, 2_000, 2_000))


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(127), os.urandom(128), os.urandom(PIECE_BYTES)])
@pytest.mark.parametrize(("offset", "total"), [(0, 0), (1, 5), (2**40, 2**62)])
def test_framed_messages_are_read_by_protobuf(data: bytes, offset: int, total: int):
    expected = ReadAssetResponse(data=data, offset_bytes=offset, total_bytes=total)
    assert ReadAssetResponse.FromString(frame(data, offset, total)) == expected


def test_the_longest_head_has_room():
    assert len(asset_stream._head(PIECE_BYTES, 2**63 - 1, 2**63 - 1)) < asset_stream._HEAD_ROOM


@pytest.mark.parametrize("refusal", [BlockingIOError(), OSError(95, "Operation not supported")])
async def test_what_no_cache_holds_is_read_on_a_thread(
    content: tuple[Path, bytes], refusal: OSError, monkeypatch: pytest.MonkeyPatch
):
    loop_thread, on_loop, on_threads = threading.get_ident(), 0, 0
    real = asset_stream.read_at

    def read_at(file: int, piece: memoryview, offset: int, flags: int) -> int:
        nonlocal on_loop, on_threads
        if flags:
            on_loop += threading.get_ident() == loop_thread
            raise refusal
        on_threads += threading.get_ident() != loop_thread
        return real(file, piece, offset)

    monkeypatch.setattr(asset_stream, "READ_NOW", 8)
    monkeypatch.setattr(asset_stream, "read_at", read_at)
    path, data = content
    messages = await read(path, ByteRange(0, TOTAL, TOTAL))
    assert b"".join(message.data for message in messages) == data
    assert on_threads == len(messages)
    # A file system that does not know of the flag is asked once; a cold cache is asked again for every two MiB.
    assert on_loop == (1 if type(refusal) is OSError else -(-len(messages) // 8))


async def test_a_system_without_the_flag_reads_on_threads(content: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asset_stream, "READ_NOW", None)
    path, data = content
    assert b"".join(message.data for message in await read(path, ByteRange(3, TOTAL, TOTAL))) == data[3:]


def test_varints_of_the_borders():
    assert [varint(value) for value in (0, 127, 128, 300)] == [b"\x00", b"\x7f", b"\x80\x01", b"\xac\x02"]


def test_ranges():
    assert to_range(0, 0, 10) == ByteRange(0, 10, 10)
    assert to_range(4, 3, 10) == ByteRange(4, 7, 10)
    assert to_range(4, 100, 10) == ByteRange(4, 10, 10)
    assert to_range(10, 0, 10) == ByteRange(10, 10, 10)
    with pytest.raises(OutOfWindow, match=r"got 11, allowed 0 \.\. 10"):
        to_range(11, 0, 10)
    with pytest.raises(InvalidInput, match="offset_bytes: got -1"):
        to_range(-1, 0, 10)
    with pytest.raises(InvalidInput, match="limit_bytes: got -1"):
        to_range(0, -1, 10)
