"""OperateService: jobs and usage."""

from __future__ import annotations

import asyncio

from narthex.v1 import operate_service_pb2 as pb2
from sqlalchemy import Engine

from service.api.call import Call, Door, endpoint
from service.api.convert import names
from service.api.convert.job import job_message, usage_message
from service.api.pages import cut_page, read_page
from service.errors import NotApplicable
from service.ids import JobId
from service.work.job import JobState
from service.work.table import JobTable
from service.work.usage import read_usage


class OperateService:
    """What operators ask of the work."""

    def __init__(self, door: Door, engine: Engine, jobs: JobTable) -> None:
        self.door = door
        self._engine = engine
        self._jobs = jobs

    @endpoint()
    async def GetUsage(self, request: pb2.GetUsageRequest, call: Call) -> pb2.Usage:
        """Minutes generated, reached and wasted, and what each cost."""
        session = names.session_id(request.session, "session") if request.session else None
        start_s = names.epoch_s(request.start_time, "start_time") if request.HasField("start_time") else 0.0
        end_s = names.epoch_s(request.end_time, "end_time") if request.HasField("end_time") else names.MAX_TIME_S
        if end_s < start_s:
            raise names.bad_field("end_time", f"got {end_s:.0f}, which is before start_time {start_s:.0f}")
        return usage_message(await asyncio.to_thread(read_usage, self._engine, session, start_s, end_s))

    @endpoint()
    async def ListJobs(self, request: pb2.ListJobsRequest, call: Call) -> pb2.ListJobsResponse:
        """A page of jobs, newest first."""
        state = _to_state(request.state) if request.state else None
        listing = f"jobs?state={state.name if state else ''}"
        page = read_page(request.page_size, request.page_token, listing)
        after = JobId(page.after) if page.after else None
        found = await asyncio.to_thread(self._jobs.list, state, page.size + 1, after)
        jobs, token = cut_page(found, page, lambda job: job.job_id, listing)
        return pb2.ListJobsResponse(jobs=map(job_message, jobs), next_page_token=token)

    @endpoint()
    async def GetJob(self, request: pb2.GetJobRequest, call: Call) -> pb2.Job:
        """The job."""
        return job_message(await asyncio.to_thread(self._jobs.job, names.job_id(request.name, "name")))

    @endpoint()
    async def CancelJob(self, request: pb2.CancelJobRequest, call: Call) -> pb2.Job:
        """The job; a running one stops at its next chunk border."""
        job_id = names.job_id(request.name, "name")
        job = await asyncio.to_thread(self._jobs.job, job_id)
        if job.state in (JobState.DONE, JobState.DEAD):
            raise NotApplicable(f"job {job_id} is {job.state.name}; only queued and running jobs can be cancelled")
        await asyncio.to_thread(self._jobs.cancel, [job.request.request_id])
        return job_message(await asyncio.to_thread(self._jobs.job, job_id))

    @endpoint()
    async def RetryJob(self, request: pb2.RetryJobRequest, call: Call) -> pb2.Job:
        """The job, queued again."""
        return job_message(await asyncio.to_thread(self._jobs.retry_dead, names.job_id(request.name, "name")))


def _to_state(value: int) -> JobState:
    try:
        return JobState(value)
    except ValueError:
        allowed = ", ".join(f"WORK_STATE_{state.name}" for state in JobState)
        raise names.bad_field("state", f"got {value}, expected one of {allowed}") from None
