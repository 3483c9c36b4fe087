"""The foreman: turn by turn, what changed in sessions becomes work, and finished work becomes announcements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from service.clock import Clock
from service.ids import SegmentId, SessionId
from service.sessions.announcer import announcement, best_news
from service.sessions.forecast_news import forecast_news
from service.sessions.housekeeper import Housekeeper
from service.sessions.job_feed import JobFeed
from service.sessions.keeper import Keeper, Outcome
from service.sessions.live import LiveSession
from service.sessions.planner import Planner
from service.sessions.ready import ReadyIndex
from service.sessions.registry import Registry
from service.sessions.settings import DirectorSettings
from service.sessions.step import Step
from service.sessions.views import SessionStatus
from service.work.job import Job, JobState

AGAIN_S = 1.0
"""Sessions that ask for something are looked at this often though nothing happened: time passes for them."""

COST_SHARE = 9.0
"""Planning rests for this many times as long as it took, so that it never takes more than a tenth of the loop."""

SESSIONS_AT_ONCE = 16
"""Sessions that are considered before the event loop gets a chance to do something else."""


class Foreman:
    """What happens between calls. Event loop only; `heard` and `dirty` note what the next turn must look at."""

    def __init__(
        self,
        registry: Registry,
        keeper: Keeper,
        planner: Planner,
        feed: JobFeed,
        ready: ReadyIndex,
        housekeeper: Housekeeper,
        clock: Clock,
        settings: DirectorSettings,
    ) -> None:
        self._registry = registry
        self._keeper = keeper
        self._planner = planner
        self._feed = feed
        self._ready = ready
        self._housekeeper = housekeeper
        self._clock = clock
        self._settings = settings
        self._dirty: set[SessionId] = set()
        self._changed: set[SessionId] = set()
        self._commits: list[asyncio.Future[Outcome]] = []
        self._plan_after_s = 0.0
        self._again_s = 0.0
        registry.on_load = self.dirty
        registry.on_drop = self._dropped

    async def start(self) -> None:
        """Learn which jobs are live."""
        await self._feed.start()

    def dirty(self, session: LiveSession) -> None:
        """Look at all of a session in the next turn."""
        self._dirty.add(session.session_id)
        self._changed.add(session.session_id)

    def heard(self, step: Step) -> None:
        """Events changed a session: plan anew, and learn how fast its client is."""
        self.dirty(step.session)
        for arrival in step.arrivals:
            self._planner.delivery.saw_ready(step.session, arrival.content, arrival.took_s)

    async def turn(self) -> None:
        """Follow the jobs; plan where something changed or time has passed. Returns when all of it is durable."""
        changed = await self._feed.poll()
        self._tell_work(changed)
        done = [SegmentId(job.request.target) for job in changed if job.state is JobState.DONE]
        self._ready.forget(done)
        now_s = self._clock()
        if done or now_s >= self._again_s:
            self._dirty.update(session.session_id for session in self._planner.asking())
            self._again_s = now_s + AGAIN_S
        if self._dirty and (done or now_s >= self._plan_after_s):
            await self._plan(now_s)
        await self._settled()
        await self._housekeeper.turn()

    async def _plan(self, now_s: float) -> None:
        began = time.perf_counter()
        due, self._dirty = self._dirty, set()
        try:
            await self._consider(due)
            cost_s = time.perf_counter() - began + await self._bring_news()
        except BaseException:
            self._dirty |= due
            raise
        self._plan_after_s = now_s + max(self._settings.plan_interval_s, COST_SHARE * cost_s)

    async def _bring_news(self) -> float:
        """Announce what exists now, and plan for what does not. Returns how long the event loop was busy with it."""
        asking = {session.session_id for session in self._planner.asking()}
        unknown = self._planner.unknown_segments(asking)
        await self._ready.look_up(unknown)
        began = time.perf_counter()
        await self._consider(self._announce(asking))
        cost_s = time.perf_counter() - began
        await self._planner.put_into_effect()
        return cost_s

    async def _consider(self, session_ids: Iterable[SessionId]) -> None:
        for index, session_id in enumerate(session_ids, start=1):
            session = self._registry.loaded(session_id)
            if session is None:
                self._planner.forget(session_id)
                continue
            watched, changed = session_id in self._registry.watching, session_id in self._changed
            self._changed.discard(session_id)
            forecasts = self._planner.consider(session, all_gates=watched and changed)
            if watched and session.status is not SessionStatus.CLOSED:
                step = self._keeper.begin(session)
                for news in forecast_news(session, forecasts, step.now_s):
                    step.tell(news, session.trace_id)
                self._commit(step)
            if index % SESSIONS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _announce(self, session_ids: Iterable[SessionId]) -> list[SessionId]:
        """Tell sessions of what exists now. Returns those that were told something."""
        told = []
        for session_id in session_ids:
            session = self._registry.loaded(session_id)
            if session is None:
                continue
            step = self._keeper.begin(session)
            for gate, rungs in self._planner.ladder(session_id).items():
                content = best_news(session, gate, rungs, self._ready)
                if content is not None:
                    news = announcement(session, gate, content)
                    self._planner.delivery.saw_content(news)
                    step.announce(news, session.trace_id)
            if not step.is_empty:
                told.append(session_id)
            self._commit(step)
        return told

    def _tell_work(self, changed: Sequence[Job]) -> None:
        steps: dict[SessionId, Step] = {}
        for waiter, news, trace_id in self._feed.tellings(changed):
            session = self._registry.loaded(waiter.session)
            if session is None or session.status is SessionStatus.CLOSED:
                continue
            if session.session_id not in steps:
                steps[session.session_id] = self._keeper.begin(session)
            steps[session.session_id].tell(news, trace_id)
        for step in steps.values():
            self._commit(step)

    def _commit(self, step: Step) -> None:
        if not step.is_empty:
            self._commits.append(self._keeper.commit(step))

    async def _settled(self) -> None:
        # A step that fails takes its session out of memory, and the next one starts from the table: no more to do.
        # Waiting here means that a slow disk slows the turns instead of gathering writes.
        commits, self._commits = self._commits, []
        for commit in commits:
            await commit

    def _dropped(self, session: LiveSession) -> None:
        self._planner.forget(session.session_id)
        self._dirty.add(session.session_id)  # what only this session wanted is cancelled
