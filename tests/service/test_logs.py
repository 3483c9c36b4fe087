from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from service.logs import new_trace_id, set_up_logs, trace_id


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, grpc = logging.getLogger(), logging.getLogger("grpc")
    handlers, level, grpc_level = root.handlers[:], root.level, grpc.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    grpc.setLevel(grpc_level)


def test_a_line_is_one_json_object_with_extra_and_trace_id(stream: io.StringIO):
    set_up_logs("info", "json", stream)
    token = trace_id.set("ab" * 16)
    logging.getLogger("narthex.test").info("made %s", "it", extra={"session": "s1", "job": 7})
    trace_id.reset(token)
    line = json.loads(stream.getvalue())
    assert line["msg"] == "made it"
    assert (line["level"], line["logger"]) == ("info", "narthex.test")
    assert (line["session"], line["job"], line["trace_id"]) == ("s1", 7, "ab" * 16)
    assert line["ts"].endswith("Z")
    assert len(line["ts"]) == 24


def test_a_trace_id_of_the_record_beats_that_of_the_context(stream: io.StringIO):
    set_up_logs("info", "json", stream)
    token = trace_id.set("ab" * 16)
    logging.getLogger("narthex.test").info("x", extra={"trace_id": "cd" * 16})
    trace_id.reset(token)
    assert json.loads(stream.getvalue())["trace_id"] == "cd" * 16


def test_outside_of_a_trace_there_is_no_trace_id(stream: io.StringIO):
    set_up_logs("info", "json", stream)
    logging.getLogger("narthex.test").info("x")
    assert "trace_id" not in json.loads(stream.getvalue())


def test_exceptions_stay_on_one_line(stream: io.StringIO):
    set_up_logs("info", "json", stream)
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("narthex.test").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: inside" in json.loads(stream.getvalue())["error"]


def test_levels_are_kept(stream: io.StringIO):
    set_up_logs("warning", "json", stream)
    logging.getLogger("narthex.test").info("quiet")
    assert stream.getvalue() == ""


def test_text_is_for_people(stream: io.StringIO):
    set_up_logs("info", "text", stream)
    logging.getLogger("narthex.test").warning("look", extra={"gate": "red"})
    assert "WARNING narthex.test" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("look  gate=red")


def test_trace_ids_are_w3c():
    first, second = new_trace_id(), new_trace_id()
    assert first != second
    assert len(first) == 32
    assert int(first, 16) > 0
