"""The ring: cursors without gaps, a bounded past, and waiting that leaves nothing behind."""

from __future__ import annotations

import asyncio

from service.sessions.ring import UpdateRing
from service.sessions.views import SessionClosed, Update


def update(cursor: int) -> Update:
    return Update(cursor, 0.0, "", SessionClosed())


def cursors(found: list[Update] | None) -> list[int] | None:
    return None if found is None else [item.cursor for item in found]


def test_an_empty_ring_has_nothing_after_zero():
    ring = UpdateRing(4)
    assert (ring.newest, ring.first, len(ring)) == (0, 1, 0)
    assert ring.after(0, 10) == []
    assert ring.after(1, 10) is None


def test_updates_are_given_after_a_cursor_and_no_further_back_than_kept():
    ring = UpdateRing(4)
    for cursor in range(1, 21):
        ring.publish([update(cursor)])
    assert ring.newest == 20
    assert 4 <= len(ring) <= 8
    assert cursors(ring.after(18, 10)) == [19, 20]
    assert cursors(ring.after(17, 2)) == [18, 19]
    assert ring.after(20, 10) == []
    assert ring.after(21, 10) is None
    assert ring.after(ring.first - 1, 100) == list(ring.kept())
    assert ring.after(ring.first - 2, 100) is None
    assert ring.after(0, 100) is None


def test_a_ring_goes_on_from_where_it_was_stored():
    ring = UpdateRing(4, 9, [update(8), update(9)])
    ring.publish([update(10)])
    assert cursors(ring.after(7, 10)) == [8, 9, 10]
    empty = UpdateRing(4, 9)
    assert empty.after(9, 10) == []
    assert empty.after(8, 10) is None


async def test_all_who_wait_are_woken_and_those_who_gave_up_are_forgotten():
    ring = UpdateRing(4)
    waiting = [asyncio.ensure_future(ring.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)
    assert len(ring._waiting) == 2
    ring.publish([update(1)])
    await asyncio.gather(waiting[0], waiting[2])
    assert ring._waiting == []
