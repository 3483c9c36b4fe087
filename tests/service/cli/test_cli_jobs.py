from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from narthex.v1 import operate_service_pb2 as pb2
from narthex.v1 import operate_service_pb2_grpc, quality_pb2, session_pb2
from typer.testing import CliRunner

from service.cli.jobs import jobs_app
from service.errors import InvalidInput, NotApplicable, NotFound, Unauthenticated, Unavailable

KEY = "a-key-of-the-server"
JOBS = 450


def job(number: int, state: int) -> pb2.Job:
    made = pb2.Job(
        name=f"jobs/j{number:03d}",
        kind="content",
        state=state,
        quality=quality_pb2.QUALITY_DRAFT,
        stage="denoise",
        chunks_done=2,
        chunks_total=9,
        waiters=["sessions/a/gates/g"],
        spent_s=1.5,
        last_error="UnsupportedSpec: [another] size" if state == session_pb2.WORK_STATE_DEAD else "",
    )
    made.create_time.GetCurrentTime()
    return made


class Operate(operate_service_pb2_grpc.OperateServiceServicer):
    """Answers from a list, and refuses callers without the key where one is set."""

    def __init__(self) -> None:
        self.key = ""
        self.calls: list[object] = []

    def _check(self, request: object, context: grpc.ServicerContext) -> None:
        self.calls.append(request)
        header = dict(context.invocation_metadata()).get("authorization", "")
        if self.key and header != f"Bearer {self.key}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "this server needs a key")

    def ListJobs(self, request: pb2.ListJobsRequest, context: grpc.ServicerContext) -> pb2.ListJobsResponse:
        self._check(request, context)
        start = int(request.page_token or 0)
        end = min(JOBS, start + request.page_size)
        state = request.state or session_pb2.WORK_STATE_RUNNING
        token = str(end) if end < JOBS else ""
        return pb2.ListJobsResponse(jobs=[job(n, state) for n in range(start, end)], next_page_token=token)

    def GetJob(self, request: pb2.GetJobRequest, context: grpc.ServicerContext) -> pb2.Job:
        self._check(request, context)
        if request.name != "jobs/j001":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no job {request.name}")
        return job(1, session_pb2.WORK_STATE_RUNNING)

    def CancelJob(self, request: pb2.CancelJobRequest, context: grpc.ServicerContext) -> pb2.Job:
        self._check(request, context)
        return job(1, session_pb2.WORK_STATE_CANCELLED)

    def RetryJob(self, request: pb2.RetryJobRequest, context: grpc.ServicerContext) -> pb2.Job:
        self._check(request, context)
        return context.abort(grpc.StatusCode.FAILED_PRECONDITION, "job j001 is RUNNING; only DEAD jobs can be retried")

    def GetUsage(self, request: pb2.GetUsageRequest, context: grpc.ServicerContext) -> pb2.Usage:
        self._check(request, context)
        return pb2.Usage(generated=pb2.UsagePart(segments=3, minutes=0.1, device_s=12.5, bytes=2**20))


@pytest.fixture
def operate() -> Operate:
    return Operate()


@pytest.fixture
def address(operate: Operate) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    operate_service_pb2_grpc.add_OperateServiceServicer_to_server(operate, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(jobs_app, arguments, env={"COLUMNS": "80"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_reads_as_many_pages_as_it_needs(address: str, operate: Operate) -> None:
    found = json.loads(run("list", "--server", address, "--limit", "1000", "--json"))["jobs"]
    assert [each["name"] for each in found] == [f"jobs/j{n:03d}" for n in range(JOBS)]
    assert len(operate.calls) == 3
    assert found[0]["state"] == "WORK_STATE_RUNNING"
    assert len(json.loads(run("list", "--server", address, "--limit", "7", "--json"))["jobs"]) == 7


def test_list_shows_a_table_and_filters_by_state(address: str) -> None:
    text = run("list", "--server", address, "--limit", "2", "--state", "dead")
    assert "j000" in text
    assert "2/9" in text
    assert "content DRAFT" in text
    assert "DEAD" in text
    assert "[another] size" in text
    assert "j002" not in text


def test_show_and_cancel_take_ids_with_and_without_collection(address: str) -> None:
    assert "denoise" in run("show", "j001", "--server", address)
    assert json.loads(run("show", "jobs/j001", "--server", address, "--json"))["chunks_total"] == 9
    assert json.loads(run("cancel", "j001", "--server", address, "--json"))["state"] == "WORK_STATE_CANCELLED"


def test_usage_is_a_table_or_json(address: str, operate: Operate) -> None:
    assert "12.5" in run("usage", "--server", address)
    assert json.loads(run("usage", "--session", "s1", "--server", address, "--json"))["generated"]["segments"] == "3"
    last = operate.calls[-1]
    assert isinstance(last, pb2.GetUsageRequest)
    assert last.session == "sessions/s1"


def test_what_the_server_refuses_is_said_as_it_says_it(address: str) -> None:
    with pytest.raises(NotFound, match="no job jobs/nothing"):
        run("show", "nothing", "--server", address)
    with pytest.raises(NotApplicable, match="only DEAD jobs"):
        run("retry", "j001", "--server", address)


def test_a_server_with_keys_is_given_one(address: str, operate: Operate) -> None:
    operate.key = KEY
    with pytest.raises(Unauthenticated, match="--key"):
        run("list", "--server", address)
    assert "j001" in run("show", "j001", "--server", address, "--key", KEY)


def test_no_server_and_no_address_say_what_to_do() -> None:
    with pytest.raises(Unavailable, match="narthex serve"):
        run("list", "--server", "127.0.0.1:1")
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        run("list", "--server", "localhost")
