"""google.longrunning.Operations over the job table: `operations/{job}`."""

from __future__ import annotations

import asyncio

from google.longrunning import operations_pb2 as pb2
from google.protobuf import empty_pb2

from service.api.call import Call, Door, endpoint
from service.api.convert import names
from service.api.operation_reader import OperationReader
from service.api.pages import cut_page, read_page
from service.errors import Unsupported
from service.ids import JobId
from service.work.table import JobTable

DEFAULT_WAIT_S = 30.0
MAX_WAIT_S = 3_600.0


class OperationsService:
    """Get, list, wait for, cancel and delete operations."""

    def __init__(self, door: Door, jobs: JobTable, reader: OperationReader) -> None:
        self.door = door
        self._jobs = jobs
        self._reader = reader

    @endpoint()
    async def ListOperations(self, request: pb2.ListOperationsRequest, call: Call) -> pb2.ListOperationsResponse:
        """A page of operations, newest first."""
        if request.filter:
            raise Unsupported("ListOperations takes no filter in this version")
        page = read_page(request.page_size, request.page_token, "operations")
        found = await self._reader.jobs(page.size + 1, JobId(page.after) if page.after else None)
        jobs, token = cut_page(found, page, lambda job: job.job_id, "operations")
        operations = [await self._reader.operation(job) for job in jobs]
        return pb2.ListOperationsResponse(operations=operations, next_page_token=token)

    @endpoint()
    async def GetOperation(self, request: pb2.GetOperationRequest, call: Call) -> pb2.Operation:
        """The operation as it stands."""
        job = await self._reader.job(_job_id(request.name))
        return await self._reader.operation(job)

    @endpoint()
    async def WaitOperation(self, request: pb2.WaitOperationRequest, call: Call) -> pb2.Operation:
        """The operation as soon as it is done, or as it is after the timeout (unset: 30 s)."""
        wait_s = (
            request.timeout.seconds + request.timeout.nanos / 1e9 if request.HasField("timeout") else DEFAULT_WAIT_S
        )
        wait_s = names.finite(wait_s, 0.0, MAX_WAIT_S, "timeout")
        job = await self._reader.done(_job_id(request.name), wait_s)
        return await self._reader.operation(job)

    @endpoint()
    async def CancelOperation(self, request: pb2.CancelOperationRequest, call: Call) -> empty_pb2.Empty:
        """Nothing; work stops at its next chunk border."""
        job = await self._reader.job(_job_id(request.name))
        await asyncio.to_thread(self._jobs.cancel, [job.request.request_id])
        return empty_pb2.Empty()

    @endpoint()
    async def DeleteOperation(self, request: pb2.DeleteOperationRequest, call: Call) -> empty_pb2.Empty:
        """Nothing; only an operation that has ended can be deleted, and what it made stays."""
        await asyncio.to_thread(self._jobs.delete, _job_id(request.name))
        return empty_pb2.Empty()


def _job_id(name: str) -> JobId:
    return names.job_id(name, "name", "operations")
