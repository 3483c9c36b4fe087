from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from clips import errors as clips_errors
from model import errors as model_errors
from recon import errors as recon_errors
from service import errors
from service.api.statuses import CODES, is_known, resume_status, status_of
from service.errors import FieldProblem

TRACE = "ab" * 16
BASES = (errors.ServiceError, clips_errors.ClipError, model_errors.ModelError, recon_errors.ReconError)


def all_kinds(base: type[Exception]) -> set[type[Exception]]:
    return {base}.union(*(all_kinds(kind) for kind in base.__subclasses__()))


def details(status: status_pb2.Status, kind: type) -> list:
    found = []
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            found.append(message)
    return found


def test_the_table_is_total_over_every_error_of_the_packages():
    kinds = set().union(*(all_kinds(base) for base in BASES))
    ours = {kind for kind in kinds if not kind.__module__.startswith(("test", "tests"))}
    assert len(ours) > 20
    assert ours - set(CODES) == set()
    assert set(CODES) - kinds == set()


@pytest.mark.parametrize("kind", sorted(CODES, key=lambda kind: kind.__name__))
def test_every_error_becomes_a_status_that_grpc_takes(kind: type[Exception]):
    status = status_of(kind("what was wrong"), TRACE)
    sent = rpc_status.to_status(status)
    assert sent.code is CODES[kind]
    assert sent.details == "what was wrong"
    info = details(status, details_pb2.ErrorInfo)[0]
    assert info.domain == "narthex.v1"
    assert info.reason == info.reason.upper()
    assert info.metadata["trace_id"] == TRACE
    assert bool(details(status, details_pb2.RetryInfo)) == bool(kind.retryable)


def test_fields_become_a_bad_request():
    error = errors.InvalidInput("two", fields=(FieldProblem("events[1].gate", "got 'x'"), FieldProblem("a", "b")))
    request = details(status_of(error, TRACE), details_pb2.BadRequest)[0]
    assert [(v.field, v.description) for v in request.field_violations] == [("events[1].gate", "got 'x'"), ("a", "b")]


def test_a_state_that_forbids_becomes_a_precondition_failure():
    error = errors.NotApplicable("finished", reason="CHAIN_FINISHED", metadata={"resource": "sessions/x"})
    violation = details(status_of(error, TRACE), details_pb2.PreconditionFailure)[0].violations[0]
    assert (violation.type, violation.subject, violation.description) == ("CHAIN_FINISHED", "sessions/x", "finished")


def test_a_missing_resource_is_named():
    info = details(
        status_of(errors.NotFound("no", metadata={"resource": "sessions/x"}), TRACE), details_pb2.ResourceInfo
    )
    assert (info[0].resource_type, info[0].resource_name) == ("narthex.v1/sessions", "sessions/x")


def test_retry_and_quota_are_said():
    assert details(status_of(errors.Unavailable("full"), TRACE), details_pb2.RetryInfo)[0].retry_delay.seconds == 1
    assert details(status_of(errors.TooMuch("full"), TRACE), details_pb2.QuotaFailure)[0].violations[0].subject


@pytest.mark.parametrize("error", [ValueError("the secret path /etc"), KeyError("x"), RuntimeError()])
def test_an_unexpected_error_says_a_trace_id_and_nothing_else(error: Exception):
    status = status_of(error, TRACE)
    assert not is_known(error)
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(status)
    assert TRACE in status.message


def test_an_error_class_that_the_table_does_not_have_is_not_taken_for_its_base():
    class Fresh(errors.InvalidInput):
        pass

    assert status_of(Fresh("x"), TRACE).code == grpc.StatusCode.INTERNAL.value[0]
    del Fresh


@pytest.mark.parametrize("letter", ["a", "ä", "字", "\ud800", "\n"])
def test_long_messages_and_many_fields_fit_into_trailers(letter: str):
    fields = tuple(FieldProblem(f"chains.{index}.{'x' * 500}", "m" * 5_000) for index in range(200))
    status = status_of(errors.InvalidInput("y" + letter * 100_000, fields=fields), TRACE)
    escaped = sum(1 if " " <= character <= "~" else 3 * len(character.encode()) for character in status.message)
    assert escaped <= 900
    assert len(status.SerializeToString()) < 5_500
    last = details(status, details_pb2.BadRequest)[0].field_violations[-1].description
    assert last.startswith("and ")
    assert last.endswith(" more")


def test_a_watcher_that_is_cut_off_is_told_where_to_resume():
    status = resume_status("too slow", 42, "WATCHER_TOO_SLOW", TRACE)
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert status.message == "too slow; resume from cursor 42"
    assert details(status, details_pb2.ErrorInfo)[0].metadata["cursor"] == "42"
    assert details(status, details_pb2.RetryInfo)[0].retry_delay.seconds == 1
