"""Restarts: a session is what its events and announcements make it, whoever folds them."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from service.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from service.ids import ChainId, GateId, SessionId, TaskId, WorldId
from service.play.event import ChainAccepted, ContentReady, ContentShown, GateApproached, GateOpened, TaskProgressed
from service.quality import Quality
from service.sessions import tables
from service.sessions.views import ClientProfile, ContentAnnounced, HandoverStarted, SessionReplaced
from service.store.database import read, write

RED = ChainId("red")
RED_GATE = GateId("red_gate")
KEY = TaskId("fetch_key")


async def long_session(stage, events: int):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    for index in range(events):
        stage.clock.now_s += 0.1
        await play.report(TaskProgressed(RED, KEY, fraction=index / events))
    stage.work(Quality.FULL)
    await stage.turn()
    return play


def facts(session):
    return (
        session.state,
        session.applied_sequence,
        session.cursor,
        session.announced,
        session.status,
        session.ring.kept(),
    )


@pytest.mark.parametrize("snapshot", ["used", "of another layout", "damaged", "none"])
async def test_a_session_is_the_same_after_a_restart_with_and_without_its_snapshot(stage, snapshot):
    play = await long_session(stage, 80)
    before = facts(stage.director._registry.loaded(play.session_id))
    with write(stage.engine) as connection:
        if snapshot == "none":
            connection.execute(tables.snapshots.delete())
        elif snapshot == "of another layout":
            connection.execute(update(tables.snapshots).values(layout="older", body="{}"))
        elif snapshot == "damaged":
            connection.execute(update(tables.snapshots).values(body='{"chains":'))
        rows = connection.execute(select(tables.snapshots.c.applied_sequence)).scalars().all()
        assert rows == ([] if snapshot == "none" else [64])
    await stage.restart()
    assert stage.director._registry.loaded(play.session_id) is not None, "active sessions are read at the start"
    assert facts(await stage.director._registry.get(play.session_id)) == before
    qualities = [news.content.quality for news in await play.told(ContentAnnounced) if news.gate == RED_GATE]
    assert qualities == [Quality.PLACEHOLDER, Quality.DRAFT, Quality.FULL]


async def test_cursors_go_on_after_a_restart(stage):
    play = await long_session(stage, 3)
    newest = (await play.updates())[-1].cursor
    await stage.restart()
    await play.report(TaskProgressed(RED, KEY, fraction=0.9))
    after = await play.updates(newest)
    assert [item.cursor for item in after] == list(range(newest + 1, newest + 1 + len(after)))
    assert after


async def test_held_events_stay_held_over_a_restart(stage):
    play = await stage.play()
    one, two = play.event(ChainAccepted(RED)), play.event(TaskProgressed(RED, KEY, fraction=0.5))
    await stage.director.report(play.session_id, [two])
    await stage.restart()
    assert (await stage.director.report(play.session_id, [two])).duplicates == 1
    result = await stage.director.report(play.session_id, [one])
    assert (result.applied_sequence, result.held) == (2, 0)


async def test_content_made_while_the_server_was_away_is_announced(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    await stage.director.drain()
    stage.work(Quality.DRAFT)
    stage.director = stage.new_director()
    await stage.director.start()
    await stage.turn()
    news = (await play.told(ContentAnnounced))[-1]
    assert (news.content.quality, news.reused) == (Quality.DRAFT, False)
    assert [job.request.quality for job in stage.live_jobs()] == [Quality.FULL]


async def test_a_watcher_whose_cursor_is_gone_gets_the_state_first(stage):
    await stage.restart(ring_updates=8)
    play = await long_session(stage, 40)
    newest = stage.director._registry.loaded(play.session_id).ring.newest
    for cursor in (0, 3, newest + 1, 10**12):
        replaced, *content = await play.updates(cursor)
        assert isinstance(replaced.kind, SessionReplaced)
        assert replaced.kind.session.cursor == newest
        assert replaced.kind.session.applied_sequence == 41
        # All that is needed to show something; cut off in between, a watcher gets it all again.
        assert [news.kind.content.quality for news in content] == [Quality.FULL, Quality.PLACEHOLDER]
        assert [item.cursor for item in (replaced, *content)] == [cursor, cursor, newest]
    assert [item.cursor for item in await play.updates(newest - 3)] == [newest - 2, newest - 1, newest]
    with read(stage.engine) as connection:
        kept = connection.execute(select(tables.updates.c.cursor)).scalars().all()
    assert 8 <= len(kept) <= 24
    await stage.restart()
    assert [item.cursor for item in await play.updates(newest - 3)] == [newest - 2, newest - 1, newest]
    assert isinstance((await play.updates(0))[0].kind, SessionReplaced)


async def test_sessions_that_idle_leave_memory_and_come_back(stage):
    play, watched = await stage.play(), await stage.play()
    await play.report(ChainAccepted(RED))
    before = facts(stage.director._registry.loaded(play.session_id))
    with await stage.director.subscribe(watched.session_id):
        await stage.turn(stage.settings.idle_unload_s + 1.0)
        assert stage.director._registry.loaded(play.session_id) is None
        assert stage.director._registry.loaded(watched.session_id) is not None
    await stage.turn()
    assert stage.live_jobs() == []
    assert (await play.report(TaskProgressed(RED, KEY, fraction=0.5))).applied_sequence == 2
    await stage.turn()
    assert len(stage.live_jobs()) == 2
    assert stage.director._registry.loaded(play.session_id).announced == before[3]


async def test_equal_requests_make_one_session(stage):
    create = stage.director.create_session
    first = await create(WorldId("two-doors"), ClientProfile(), (), None, "request-1")
    again = await create(WorldId("two-doors"), ClientProfile(), (), None, "request-1")
    assert again.session_id == first.session_id
    await stage.restart()
    later = await stage.director.create_session(WorldId("two-doors"), ClientProfile(), (), None, "request-1")
    assert later.session_id == first.session_id
    assert len(await stage.director.list_sessions(None, 10, None)) == 1


async def test_session_ids_are_checked_and_taken_once(stage):
    await stage.play("my-session")
    with pytest.raises(AlreadyExists):
        await stage.play("my-session")
    await stage.restart()
    with pytest.raises(AlreadyExists):
        await stage.play("my-session")
    for bad in ("abc", "UPPER", "-dash", "dash-", "a" * 64, "under_score", "ünder"):
        with pytest.raises(InvalidInput) as caught:
            await stage.play(bad)
        assert caught.value.fields[0].field == "session_id"
    with pytest.raises(NotFound):
        await stage.play(world_id="no-such-world")


async def test_sessions_are_listed_in_pages(stage):
    names = [f"session-{index}" for index in range(5)]
    for name in names:
        await stage.play(name)
    await stage.put_world(world_id="two-doors")
    await stage.restart()
    page = await stage.director.list_sessions(WorldId("two-doors"), 3, None)
    assert [view.session_id for view in page] == names[:3]
    page = await stage.director.list_sessions(None, 3, SessionId("session-2"))
    assert [view.session_id for view in page] == names[3:]
    assert await stage.director.list_sessions(WorldId("other"), 3, None) == []


async def test_a_session_keeps_the_world_it_was_opened_with(stage):
    play = await stage.play()
    before = (await stage.director.session(play.session_id)).world_revision
    source = (await stage.director.world(WorldId("two-doors"))).world.source.decode()
    await stage.put_world(source.replace("seed: 1", "seed: 99"))
    assert (await stage.director.world(WorldId("two-doors"))).world.revision != before
    await stage.director.delete_world(WorldId("two-doors"))
    with pytest.raises(NotFound):
        await stage.director.world(WorldId("two-doors"))
    with pytest.raises(NotFound):
        await stage.director.delete_world(WorldId("two-doors"))
    await stage.restart()
    assert (await stage.director.session(play.session_id)).world_revision == before
    assert (await play.report(ChainAccepted(RED))).applied_sequence == 1


async def test_worlds_are_checked_listed_and_not_stored_when_only_checked(stage):
    source = (await stage.director.world(WorldId("two-doors"))).world.source
    with pytest.raises(InvalidInput):
        await stage.director.put_world(WorldId("another"), source, False)
    other = source.replace(b"world: two-doors", b"world: zz-other")
    checked = await stage.director.put_world(WorldId("zz-other"), other, True)
    assert checked.world.world_id == "zz-other"
    assert [stored.world.world_id for stored in await stage.director.worlds(10, None)] == ["two-doors"]
    await stage.director.put_world(WorldId("zz-other"), other, False)
    assert [stored.world.world_id for stored in await stage.director.worlds(1, WorldId("two-doors"))] == ["zz-other"]


async def test_a_draining_director_refuses_calls(stage):
    play = await stage.play()
    await stage.director.drain()
    with pytest.raises(Unavailable):
        await play.report(ChainAccepted(RED))
    with pytest.raises(Unavailable):
        await stage.play()
    stage.director = stage.new_director()
    await stage.director.start()


async def test_a_handover_is_not_told_again_after_a_restart(stage):
    play = await stage.play()
    mist = (await play.told(ContentAnnounced))[0].content.segment
    await play.report(ChainAccepted(RED), GateOpened(RED_GATE), ContentShown(RED_GATE, mist, Quality.PLACEHOLDER, 0.0))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    draft = (await play.told(ContentAnnounced))[-1].content.segment
    await play.report(ContentReady(RED_GATE, draft, Quality.DRAFT))
    await stage.restart()
    await play.report(ContentReady(RED_GATE, draft, Quality.DRAFT), GateApproached(RED_GATE, 1.0))
    assert len(await play.told(HandoverStarted)) == 1
