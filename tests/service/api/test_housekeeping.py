from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from service.api import housekeeping
from service.api.stores import Stores, open_stores
from service.errors import Unavailable
from service.quality import Quality
from service.store.database import write
from service.store.records import MP4, AssetRecord, SegmentRecord
from service.work.platform_posix import keep_freed_buffers


class Clock:
    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    opened = open_stores(tmp_path / "data", Clock(), 3)
    yield opened
    opened.engine.dispose()


def add_segment(stores: Stores, name: str, size: int) -> str:
    asset = stores.blobs.put(os.urandom(size))
    record = SegmentRecord(name, {}, Quality.DRAFT, (AssetRecord(asset, size, MP4, 0.0, 1.0),), None, 1.0, 0.0)
    with write(stores.engine) as connection:
        stores.catalogue.register_segment(connection, record, None)
    return asset


def test_what_does_not_fit_is_evicted_but_never_what_is_on_screen(stores: Stores):
    first, second = add_segment(stores, "first", 1_000), add_segment(stores, "second", 1_000)
    evicted, _, _ = housekeeping.tidy(stores, Clock(), 1_000, {"first"})
    assert evicted == 1
    assert stores.catalogue.segment("first") is not None
    assert stores.catalogue.segment("second") is None
    assert first in stores.blobs
    # The file is younger than a worker's grace: it goes in a later round.
    assert second in stores.blobs
    old = stores.blobs.root / second[:2] / second
    os.utime(old, (0, 0))
    assert housekeeping.tidy(stores, Clock(), 1_000, {"first"}) == (0, 1, 0)
    assert second not in stores.blobs


async def test_rounds_go_on_after_one_that_failed(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    rounds: list[int] = []
    loop, third = asyncio.get_running_loop(), asyncio.Event()

    def tidy(*_: Any) -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise Unavailable("database is locked")
        if len(rounds) == 3:
            loop.call_soon_threadsafe(third.set)

    monkeypatch.setattr(housekeeping, "PERIOD_S", 0.0)
    monkeypatch.setattr(housekeeping, "tidy", tidy)
    task = asyncio.create_task(housekeeping.keep_house(stores, Clock(), 1_000, frozenset))
    await asyncio.wait_for(third.wait(), 20.0)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


def test_the_allocator_is_asked_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int]] = []

    class Library:
        def mallopt(self, parameter: int, value: int) -> int:
            asked.append((parameter, value))
            return 1

    monkeypatch.setattr("service.work.platform_posix.ctypes.CDLL", lambda _: Library())
    assert keep_freed_buffers()
    assert asked == [(-3, 4 * 1024 * 1024), (-1, 64 * 1024 * 1024)]
    monkeypatch.setattr("service.work.platform_posix.ctypes.CDLL", lambda _: object())
    assert not keep_freed_buffers()
