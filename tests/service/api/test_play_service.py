from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import event_pb2, play_service_pb2, session_pb2

ACCEPT = {"chain_accepted": {"chain": "red"}}
START = {"task_started": {"chain": "red", "task": "find_key"}}


def event(sequence: int, event_id: str = "", **kind: Any) -> event_pb2.Event:
    return event_pb2.Event(event_id=event_id or f"e{sequence}", sequence=sequence, **(kind or {"session_paused": {}}))


def watch(client: Any, session: str, cursor: int = 0, **options: Any) -> Any:
    return client.play.WatchSession(play_service_pb2.WatchSessionRequest(session=session, cursor=cursor), **options)


def updates(client: Any, session: str, cursor: int = 0, **fields: Any) -> list[session_pb2.SessionUpdate]:
    request = play_service_pb2.ListSessionUpdatesRequest(session=session, cursor=cursor, **fields)
    return list(client.play.ListSessionUpdates(request).updates)


def test_a_session_is_opened_read_listed_and_closed(client: Any):
    profile = {"formats": ["video/mp4"], "max_splats": 5_000, "bandwidth_bps": 10_000_000}
    wanted = session_pb2.Session(world="worlds/halls", players=["ann"], profile=profile)
    made = client.play.CreateSession(play_service_pb2.CreateSessionRequest(session=wanted, session_id="opened-one"))
    assert made.name == "sessions/opened-one"
    assert made.profile == wanted.profile
    assert list(made.players) == ["ann"]
    assert made.state == session_pb2.SESSION_STATE_ACTIVE
    assert {gate.gate for gate in made.gates} == {"red_gate", "blue_gate"}
    assert client.play.GetSession(play_service_pb2.GetSessionRequest(name=made.name)).create_time == made.create_time
    closed = client.play.CloseSession(play_service_pb2.CloseSessionRequest(name=made.name))
    assert closed.state == session_pb2.SESSION_STATE_CLOSED
    again = client.play.CloseSession(play_service_pb2.CloseSessionRequest(name=made.name))
    assert again.state == session_pb2.SESSION_STATE_CLOSED


def test_a_repeated_request_id_gives_the_first_session(client: Any):
    first = client.create_session(request_id="req-1")
    assert client.create_session(request_id="req-1").name == first.name
    assert client.create_session(request_id="req-2").name != first.name


def test_sessions_are_listed_in_pages(client: Any):
    made = {client.create_session().name for _ in range(5)}
    seen: list[str] = []
    token = ""
    while True:
        request = play_service_pb2.ListSessionsRequest(page_size=2, page_token=token, world="worlds/halls")
        page = client.play.ListSessions(request)
        assert len(page.sessions) <= 2
        seen += [session.name for session in page.sessions]
        token = page.next_page_token
        if not token:
            break
    assert made <= set(seen)
    assert len(seen) == len(set(seen))
    other = client.play.ListSessions(play_service_pb2.ListSessionsRequest(world="worlds/nowhere"))
    assert not other.sessions


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"session": {"world": "halls"}}, "session.world"),
        ({"session": {"world": ""}}, "session.world"),
        ({"session": {"world": "worlds/a/b"}}, "session.world"),
        ({"session": {"world": "worlds/halls", "profile": {"max_bytes": -1}}}, "session.profile.max_bytes"),
        ({"session": {"world": "worlds/halls", "players": ["x"] * 300}}, "session.players"),
        ({"session": {"world": "worlds/halls"}, "session_id": "No Good"}, "session_id"),
        ({"session": {"world": "worlds/halls"}, "request_id": "x" * 200}, "request_id"),
    ],
)
def test_wrong_sessions_are_refused_by_field(client: Any, refused: Any, request_fields: dict[str, Any], field: str):
    with refused() as caught:
        client.play.CreateSession(play_service_pb2.CreateSessionRequest(**request_fields))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in caught.value.fields


def test_unknown_worlds_and_taken_ids_are_named(client: Any, refused: Any):
    with refused() as caught:
        client.play.CreateSession(
            play_service_pb2.CreateSessionRequest(session=session_pb2.Session(world="worlds/nowhere"))
        )
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    client.create_session(session_id="taken-one")
    with refused() as caught:
        client.create_session(session_id="taken-one")
    assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    "call",
    [
        lambda play: play.GetSession(play_service_pb2.GetSessionRequest(name="sessions/nobody")),
        lambda play: play.CloseSession(play_service_pb2.CloseSessionRequest(name="sessions/nobody")),
        lambda play: play.ReportEvents(
            play_service_pb2.ReportEventsRequest(session="sessions/nobody", events=[event(1)])
        ),
        lambda play: next(play.WatchSession(play_service_pb2.WatchSessionRequest(session="sessions/nobody"))),
        lambda play: play.ListSessionUpdates(play_service_pb2.ListSessionUpdatesRequest(session="sessions/nobody")),
        lambda play: play.IssuePlayerToken(play_service_pb2.IssuePlayerTokenRequest(session="sessions/nobody")),
    ],
)
def test_unknown_sessions_are_not_found_by_name(client: Any, refused: Any, call: Any):
    with refused() as caught:
        call(client.play)
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert caught.value.resource == "sessions/nobody"


def test_events_are_applied_once_and_held_until_their_turn(client: Any):
    session = client.create_session().name
    assert client.report(session, event(1, **ACCEPT)).applied_sequence == 1
    early = client.report(session, event(3, session_paused={}))
    assert (early.applied_sequence, early.held_count, early.duplicate_count) == (1, 1, 0)
    filled = client.report(session, event(2, **START))
    assert (filled.applied_sequence, filled.held_count) == (3, 0)
    again = client.report(session, event(1, **ACCEPT), event(2, **START))
    assert (again.applied_sequence, again.duplicate_count) == (3, 2)
    state = client.play.GetSession(play_service_pb2.GetSessionRequest(name=session))
    assert state.state == session_pb2.SESSION_STATE_PAUSED
    red = next(chain for chain in state.snapshot.chains if chain.chain == "red")
    assert red.status == event_pb2.CHAIN_STATUS_ACCEPTED


def test_two_clients_with_one_session_get_a_conflict(wire: Any, client: Any, refused: Any):
    other = type(client)(wire.address)
    session = client.create_session().name
    client.report(session, event(1, "from-one", **ACCEPT))
    with refused() as caught:
        other.report(session, event(1, "from-two", **START))
    assert caught.value.code is grpc.StatusCode.ABORTED
    assert caught.value.metadata["applied_sequence"] == "1"
    assert caught.value.fields.keys() == {"events[0].event_id"}
    other.close()


BAD_EVENTS: list[tuple[str, dict[str, Any], str, grpc.StatusCode]] = [
    ("gate", {"gate_opened": {"gate": "nowhere"}}, "gate_opened.gate", grpc.StatusCode.INVALID_ARGUMENT),
    ("chain", {"chain_accepted": {"chain": "grey"}}, "chain_accepted.chain", grpc.StatusCode.INVALID_ARGUMENT),
    (
        "task",
        {"task_started": {"chain": "red", "task": "fly"}},
        "task_started.task",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    (
        "NaN distance",
        {"gate_approached": {"gate": "red_gate", "distance_m": math.nan}},
        "gate_approached.distance_m",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    (
        "negative distance",
        {"gate_approached": {"gate": "red_gate", "distance_m": -1.0}},
        "gate_approached.distance_m",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    (
        "NaN duration",
        {"task_progressed": {"chain": "red", "task": "find_key", "eta_s": math.nan}},
        "task_progressed.eta_s",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    (
        "negative duration",
        {"task_progressed": {"chain": "red", "task": "find_key", "eta_s": -3.0}},
        "task_progressed.eta_s",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    (
        "fraction above one",
        {"task_progressed": {"chain": "red", "task": "find_key", "fraction": 1.5}},
        "task_progressed.fraction",
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
]


@pytest.mark.parametrize(
    ("kind", "field", "code"), [case[1:] for case in BAD_EVENTS], ids=[case[0] for case in BAD_EVENTS]
)
def test_an_event_that_cannot_be_applied_names_its_field_and_where_to_go_on(
    client: Any, refused: Any, kind: dict[str, Any], field: str, code: grpc.StatusCode
):
    session = client.create_session().name
    with refused() as caught:
        client.report(session, event(1, **ACCEPT), event(2, **START), event(3, **kind), event(4))
    assert caught.value.code is code
    assert caught.value.fields.keys() == {f"events[2].{field}"}
    # Those before it are applied, its own number is spent, those after it were not looked at.
    assert caught.value.metadata["applied_sequence"] == "3"
    assert client.report(session, event(4)).applied_sequence == 4


def test_events_for_a_finished_chain_are_refused(client: Any, refused: Any):
    session = client.create_session().name
    swim = {"chain": "blue", "task": "swim"}
    done = [event(1, chain_accepted={"chain": "blue"}), event(2, task_started=swim), event(3, task_completed=swim)]
    assert client.report(session, *done).applied_sequence == 3
    for number, late in enumerate((event(4, task_started=swim), event(5, chain_abandoned={"chain": "blue"}))):
        with refused() as caught:
            client.report(session, late)
        assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.metadata["applied_sequence"] == str(4 + number)
    assert client.report(session, event(6)).applied_sequence == 6


def test_events_of_a_closed_session_are_refused(client: Any, refused: Any):
    session = client.create_session().name
    client.play.CloseSession(play_service_pb2.CloseSessionRequest(name=session))
    with refused() as caught:
        client.report(session, event(1, **ACCEPT))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_CLOSED")


@pytest.mark.parametrize(
    ("events", "field"),
    [
        ([], "events"),
        ([event(number) for number in range(1, 258)], "events"),
        ([event_pb2.Event(event_id="e", sequence=1)], "events[0].kind"),
        ([event(0)], "events[0].sequence"),
        ([event_pb2.Event(sequence=1, session_paused={})], "events[0].event_id"),
        ([event(1), event_pb2.Event(event_id="e", sequence=2)], "events[1].kind"),
        (
            [event_pb2.Event(event_id="e", sequence=1, event_time=Timestamp(seconds=-5), session_paused={})],
            "events[0].event_time",
        ),
    ],
)
def test_malformed_calls_are_refused_whole(client: Any, refused: Any, events: list[event_pb2.Event], field: str):
    session = client.create_session().name
    with refused() as caught:
        client.report(session, *events)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields.keys() == {field}
    assert client.report(session, event(1)).applied_sequence == 1


def test_an_event_far_ahead_is_out_of_range(client: Any, refused: Any):
    session = client.create_session().name
    with refused() as caught:
        client.report(session, event(10_000))
    assert caught.value.code is grpc.StatusCode.OUT_OF_RANGE
    assert caught.value.metadata["expected_sequence"] == "1"


@pytest.mark.parametrize("data", [b"\xff\xff\xff garbage", b"\x0a\x02\xff\xfe", b"\x0a\x7fshort"])
def test_bytes_that_are_no_message_are_refused(client: Any, refused: Any, data: bytes):
    call = client.channel.unary_unary("/narthex.v1.PlayService/ReportEvents")
    with refused() as caught:
        call(data, timeout=10)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


def test_updates_come_by_watch_and_by_long_poll_alike(client: Any):
    session = client.create_session().name
    client.report(session, event(1, **ACCEPT))
    polled = updates(client, session)
    stream = watch(client, session)
    watched = [next(stream) for _ in polled]
    stream.cancel()
    assert watched == polled
    assert [update.cursor for update in polled] == list(range(1, len(polled) + 1))
    kinds = {update.WhichOneof("kind") for update in polled}
    assert {"content_announced", "chain_changed"} <= kinds
    assert updates(client, session, polled[1].cursor, page_size=1) == [polled[2]]


def test_a_long_poll_returns_as_soon_as_something_happens(client: Any):
    session = client.create_session().name
    # A paused session has no forecasts to tell of: what comes next is our event.
    client.report(session, event(1))
    at = client.play.GetSession(play_service_pb2.GetSessionRequest(name=session)).cursor
    found: list[session_pb2.SessionUpdate] = []
    poll = threading.Thread(target=lambda: found.extend(updates(client, session, at, wait_s=20.0)))
    poll.start()
    client.report(session, event(2, **ACCEPT))
    poll.join(20.0)
    assert not poll.is_alive()
    assert found[0].cursor == at + 1


def test_a_watch_ends_after_the_session_is_closed(client: Any):
    session = client.create_session().name
    stream = watch(client, session)
    next(stream)
    client.play.CloseSession(play_service_pb2.CloseSessionRequest(name=session))
    rest = list(stream)
    assert rest[-1].WhichOneof("kind") == "session_closed"
    assert stream.code() is grpc.StatusCode.OK
    assert list(watch(client, session, rest[-1].cursor))[-1].WhichOneof("kind") == "session_closed"


def test_a_cursor_that_was_never_given_out_gets_the_whole_state(client: Any):
    session = client.create_session().name
    first = next(watch(client, session, 10_000))
    assert first.session_replaced.name == session
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(client, session, -1))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"wait_s": math.nan}, "wait_s"),
        ({"wait_s": -1}, "wait_s"),
        ({"wait_s": 31}, "wait_s"),
        ({"page_size": -1}, "page_size"),
        ({"cursor": -1}, "cursor"),
    ],
)
def test_wrong_polls_are_refused_by_field(client: Any, refused: Any, fields: dict[str, Any], field: str):
    session = client.create_session().name
    with refused() as caught:
        client.play.ListSessionUpdates(play_service_pb2.ListSessionUpdatesRequest(session=session, **fields))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields.keys() == {field}


def test_a_trace_id_goes_from_event_to_update(client: Any):
    session = client.create_session().name
    client.report(session, event_pb2.Event(event_id="e", sequence=1, trace_id="ab" * 16, **ACCEPT))
    told = [update for update in updates(client, session) if update.WhichOneof("kind") == "chain_changed"]
    assert told[0].trace_id == "ab" * 16


def test_a_callers_traceparent_is_taken_up(client: Any, refused: Any):
    trace = "0af7651916cd43dd8448eb211c80319c"
    with refused() as caught:
        client.play.GetSession(
            play_service_pb2.GetSessionRequest(name="sessions/nobody"),
            metadata=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")],
        )
    assert caught.value.metadata["trace_id"] == trace


def test_a_watch_ends_with_its_deadline_and_leaves_nothing_behind(wire: Any, client: Any):
    session = client.create_session().name
    with pytest.raises(grpc.RpcError) as caught:
        list(watch(client, session, timeout=0.3))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async def gone() -> bool:
        # The client knows its deadline a moment before the server does.
        async with asyncio.timeout(20):
            while wire.server._play._watchers:  # noqa: ASYNC110 (the server has no event for it)
                await asyncio.sleep(0.01)
        return True

    assert wire.run(gone())
