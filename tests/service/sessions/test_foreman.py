"""Turns: nothing is forgotten when one fails, and what operators decide stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import TooMuch, Unavailable
from service.ids import ChainId, TaskId
from service.play.event import ChainAccepted, SessionPaused, SessionResumed, TaskProgressed
from service.quality import Quality
from service.sessions.views import ContentAnnounced, SessionStatus, WorkChanged
from service.work.job import JobState

RED, BLUE, KEY = ChainId("red"), ChainId("blue"), TaskId("fetch_key")


async def test_a_turn_that_fails_is_made_up_for_by_the_next(stage, monkeypatch):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    ready = stage.director._foreman._ready
    real = ready.look_up

    async def busy(*_, **__):
        raise Unavailable("database is locked")

    monkeypatch.setattr(ready, "look_up", busy)
    with pytest.raises(Unavailable):
        await stage.director.turn()
    monkeypatch.setattr(ready, "look_up", real)
    await stage.director.turn()
    assert len(stage.live_jobs()) == 2


async def test_what_an_operator_cancelled_stays_cancelled_until_somebody_new_asks(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    stage.jobs.cancel([job.request.request_id for job in stage.live_jobs()])
    for _ in range(3):
        await stage.turn(5.0)
    assert stage.live_jobs() == []
    assert [news.state for news in await play.told(WorkChanged)][-2:] == [JobState.CANCELLED] * 2
    other = await stage.play()
    await other.report(ChainAccepted(RED))
    await stage.turn()
    assert [job.request.quality for job in stage.live_jobs()] == [Quality.DRAFT, Quality.FULL]


async def test_one_trace_id_goes_from_the_event_to_the_job_and_on_to_the_announcement(stage):
    play, trace = await stage.play(), "ef" * 16
    event = replace(play.event(ChainAccepted(RED)), trace_id=trace)
    await stage.director.report(play.session_id, [event])
    await stage.turn()
    assert [job.request.trace_id for job in stage.live_jobs()] == [trace, trace]
    stage.work(Quality.DRAFT)
    await stage.turn()
    announced = [u for u in await play.updates() if isinstance(u.kind, ContentAnnounced)]
    assert (announced[-1].kind.content.quality, announced[-1].trace_id) == (Quality.DRAFT, trace)


async def test_dead_jobs_are_told_and_not_tried_again(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED))
    await stage.turn()
    assert stage.jobs.fail(stage.claim(), "the prompt is not understood", retryable=False)
    for _ in range(3):
        await stage.turn(5.0)
    assert [job.request.quality for job in stage.live_jobs()] == [Quality.FULL]
    assert JobState.DEAD in {news.state for news in await play.told(WorkChanged)}


async def test_a_job_is_not_written_again_while_nothing_changes(stage, monkeypatch):
    play = await stage.play()
    await play.report(ChainAccepted(RED), TaskProgressed(RED, KEY, fraction=0.1))
    await stage.turn()
    submitted = []
    real = stage.jobs.submit
    monkeypatch.setattr(stage.jobs, "submit", lambda requests: submitted.append(requests) or real(requests))
    for _ in range(5):
        await stage.turn(0.3)
    assert submitted == []
    await play.report(TaskProgressed(RED, KEY, fraction=0.9))
    await stage.turn()
    assert len(submitted) == 1, "the deadline moved"


async def test_the_nearer_gate_is_worked_for_first_and_all_drafts_before_any_full(stage):
    play = await stage.play()
    await play.report(ChainAccepted(BLUE), ChainAccepted(RED), TaskProgressed(RED, KEY, eta_s=1.0))
    await stage.turn()
    order = [(job.request.quality, job.request.waiters[0].gate) for job in stage.live_jobs()]
    assert [quality for quality, _ in order] == [Quality.DRAFT] * 2 + [Quality.FULL] * 2
    assert [gate for _, gate in order] == ["red_gate", "blue_gate"] * 2


async def test_pausing_is_seen_and_survives(stage):
    play = await stage.play()
    await play.report(ChainAccepted(RED), SessionPaused())
    assert (await stage.director.session(play.session_id)).status is SessionStatus.PAUSED
    await stage.restart()
    assert (await stage.director.session(play.session_id)).status is SessionStatus.PAUSED
    await play.report(SessionResumed())
    assert (await stage.director.session(play.session_id)).status is SessionStatus.ACTIVE


async def test_more_sessions_than_fit_are_refused_and_idle_ones_make_room(stage):
    await stage.restart(max_sessions_loaded=2)
    first = await stage.play()
    await stage.play()
    with pytest.raises(TooMuch):
        await stage.play()
    stage.clock.now_s += 120.0
    third = await stage.play()
    assert stage.director._registry.loaded(first.session_id) is None
    assert (await first.report(ChainAccepted(RED))).applied_sequence == 1
    assert (await third.report(ChainAccepted(RED))).applied_sequence == 1
