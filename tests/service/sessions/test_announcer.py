"""Announcements: formats and sizes for the client, the best first, nothing twice, nothing worse than what is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.ids import AssetId, ChainId, GateId, SegmentId, TaskId
from service.play.event import ChainAccepted, ContentFailed, ContentReady, ContentShown, GateOpened, TaskStarted
from service.quality import Quality
from service.sessions.announcer import of_formats, of_size
from service.sessions.views import ClientProfile, ContentAnnounced
from service.store.records import FOURDGS, MP4, PLY, AssetRecord

RED_GATE = GateId("red_gate")
RED = ChainId("red")
POOL_WORLD = """
world: pooled
chains: {red: {tasks: {fetch_key: {p50_s: 20, p90_s: 60}}}}
gates: {red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1, variation: pool(4)}}}
"""


def asset(media_type: str, level: int = 0, splats: int = 0, size_bytes: int = 10) -> AssetRecord:
    return AssetRecord(AssetId(f"{media_type}{level}"), size_bytes, media_type, 0.0, 1.0, level, splats)


COARSE, FINE, STILL = asset(FOURDGS, 1, 100, 1_000), asset(FOURDGS, 0, 5_000, 50_000), asset(PLY, 0, 5_000, 90_000)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (ClientProfile(), (FINE, STILL)),
        (ClientProfile(formats=(FOURDGS,)), (FINE,)),
        (ClientProfile(formats=(PLY, MP4)), (STILL,)),
        (ClientProfile(formats=(PLY, FOURDGS)), (STILL, FINE)),
        (ClientProfile(formats=(FOURDGS, PLY)), (FINE, STILL)),
        (ClientProfile(formats=("model/unknown",)), (FINE, STILL)),
        (ClientProfile(formats=(FOURDGS,), max_splats=5_000), (FINE,)),
        (ClientProfile(formats=(FOURDGS,), max_splats=4_999), (COARSE,)),
        (ClientProfile(formats=(FOURDGS,), max_bytes=60_000), (FINE,)),
        (ClientProfile(formats=(FOURDGS,), max_bytes=49_999), (COARSE,)),
        (ClientProfile(formats=(FOURDGS,), max_splats=5_000, max_bytes=5_000), (COARSE,)),
        (ClientProfile(max_splats=10), (COARSE, STILL)),
    ],
)
def test_clients_get_what_they_can_take(profile, expected):
    assert of_size(of_formats((COARSE, FINE, STILL), profile), profile) == expected


async def two_of_a_pool(stage):
    """Sessions whose members of the pool differ."""
    await stage.put_world(POOL_WORLD, "pooled")
    own = stage.director._founder._ladders.own
    first = await stage.play("first-session", "pooled")
    member = own(stage.director._registry.loaded(first.session_id), RED_GATE)
    for index in range(20):
        other = await stage.play(f"other-{index}", "pooled")
        if own(stage.director._registry.loaded(other.session_id), RED_GATE) != member:
            return first, f"late-{index}", own
    raise AssertionError("a pool of four gave twenty sessions the same member")


async def test_any_member_of_a_pool_stands_in_before_a_placeholder(stage):
    first, _, own = await two_of_a_pool(stage)
    await first.report(ChainAccepted(RED))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    mine = own(stage.director._registry.loaded(first.session_id), RED_GATE)
    for index in range(20):
        late = await stage.play(f"late-{index}", "pooled")
        if own(stage.director._registry.loaded(late.session_id), RED_GATE) != mine:
            break
    (news,) = await late.told(ContentAnnounced)
    assert (news.content.segment, news.content.quality, news.reused) == (mine[0].segment, Quality.DRAFT, True)
    # It replaces the draft, but not the full content of its own, for which pools grow.
    await late.report(ChainAccepted(RED))
    await stage.turn()
    own_jobs = [job for job in stage.live_jobs() if any(w.session == late.session_id for w in job.request.waiters)]
    assert [job.request.quality for job in own_jobs] == [Quality.FULL]


async def test_what_failed_at_the_client_is_not_announced_again_and_better_things_still_are(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    draft = (await play.told(ContentAnnounced))[-1].content
    await play.report(ContentFailed(RED_GATE, draft.segment, draft.quality, "out of memory"))
    await stage.turn()
    assert (await play.told(ContentAnnounced))[-1].content == draft
    stage.work(Quality.FULL)
    await stage.turn()
    assert (await play.told(ContentAnnounced))[-1].content.quality is Quality.FULL


async def test_a_draft_that_comes_after_full_is_shown_is_not_announced(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    _, full = stage.live_jobs()
    assert full.request.quality is Quality.FULL
    other = SegmentId("e" * 64)
    await play.report(GateOpened(RED_GATE), ContentShown(RED_GATE, other, Quality.FULL, 0.0))
    await stage.turn()
    assert stage.live_jobs() == []
    assert len(await play.told(ContentAnnounced)) == 2


async def test_the_clients_own_pace_moves_the_deadline(stage):
    play = await stage.play(bandwidth_bps=1_000_000)
    await play.report(ChainAccepted(RED), TaskStarted(RED, TaskId("fetch_key")))
    await stage.turn()
    draft = stage.work(Quality.DRAFT)
    await stage.turn()
    stage.clock.now_s += 9.0
    await play.report(ContentReady(RED_GATE, SegmentId(draft.request.target), Quality.DRAFT))
    await stage.turn()
    session = stage.director._registry.loaded(play.session_id)
    assert session.client_s == pytest.approx(9.0, abs=0.1)
    (demand,) = stage.director._foreman._planner._demands.values()
    p50_s = (await stage.director.session(play.session_id)).gates[0].forecast.p50_s
    assert demand.deadline_s == pytest.approx(stage.clock() + p50_s - session.client_s, abs=0.51)
    assert demand.deadline_s < stage.clock() + p50_s - 8.0


def test_the_coarsest_level_is_always_offered():
    tight = ClientProfile(max_splats=1, max_bytes=1)
    assert of_size((replace(COARSE, level=3), FINE), tight) == (replace(COARSE, level=3),)


async def test_every_session_is_told_of_the_level_that_its_client_can_hold(stage):
    strong, weak = await stage.play("strong-session"), await stage.play("weak-session", max_splats=999)
    for play in (strong, weak):
        await play.report(ChainAccepted(RED))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    told = [(await play.told(ContentAnnounced))[-1] for play in (strong, weak)]
    assert told[0].content == told[1].content, "it is one scene for both"
    assert [[record.level for record in news.scene] for news in told] == [[0], [1]]
