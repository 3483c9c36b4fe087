"""From a task chain to content on screen: placeholder, draft, full, and what is never done twice."""

from __future__ import annotations

import pytest

from service.ids import ChainId, GateId, TaskId
from service.play.event import ChainAbandoned, ChainAccepted, ContentReady, ContentShown, GateOpened, TaskCompleted
from service.quality import Quality
from service.sessions.views import ContentAnnounced, HandoverStarted, WorkChanged
from service.work.job import JobState
from service.work.usage import read_usage

RED, BLUE = GateId("red_gate"), GateId("blue_gate")
ACCEPT_RED = ChainAccepted(ChainId("red"))


async def test_every_gate_has_a_placeholder_from_the_start(stage):
    play = await stage.play()
    announced = await play.told(ContentAnnounced)
    assert [(news.gate, news.content.quality, news.reused) for news in announced] == [
        (RED, Quality.PLACEHOLDER, False),
        (BLUE, Quality.PLACEHOLDER, False),
    ]
    for record in (*announced[0].video, *announced[0].scene):
        assert stage.blobs.size(record.asset) == record.size_bytes
        assert await stage.director.is_released(play.session_id, record.asset)
    assert not await stage.director.is_released(play.session_id, "0" * 64)


async def test_only_accepted_chains_are_worked_for_and_drafts_come_first(stage):
    play = await stage.play()
    await stage.turn()
    assert stage.live_jobs() == []
    await play.report(ACCEPT_RED)
    await stage.turn()
    jobs = stage.live_jobs()
    assert [job.request.quality for job in jobs] == [Quality.DRAFT, Quality.FULL]
    assert {waiter.gate for job in jobs for waiter in job.request.waiters} == {RED}
    assert all(job.request.request_id == f"content/{job.request.target}" for job in jobs)
    # p50 of both tasks is near 30 s; delivery takes a part of it, more on a slow line.
    assert 10.0 < jobs[0].request.deadline_s - stage.clock() < 32.0


async def test_placeholder_draft_full_on_screen_with_handovers(stage):
    play = await stage.play()
    placeholder = (await play.told(ContentAnnounced))[0].content
    await play.report(ACCEPT_RED, ContentReady(RED, placeholder.segment, Quality.PLACEHOLDER))
    await play.report(GateOpened(RED), ContentShown(RED, placeholder.segment, Quality.PLACEHOLDER, 0.0))
    await stage.turn()
    for quality in (Quality.DRAFT, Quality.FULL):
        stage.work(quality)
        await stage.turn()
        news = (await play.told(ContentAnnounced))[-1]
        assert (news.gate, news.content.quality, news.reused) == (RED, quality, False)
        assert news.content.scene == news.scene[-1].asset
        assert [record.level for record in news.scene] == [0]
        before = len(await play.told(HandoverStarted))
        await play.report(ContentReady(RED, news.content.segment, quality))
        handovers = await play.told(HandoverStarted)
        assert len(handovers) == before + 1
        assert handovers[-1].target == news.content
        assert handovers[-1].origin.quality is Quality(quality - 1)
        await play.report(ContentShown(RED, news.content.segment, quality, 0.0))
        await stage.turn()
    assert stage.live_jobs() == []
    usage = read_usage(stage.engine, play.session_id)
    assert usage.reached.segments == 2
    assert usage.pending.segments == 0


async def test_content_is_ready_before_the_gate_opens_when_there_is_time(stage):
    play = await stage.play()
    await play.report(ACCEPT_RED)
    await stage.turn()
    stage.work(Quality.DRAFT)
    stage.work(Quality.FULL)
    await stage.turn()
    news = await play.told(ContentAnnounced)
    assert news[-1].content.quality is Quality.FULL
    full = news[-1].content.segment
    await play.report(ContentReady(RED, full, Quality.FULL))
    await play.report(
        TaskCompleted(ChainId("red"), TaskId("fetch_key")), TaskCompleted(ChainId("red"), TaskId("walk_back"))
    )
    await play.report(GateOpened(RED), ContentShown(RED, full, Quality.FULL, 0.0))
    await stage.turn()
    assert await play.told(HandoverStarted) == []
    assert stage.live_jobs() == []


async def test_work_is_cancelled_when_its_branch_dies_also_while_running(stage):
    play = await stage.play()
    await play.report(ACCEPT_RED)
    await stage.turn()
    claimed = stage.claim()
    stage.beat(claimed, 1, 10, 2.0)
    await stage.turn()
    await play.report(ChainAbandoned(ChainId("red")))
    await stage.turn()
    states = {job.request.quality: job.state for job in stage.all_jobs()}
    assert states == {Quality.DRAFT: JobState.RUNNING, Quality.FULL: JobState.CANCELLED}
    assert stage.beat(claimed, 2, 10, 4.0).value == "cancel"
    stage.jobs.release(claimed)
    await stage.turn()
    assert {job.state for job in stage.all_jobs()} == {JobState.CANCELLED}
    told = [news.state for news in await play.told(WorkChanged)]
    assert told[-1] is JobState.CANCELLED
    assert read_usage(stage.engine, play.session_id).wasted.device_s > 0


async def test_an_abandoned_chain_that_is_taken_up_again_is_worked_for_again(stage):
    play = await stage.play()
    await play.report(ACCEPT_RED)
    await stage.turn()
    await play.report(ChainAbandoned(ChainId("red")))
    await stage.turn()
    assert stage.live_jobs() == []
    other = await stage.play()
    await other.report(ACCEPT_RED)
    await stage.turn()
    assert len(stage.live_jobs()) == 2


async def test_two_sessions_share_one_segment(stage):
    first, second = await stage.play(), await stage.play()
    await first.report(ACCEPT_RED)
    await second.report(ACCEPT_RED)
    await stage.turn()
    jobs = stage.live_jobs()
    assert len(jobs) == 2
    assert {waiter.session for waiter in jobs[0].request.waiters} == {first.session_id, second.session_id}
    await first.report(ChainAbandoned(ChainId("red")))
    await stage.turn()
    assert {waiter.session for waiter in stage.live_jobs()[0].request.waiters} == {second.session_id}
    stage.work(Quality.DRAFT)
    await stage.turn()
    assert (await second.told(ContentAnnounced))[-1].content.quality is Quality.DRAFT
    assert (await first.told(ContentAnnounced))[-1].content.quality is Quality.PLACEHOLDER


async def test_what_exists_is_announced_at_once_and_costs_nothing(stage):
    first = await stage.play()
    await first.report(ACCEPT_RED)
    await stage.turn()
    stage.work()
    stage.work()
    await stage.turn()
    second = await stage.play()
    news = (await second.told(ContentAnnounced))[0]
    assert (news.gate, news.content.quality, news.reused) == (RED, Quality.FULL, True)
    await second.report(ACCEPT_RED)
    await stage.turn()
    assert stage.live_jobs() == []
    assert read_usage(stage.engine, second.session_id).generated.segments == 0


async def test_work_is_told_at_most_five_times_a_second_with_the_seconds_left(stage):
    play = await stage.play()
    await play.report(ACCEPT_RED)
    await stage.turn()
    await stage.turn(0.05)
    claimed = stage.claim()
    for chunk in range(1, 9):
        stage.beat(claimed, chunk, 10, chunk * 0.5)
        await stage.turn(0.05)
    stage.finish(claimed, spent_s=5.0)
    await stage.turn(0.05)
    told = [news for news in await play.told(WorkChanged) if news.quality is Quality.DRAFT]
    assert [news.state for news in told][:2] == [JobState.QUEUED, JobState.RUNNING]
    assert told[-1].state is JobState.DONE
    running = [news for news in told if news.state is JobState.RUNNING]
    assert 2 <= len(running) <= 4
    assert running[-1].left_s == pytest.approx((10 - running[-1].chunks_done) * 0.5)
