"""The planner: from live sessions to jobs. It asks `service.prefetch.plan` what to work on, and sees to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from service.clock import Clock
from service.ids import GateId, SegmentId, SessionId
from service.play.forecast import GateForecast, forecast_gate, forecast_gates
from service.prefetch.plan import GateDemand, PlanContext, PlanIndex, PlanLimits, PlannedJob, PrefetchPlan, plan
from service.sessions.delivery import DeliveryPace
from service.sessions.demand import DemandFacts, gate_demand, kept_where_equal, wanted_gates
from service.sessions.job_feed import JobFeed
from service.sessions.ladder import Ladders, Rung
from service.sessions.live import LiveSession
from service.sessions.pace import WorkPace
from service.sessions.ready import ReadyIndex, content_request
from service.work.job import Job, JobKind, JobRequest, JobState, Waiter
from service.work.table import JobTable

SAME_ORDER_S = 2.0
"""A deadline that moved by less is not worth a write to the job table."""

OnWriter = Callable[[Callable[[], "list[Job]"]], Awaitable["list[Job]"]]


@dataclass
class _SessionPlan:
    demands: dict[GateId, GateDemand] = field(default_factory=dict)
    rungs: dict[GateId, tuple[Rung, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Submitted:
    rank: int
    deadline_s: float
    waiters: tuple[Waiter, ...]


class Planner:
    """Keeps what each session asks for, and the job table in step with the plan. Event loop only."""

    def __init__(
        self,
        jobs: JobTable,
        on_writer: OnWriter,
        feed: JobFeed,
        pace: WorkPace,
        ladders: Ladders,
        ready: ReadyIndex,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._on_writer = on_writer
        self._pace = pace
        self._feed = feed
        self._ladders = ladders
        self._ready = ready
        self._clock = clock
        self._sessions: dict[SessionId, _SessionPlan] = {}
        self._live: dict[SessionId, LiveSession] = {}
        self._demands: dict[Waiter, GateDemand] = {}
        self._index = PlanIndex()
        self._limits = PlanLimits()
        self._submitted: dict[str, _Submitted] = {}
        self._stopping: set[str] = set()
        self.delivery = DeliveryPace()

    def consider(self, session: LiveSession, *, all_gates: bool = False) -> dict[GateId, GateForecast]:
        """Work out anew what a session asks for. Returns the forecasts of its wanted gates, or of `all_gates`."""
        now_s = self._clock()
        wanted = wanted_gates(session, now_s)
        before = self._sessions.get(session.session_id, _SessionPlan())
        if not wanted:
            self.forget(session.session_id)
        if all_gates or 2 * len(wanted) > len(session.world.gates):
            forecasts = forecast_gates(session.world, session.state, now_s)
        else:
            forecasts = {gate: forecast_gate(session.world, session.state, gate, now_s) for gate in wanted}
        if wanted:
            self._ask(session, wanted, forecasts, now_s, before)
        return forecasts

    def _ask(
        self,
        session: LiveSession,
        wanted: list[GateId],
        forecasts: dict[GateId, GateForecast],
        now_s: float,
        before: _SessionPlan,
    ) -> None:
        rungs = {gate: self._ladders.own(session, gate) for gate in wanted}
        facts = DemandFacts(now_s, self._is_done, self._left_s, self.delivery.delivery_s)
        demands = [gate_demand(session, forecasts[gate], rungs[gate], facts) for gate in wanted]
        after = _SessionPlan(kept_where_equal(before.demands, demands), rungs)
        for demand in before.demands.values():
            self._demands.pop(demand.waiter, None)
        self._demands.update((demand.waiter, demand) for demand in after.demands.values())
        self._sessions[session.session_id] = after
        self._live[session.session_id] = session

    def forget(self, session_id: SessionId) -> None:
        """A session asks for nothing any more."""
        self._live.pop(session_id, None)
        known = self._sessions.pop(session_id, None)
        for demand in known.demands.values() if known else ():
            self._demands.pop(demand.waiter, None)

    def asking(self) -> list[LiveSession]:
        """The sessions that ask for something."""
        return list(self._live.values())

    def ladder(self, session_id: SessionId) -> dict[GateId, tuple[Rung, ...]]:
        """The ladders of a session's wanted gates."""
        known = self._sessions.get(session_id)
        return known.rungs if known else {}

    def unknown_segments(self, sessions: Iterable[SessionId]) -> set[SegmentId]:
        """The segments that some sessions ask for and that do not exist by the newest answer."""
        ladders = (rungs for session in sessions for rungs in self.ladder(session).values())
        return {rung.segment for rungs in ladders for rung in rungs if self._ready.get(rung.segment) is None}

    async def put_into_effect(self) -> None:
        """Plan for all demands, and make the job table say so: submit what is wanted, cancel what nobody wants."""
        live = frozenset(self._feed.live)
        context = PlanContext(self._demands, live, self._limits)
        planned, self._index = plan(context, self._index)
        requests = [self._request(job) for job in planned.jobs if self._is_news(job)]
        # Running jobs stop at their next chunk border, and are live until then: asking once is enough.
        cancel = [content_request(SegmentId(key)) for key in planned.cancel if key not in self._stopping]
        self._stopping = set(planned.cancel)
        self._note(planned, requests)
        if requests or cancel:
            self._feed.note_submitted(await self._on_writer(lambda: self._write(requests, cancel)))

    def _write(self, requests: list[JobRequest], cancel: list[str]) -> list[Job]:
        if cancel:
            self._jobs.cancel(cancel)
        return self._jobs.submit(requests) if requests else []

    def _note(self, planned: PrefetchPlan, requests: list[JobRequest]) -> None:
        news = {request.target for request in requests}
        submitted = self._submitted
        self._submitted = {job.key: submitted[job.key] for job in planned.jobs if job.key in submitted}
        for job in planned.jobs:
            if job.key in news:
                self._submitted[job.key] = _Submitted(job.rank, job.deadline_s, job.waiters)

    def _is_news(self, job: PlannedJob) -> bool:
        known = self._submitted.get(job.key)
        if known is None:
            return True
        if SegmentId(job.key) not in self._feed.live:
            # It ended. What died stays dead and what an operator cancelled stays cancelled until somebody new asks.
            stopped = self._feed.ended.get(SegmentId(job.key)) in (JobState.CANCELLED, JobState.DEAD)
            return stopped and not set(job.waiters) <= set(known.waiters)
        moved = abs(known.deadline_s - job.deadline_s) >= SAME_ORDER_S
        return moved or known.rank != job.rank or known.waiters != job.waiters

    def _request(self, job: PlannedJob) -> JobRequest:
        first = job.waiters[0]
        session = self._live[first.session]
        rung = next(rung for rung in self.ladder(first.session)[first.gate] if rung.segment == job.key)
        spec = self._ladders.spec(session.world, first.gate, rung)
        payload = {
            "spec": spec.to_json(),
            "quality": int(job.quality),
            "world": session.world.world_id,
            "gate": first.gate,
            "trace_id": session.trace_id,
        }
        return JobRequest(
            request_id=content_request(SegmentId(job.key)),
            kind=JobKind.CONTENT,
            payload=payload,
            quality=job.quality,
            target=job.key,
            rank=float(job.rank),
            deadline_s=job.deadline_s,
            trace_id=session.trace_id,
            waiters=job.waiters,
        )

    def _is_done(self, rung: Rung) -> bool:
        return self._ready.get(rung.segment) is not None

    def _left_s(self, rung: Rung) -> float:
        job = self._feed.live.get(rung.segment)
        return self._pace.whole_s(JobKind.CONTENT, rung.quality) if job is None else self._pace.left_s(job)
