"""Watching: woken when there is something, told the whole truth after a gap, and cheap while nothing happens."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from service.errors import NotFound
from service.ids import ChainId, SessionId, TaskId
from service.play.event import ChainAccepted, TaskProgressed
from service.sessions.views import SessionClosed, SessionReplaced

RED, KEY = ChainId("red"), TaskId("fetch_key")


async def caught_up(play) -> int:
    return (await play.updates())[-1].cursor


async def test_a_watcher_is_woken_by_the_next_update_and_by_nothing_before(stage):
    play, other = await stage.play(), await stage.play()
    cursor = await caught_up(play)
    with await stage.director.subscribe(play.session_id) as subscription:
        waiting = asyncio.ensure_future(subscription.wait(cursor))
        await other.report(ChainAccepted(RED))
        assert not waiting.done()
        await play.report(ChainAccepted(RED))
        assert await waiting is True
        assert await subscription.wait(cursor) is True
        assert [update.cursor for update in await play.updates(cursor)] == [cursor + 1]
    assert not stage.director._registry.watching


async def test_waiting_ends_when_its_time_is_up(stage):
    play = await stage.play()
    with await stage.director.subscribe(play.session_id) as subscription:
        assert await subscription.wait(await caught_up(play), timeout_s=0.01) is False


async def test_a_long_poll_returns_the_first_update_or_nothing(stage):
    play = await stage.play()
    cursor = await caught_up(play)
    poll = asyncio.ensure_future(stage.director.updates(play.session_id, cursor, 10, 30.0))
    await asyncio.sleep(0)
    await play.report(ChainAccepted(RED))
    assert [update.cursor for update in await poll] == [cursor + 1]
    assert await stage.director.updates(play.session_id, cursor + 1, 10, 0.01) == []


async def test_a_watcher_hears_of_the_end_also_when_it_comes_late(stage):
    play = await stage.play()
    cursor = await caught_up(play)
    with await stage.director.subscribe(play.session_id) as subscription:
        waiting = asyncio.ensure_future(subscription.wait(cursor))
        await stage.director.close_session(play.session_id)
        assert await waiting is True
    last = await play.updates(cursor)
    assert isinstance(last[-1].kind, SessionClosed)
    assert await play.updates(last[-1].cursor) == last[-1:]
    assert await stage.director.updates(play.session_id, last[-1].cursor, 10, 30.0) == last[-1:]
    await stage.restart()
    assert await play.updates(last[-1].cursor) == last[-1:]


async def test_a_watcher_that_falls_behind_gets_the_state_and_goes_on_from_there(stage):
    await stage.restart(ring_updates=4)
    play = await stage.play()
    cursor = await caught_up(play)
    await play.report(ChainAccepted(RED))
    for step in range(20):
        await play.report(TaskProgressed(RED, KEY, fraction=step / 20))
    replaced, *content = await play.updates(cursor)
    assert isinstance(replaced.kind, SessionReplaced)
    assert replaced.kind.session.chains[0].tasks[0].fraction == 19 / 20
    await play.report(TaskProgressed(RED, KEY, fraction=1.0))
    assert [update.cursor for update in await play.updates(content[-1].cursor)] == [content[-1].cursor + 1]


async def test_watching_nobody_is_an_error(stage):
    with pytest.raises(NotFound):
        await stage.director.subscribe(SessionId("nobody"))
    with pytest.raises(NotFound):
        await stage.director.updates(SessionId("nobody"), 0, 10, 0.0)


async def test_two_thousand_idle_watchers_cost_little(stage):
    play = await stage.play()
    cursor = await caught_up(play)

    async def watch() -> None:
        with await stage.director.subscribe(play.session_id) as subscription:
            await subscription.wait(cursor)

    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        watchers = [asyncio.ensure_future(watch()) for _ in range(2_000)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await play.report(ChainAccepted(RED))
    await asyncio.gather(*watchers)
    assert (after - before) / len(watchers) < 8 * 1024


async def test_a_session_in_memory_is_small(stage):
    await stage.play()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(100):
            await stage.play()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 100 < 24 * 1024
