"""What is measured and told on the way: work that is left, sizes and times, forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.ids import ChainId, GateId, JobId, SegmentId, SessionId
from service.play.event import ChainAccepted, SessionPaused
from service.play.forecast import GateForecast
from service.play.session import new_session
from service.quality import Quality
from service.sessions.delivery import CLIENT_S, CONTENT_BYTES, DeliveryPace
from service.sessions.forecast_news import forecast_news
from service.sessions.live import LiveSession, SessionFacts
from service.sessions.pace import WorkPace
from service.sessions.ring import UpdateRing
from service.sessions.views import ClientProfile, ContentAnnounced, ForecastChanged
from service.store.records import FOURDGS, MP4, AssetRecord, ContentRef
from service.work.job import Job, JobKind, JobRequest, JobState
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: one-door
chains: {red: {tasks: {fetch_key: {p50_s: 20, p90_s: 60}}}}
gates: {red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1}}}
""")
RED = GateId("red_gate")


def job(state: JobState, done: int, spent_s: float, stage: str = "denoise", name: str = "a") -> Job:
    request = JobRequest(f"content/{name}", JobKind.CONTENT, {}, Quality.FULL, name, 0.0, 0.0, "")
    return Job(JobId(name), request, state, stage, done, 4, 1, "", "w", 1, 0.0, 0.0, spent_s, 1)


def test_nothing_is_said_of_work_before_anything_was_measured():
    pace = WorkPace()
    assert pace.left_s(job(JobState.QUEUED, 0, 0.0)) == 0.0
    assert pace.whole_s(JobKind.CONTENT, Quality.FULL) == 0.0


def test_a_running_job_is_measured_by_itself_before_others_were_done():
    pace = WorkPace()
    running = job(JobState.RUNNING, 2, 3.0)
    pace.observe(running)
    assert pace.left_s(running) == pytest.approx(2 * 1.5)


def test_the_time_left_is_that_of_the_stages_that_are_ahead():
    pace = WorkPace()
    for done, spent_s, stage in [(0, 0.0, "denoise"), (1, 2.0, "denoise"), (2, 4.0, "decode"), (3, 4.5, "fuse")]:
        pace.observe(job(JobState.RUNNING, done, spent_s, stage))
    pace.observe(job(JobState.RUNNING, 4, 14.5, "done"))
    pace.observe(job(JobState.DONE, 4, 14.5))
    assert pace.left_s(job(JobState.RUNNING, 2, 4.0, name="b")) == pytest.approx(10.5)
    assert pace.left_s(job(JobState.RUNNING, 3, 4.5, name="b")) == pytest.approx(10.0)
    assert pace.left_s(job(JobState.DONE, 4, 14.5, name="b")) == 0.0
    queued = replace(job(JobState.QUEUED, 0, 0.0, name="c"), chunks_total=0)
    assert pace.left_s(queued) == pace.whole_s(JobKind.CONTENT, Quality.FULL) == pytest.approx(14.5)


def session(bandwidth_bps: int = 0) -> LiveSession:
    facts = SessionFacts(SessionId("s"), WORLD, ClientProfile(bandwidth_bps=bandwidth_bps), 0.0)
    return LiveSession(facts, new_session(WORLD, (), 0.0), UpdateRing(8))


def content(size_bytes: int, level: int = 0) -> ContentAnnounced:
    ref = ContentRef(WORLD.world_id, RED, SegmentId("s"), None, Quality.DRAFT)
    video = AssetRecord("v", size_bytes // 2, MP4, 0.0, 1.0)  # type: ignore[arg-type]
    scene = AssetRecord("s", size_bytes // 2, FOURDGS, 0.0, 1.0, level, 10)  # type: ignore[arg-type]
    return ContentAnnounced(RED, ref, (video,), (scene,), reused=False)


def test_delivery_is_transfer_and_what_the_client_takes():
    pace = DeliveryPace()
    assert pace.delivery_s(session(), [Quality.DRAFT]) == CLIENT_S
    slow = session(bandwidth_bps=8_000_000)
    assert pace.delivery_s(slow, [Quality.DRAFT]) == pytest.approx(CONTENT_BYTES / 1e6 + CLIENT_S)
    pace.saw_content(content(4_000_000))
    assert pace.delivery_s(slow, [Quality.DRAFT]) == pytest.approx(4.0 + CLIENT_S)
    assert pace.delivery_s(slow, [Quality.FULL]) == pytest.approx(4.0 + CLIENT_S)
    assert pace.delivery_s(slow, []) == pytest.approx(CLIENT_S)


def test_a_client_that_is_told_of_coarse_levels_only_waits_for_those():
    pace, slow = DeliveryPace(), session(bandwidth_bps=8_000_000)
    pace.saw_content(content(4_000_000, level=2))
    assert pace.delivery_s(slow, [Quality.DRAFT]) == pytest.approx(4.0 + CLIENT_S)


def test_each_client_has_its_own_pace_and_new_ones_that_of_all():
    pace, slow = DeliveryPace(), session(bandwidth_bps=8_000_000)
    pace.saw_ready(slow, content(1_000_000), took_s=6.0)
    assert pace.delivery_s(slow, []) == pytest.approx(5.0)
    assert CLIENT_S < pace.delivery_s(session(), []) < 5.0
    pace.saw_ready(slow, content(1_000_000), took_s=100_000.0)
    assert pace.delivery_s(slow, []) == pytest.approx(5.0), "a client that was away is no measure"


def forecast(p50_s: float, chance: float = 0.9) -> GateForecast:
    return GateForecast(RED, chance, np.full(16, p50_s))


def told(live: LiveSession, p50_s: float, now_s: float, chance: float = 0.9) -> bool:
    return bool(list(forecast_news(live, {RED: forecast(p50_s, chance)}, now_s)))


def test_forecasts_are_told_when_they_differ_from_what_was_expected():
    live = session()
    assert told(live, 40.0, 0.0)
    assert not told(live, 40.0, 0.1)
    assert not told(live, 30.0, 10.0), "ten seconds have passed: no news"
    assert not told(live, 31.0, 10.0)
    assert told(live, 33.0, 10.0)
    assert not told(live, 60.0, 10.1), "not twice within half a second"
    assert told(live, 60.0, 10.6)
    assert not told(live, 60.0, 11.2, chance=0.86)
    assert told(live, 60.0, 11.2, chance=0.6)
    assert told(live, 60.0, 11.3, chance=0.0), "a gate that died is told at once"


def test_a_forecast_near_zero_and_one_of_an_open_gate_are_no_news():
    live = session()
    assert told(live, 0.02, 0.0)
    assert not told(live, 0.0, 1.0)
    state = live.state
    live.state = replace(state, gates={RED: replace(state.gates[RED], opened_s=1.0)})
    assert not told(live, 99.0, 2.0)


async def test_only_sessions_that_are_watched_hear_of_forecasts(stage):
    play = await stage.play()
    await play.report(ChainAccepted(ChainId("red")))
    await stage.turn()
    assert await play.told(ForecastChanged) == []
    with await stage.director.subscribe(play.session_id):
        await stage.turn()
        first = await play.told(ForecastChanged)
        assert {news.gate for news in first} == {"red_gate", "blue_gate"}
        await play.report(SessionPaused())
        for _ in range(5):
            await stage.turn(60.0)
        assert await play.told(ForecastChanged) == first, "time stands still"


def test_chunks_of_several_stages_in_one_look_teach_nothing_of_any_stage():
    pace = WorkPace()
    for done, spent_s, stage in [(0, 0.0, "denoise"), (3, 9.0, "fuse"), (4, 10.0, "done")]:
        pace.observe(job(JobState.RUNNING, done, spent_s, stage))
    running = job(JobState.RUNNING, 3, 9.0, "fuse", name="b")
    assert pace.left_s(running) == pytest.approx(1.0)
    begun = job(JobState.RUNNING, 1, 2.5, "denoise", name="c")
    assert pace.left_s(begun) == pytest.approx(2 * 2.5 + 1.0), "what is not known goes at the job's own pace"


def test_a_restart_takes_over_what_whole_jobs_took():
    pace = WorkPace()
    pace.learn({(JobKind.CONTENT, Quality.FULL): 12.0})
    assert pace.left_s(replace(job(JobState.QUEUED, 0, 0.0), chunks_total=0)) == 12.0
    assert pace.left_s(job(JobState.QUEUED, 0, 0.0)) == pytest.approx(12.0)
