"""Blobs: files addressed by the SHA-256 of their bytes, whole or absent, checked before they are served."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from service.errors import Corrupt, NotFound, Unavailable
from service.ids import AssetId
from service.work.platform_posix import sync_folder

PIECE_BYTES = 1 << 20
RESERVE_BYTES = 16 << 20
"""Space that blobs leave free, so that the database beside them can still commit."""

_ASSET = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class BlobStore:
    """A folder `root/ab/abcdef...` of files named by the SHA-256 of what they hold.

    Several processes may use one folder. `put` writes a partial file, syncs it, renames it and syncs the
    folder: a blob is whole or absent whatever happens. Each file's hash is checked once per process.
    """

    def __init__(self, root: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.root = root
        self._reserve_bytes = reserve_bytes
        self._verified: dict[AssetId, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._partial = root / ".partial"
        self._partial.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes | Path) -> AssetId:
        """The id under which the bytes (of a file, where `data` is a path) are stored now. Idempotent.

        Raises:
            Unavailable: the disk is full (reason DISK_FULL); nothing half-written is left.
        """
        size_bytes = len(data) if isinstance(data, bytes) else data.stat().st_size
        self._check_space(size_bytes)
        partial = self._partial / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            asset = AssetId(_write_synced(partial, data))
            self._publish(asset, partial)
        except OSError as error:
            if error.errno in _FULL:
                raise _disk_full(self.root, size_bytes) from error
            raise
        finally:
            partial.unlink(missing_ok=True)
        return asset

    def open(self, asset: AssetId) -> BinaryIO:
        """A readable file with the asset's bytes, checked; the caller closes it.

        Raises:
            NotFound: no such asset.
            Corrupt: the stored bytes have another hash.
        """
        return self.path(asset).open("rb")

    def path(self, asset: AssetId) -> Path:
        """Where the asset's file lies, checked. Raises as `open` does."""
        path = self._place(asset)
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise NotFound(f"no asset {asset}", reason="ASSET_NOT_FOUND") from None
        mark = (stat.st_ino, stat.st_size)
        if self._verified.get(asset) != mark:
            got = _hash_file(path)
            if got != asset:
                raise Corrupt(f"asset {asset}: its {stat.st_size} stored bytes have the hash {got}")
            with self._lock:
                self._verified[asset] = mark
        return path

    def __contains__(self, asset: AssetId) -> bool:
        """Whether a file of this name exists; its bytes are not checked."""
        return _ASSET.fullmatch(asset) is not None and self._place(asset).exists()

    def size(self, asset: AssetId) -> int:
        """Bytes of the asset. Raises NotFound."""
        try:
            return self._place(asset).stat().st_size
        except FileNotFoundError:
            raise NotFound(f"no asset {asset}", reason="ASSET_NOT_FOUND") from None

    def delete(self, asset: AssetId, *, unused_s: float = 0.0) -> bool:
        """Whether the asset was deleted; with `unused_s`, only if nobody has put it within that time."""
        path = self._place(asset)
        try:
            if unused_s and time.time() - path.stat().st_mtime < unused_s:
                return False
            path.unlink()
        except FileNotFoundError:
            return False
        with self._lock:
            self._verified.pop(asset, None)
        return True

    def assets(self) -> Iterator[AssetId]:
        """Every asset that has a file, in no order."""
        for folder in self.root.iterdir():
            if len(folder.name) == 2:
                yield from (AssetId(file.name) for file in folder.iterdir() if _ASSET.fullmatch(file.name))

    def delete_partials(self, unused_s: float) -> int:
        """How many files were deleted that writers who died left behind at least `unused_s` ago."""
        count = 0
        for file in self._partial.iterdir():
            try:
                if time.time() - file.stat().st_mtime >= unused_s:
                    file.unlink()
                    count += 1
            except FileNotFoundError:
                continue
        return count

    def free_bytes(self) -> int:
        """Bytes that can still be stored."""
        return max(0, shutil.disk_usage(self.root).free - self._reserve_bytes)

    def _place(self, asset: AssetId) -> Path:
        if not _ASSET.fullmatch(asset):
            raise NotFound(f"no asset {asset[:80]!r}; expected 64 hex digits", reason="ASSET_NOT_FOUND")
        return self.root / asset[:2] / asset

    def _check_space(self, size_bytes: int) -> None:
        if self.free_bytes() < size_bytes:
            raise _disk_full(self.root, size_bytes)

    def _publish(self, asset: AssetId, partial: Path) -> None:
        path = self._place(asset)
        try:
            self.path(asset)
            os.utime(path)  # `delete(unused_s=...)` must not take what somebody is about to register
        except (NotFound, Corrupt, FileNotFoundError):
            path.parent.mkdir(exist_ok=True)
            partial.replace(path)
            sync_folder(path.parent)
            sync_folder(self.root)
            stat = path.stat()
            with self._lock:
                self._verified[asset] = (stat.st_ino, stat.st_size)


def _write_synced(path: Path, data: bytes | Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        for piece in _pieces(data):
            digest.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _pieces(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk_full(root: Path, size_bytes: int) -> Unavailable:
    free = shutil.disk_usage(root).free
    return Unavailable(
        f"disk full: {size_bytes} bytes do not fit under {root} ({free} free); free some space, then try again",
        reason="DISK_FULL",
        metadata={"size_bytes": str(size_bytes), "free_bytes": str(free)},
    )
