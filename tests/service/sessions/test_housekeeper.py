"""What is put away: old request ids; and what is not: content that sessions use."""

from __future__ import annotations

from sqlalchemy import select

from service.ids import ChainId, WorldId
from service.play.event import ChainAccepted
from service.sessions.commit_sign import CommitSign
from service.sessions.housekeeper import REQUESTS_KEPT_S
from service.sessions.views import ClientProfile, ContentAnnounced
from service.store.catalogue import segments
from service.store.database import read


async def test_a_request_can_be_repeated_for_a_week(stage):
    async def create() -> str:
        view = await stage.director.create_session(WorldId("two-doors"), ClientProfile(), (), None, "request-1")
        return view.session_id

    first = await create()
    await stage.turn(REQUESTS_KEPT_S - 100.0)
    assert await create() == first
    await stage.turn(200.0)
    assert await create() != first


async def test_content_that_a_session_was_told_of_counts_as_used(stage):
    play = await stage.play()
    await play.report(ChainAccepted(ChainId("red")))
    await stage.turn()
    stage.work()
    await stage.turn()
    segment = (await play.told(ContentAnnounced))[-1].content.segment
    assert segment in stage.director.segments_on_screen()
    await stage.turn(500.0)
    with read(stage.engine) as connection:
        use_s = connection.execute(select(segments.c.use_s).where(segments.c.segment_id == segment)).scalar()
    assert use_s == stage.clock()


async def test_a_commit_is_seen_once(stage):
    sign = CommitSign(stage.engine)
    assert sign.changed()
    assert not sign.changed()
    await stage.play()
    assert sign.changed()
    assert not sign.changed()
    sign.close()
    assert sign.changed(), "without a connection nothing is known"
