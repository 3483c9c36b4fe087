"""Jobs read as google.longrunning operations, with what they made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from service.api.convert import content, job
from service.ids import JobId, SceneId, SegmentId
from service.store.catalogue import Catalogue
from service.store.records import AssetRecord
from service.work.job import Job, JobKind, JobState
from service.work.table import JobTable

POLL_S = 0.2


class OperationReader:
    """Reads operations. The database is asked on threads: none of these calls holds up the event loop."""

    def __init__(self, jobs: JobTable, catalogue: Catalogue) -> None:
        self._jobs = jobs
        self._catalogue = catalogue

    async def job(self, job_id: JobId) -> Job:
        """The job of an operation. Raises NotFound."""
        return await asyncio.to_thread(self._jobs.job, job_id)

    async def jobs(self, size: int, after: JobId | None) -> Sequence[Job]:
        """At most `size` jobs, newest first, older than `after`."""
        return await asyncio.to_thread(self._jobs.list, None, size, after)

    async def operation(self, of: Job) -> operations_pb2.Operation:
        """The operation that a job is, its response a Segment, a Scene4D or an AssetChunk."""
        response = await asyncio.to_thread(self._response, of) if of.state is JobState.DONE else None
        return job.operation_message(of, response)

    async def changed(self, of: Job) -> Job:
        """The job as soon as it differs from `of`. Raises NotFound."""
        # Another process changes jobs: there is nothing here that could wake us.
        while (newer := await self.job(of.job_id)).version == of.version:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        return newer

    async def done(self, job_id: JobId, wait_s: float) -> Job:
        """The job as soon as it has ended, or as it is after `wait_s`. Raises NotFound."""
        latest = await self.job(job_id)
        try:
            async with asyncio.timeout(wait_s):
                while latest.state not in job.FINAL_STATES:
                    latest = await self.changed(latest)
        except TimeoutError:
            pass
        return latest

    def _response(self, of: Job) -> Message | None:
        if of.request.kind is JobKind.EXPORT:
            exported = of.result.get("assets") or [None]
            return content.asset_chunk(AssetRecord(**exported[-1])) if exported[-1] else None
        if of.request.kind is JobKind.RECONSTRUCT:
            scene = self._catalogue.scene(SceneId(of.result.get("scene", "")))
            return content.scene_message(scene) if scene else None
        segment = self._catalogue.segment(SegmentId(of.request.target))
        return content.segment_message(segment) if segment else None
