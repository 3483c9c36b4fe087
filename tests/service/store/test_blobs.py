from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from service.errors import Corrupt, NotFound, Unavailable
from service.ids import AssetId
from service.store.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def everything_under(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3_000_001)])
def test_put_and_open_give_the_same_bytes_under_their_hash(blobs: BlobStore, data: bytes) -> None:
    asset = blobs.put(data)
    assert asset == hashlib.sha256(data).hexdigest()
    assert blobs.path(asset) == blobs.root / asset[:2] / asset
    with blobs.open(asset) as file:
        assert file.read() == data
    assert blobs.size(asset) == len(data)
    assert asset in blobs


def test_a_file_is_stored_like_its_bytes(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(2_500_000))
    assert blobs.put(source) == blobs.put(source.read_bytes())
    assert len(everything_under(blobs.root)) == 1
    assert source.exists()


def test_bytes_changed_on_disk_are_never_served_by_a_new_process_and_a_put_heals_them(blobs: BlobStore) -> None:
    asset = blobs.put(b"good bytes")
    path = blobs.path(asset)
    path.write_bytes(b"evil bytes")
    other_process = BlobStore(blobs.root)
    with pytest.raises(Corrupt, match=asset):
        other_process.open(asset)
    assert other_process.put(b"good bytes") == asset
    assert other_process.path(asset).read_bytes() == b"good bytes"


def test_a_file_is_hashed_once_and_again_only_after_it_was_replaced(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = blobs.put(b"data")
    counted = BlobStore(blobs.root)
    calls = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: calls.append(a) or digest(*a))
    for _ in range(3):
        counted.path(asset)
    assert len(calls) == 1
    path = counted.path(asset)
    path.with_name("new").write_bytes(b"cut")
    path.with_name("new").replace(path)
    with pytest.raises(Corrupt):
        counted.path(asset)
    assert len(calls) == 2


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_clearly_and_leaves_nothing(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    kept = blobs.put(b"was here before")
    written = []
    real_write = os.write

    def fail(*_args: object) -> None:
        raise OSError(code, os.strerror(code))

    def write_once(descriptor: int, data: memoryview) -> int:
        if written:
            fail()
        written.append(real_write(descriptor, data[:100]))
        return written[0]

    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(os, "write", write_once)
        elif call == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "replace", fail)
        with pytest.raises(Unavailable, match="disk full: 5000 bytes") as caught:
            blobs.put(b"y" * 5_000)
    assert caught.value.retryable
    assert caught.value.reason == "DISK_FULL"
    assert everything_under(blobs.root) == [blobs.path(kept)]
    assert blobs.size(blobs.put(b"y" * 5_000)) == 5_000


def test_other_failures_of_the_disk_are_not_called_full(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="Input/output"):
        blobs.put(b"data")
    assert everything_under(blobs.root) == []


def test_a_put_that_would_use_the_reserve_is_refused_before_it_writes(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs", reserve_bytes=1 << 60)
    assert blobs.free_bytes() == 0
    with pytest.raises(Unavailable, match="disk full"):
        blobs.put(b"data")
    assert everything_under(blobs.root) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "ab" * 31, "ab" * 33, "0" * 64])
def test_names_that_are_no_asset_are_not_found(blobs: BlobStore, name: str) -> None:
    asset = AssetId(name)
    for call in (blobs.open, blobs.path, blobs.size):
        with pytest.raises(NotFound, match="no asset"):
            call(asset)
    assert asset not in blobs


def test_delete_spares_what_was_put_lately(blobs: BlobStore) -> None:
    asset = blobs.put(b"data")
    assert not blobs.delete(asset, unused_s=3600)
    old = time.time() - 7200
    os.utime(blobs.path(asset), (old, old))
    blobs.put(b"data")  # used again: the clock starts anew
    assert not blobs.delete(asset, unused_s=3600)
    os.utime(blobs.path(asset), (old, old))
    assert blobs.delete(asset, unused_s=3600)
    assert not blobs.delete(asset)
    with pytest.raises(NotFound):
        blobs.open(asset)


def test_assets_lists_whole_files_only_and_dead_writers_leavings_can_be_deleted(blobs: BlobStore) -> None:
    stored = {blobs.put(bytes([n])) for n in range(5)}
    left_behind = blobs.root / ".partial" / "999-abc"
    left_behind.write_bytes(b"half")
    assert set(blobs.assets()) == stored
    assert blobs.delete_partials(3600) == 0
    assert blobs.delete_partials(0) == 1
    assert not left_behind.exists()
