from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from narthex.v1 import asset_service_pb2, design_service_pb2, event_pb2, operate_service_pb2
from narthex.v1 import play_service_pb2 as pb2

KEY = "a-key-of-a-game-server-1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, wire: Any) -> Iterator[Any]:
    """A server that has a key."""
    server = type(wire)(tmp_path_factory.mktemp("guarded"), **{"auth.server_keys": (KEY,)})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def game(guarded: Any, client: Any) -> Iterator[Any]:
    """A client with the key."""
    caller = type(client)(guarded.address, KEY)
    caller.put_world()
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def session(game: Any) -> Any:
    return game.create_session()


@pytest.fixture(scope="module")
def player(guarded: Any, game: Any, session: Any) -> Iterator[Any]:
    """A client with a token for `session`."""
    token = game.play.IssuePlayerToken(pb2.IssuePlayerTokenRequest(session=session.name)).token
    caller = type(game)(guarded.address, token)
    yield caller
    caller.close()


def announced(player: Any, session: Any) -> Any:
    updates = player.play.ListSessionUpdates(pb2.ListSessionUpdatesRequest(session=session.name, wait_s=10)).updates
    return next(update for update in updates if update.WhichOneof("kind") == "content_announced").content_announced


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "npt.x.y"])
def test_without_a_key_nothing_is_answered(guarded: Any, client: Any, refused: Any, key: str):
    caller = type(client)(guarded.address, key)
    with refused() as caught:
        caller.play.ListSessions(pb2.ListSessionsRequest())
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    with refused() as caught:
        next(caller.play.WatchSession(pb2.WatchSessionRequest(session="sessions/x")))
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    caller.close()


def test_a_player_watches_and_reads_its_own_session(player: Any, session: Any):
    assert player.play.GetSession(pb2.GetSessionRequest(name=session.name)).name == session.name
    stream = player.play.WatchSession(pb2.WatchSessionRequest(session=session.name))
    assert next(stream).cursor == 1
    stream.cancel()


def test_a_player_says_content_only(game: Any, player: Any, session: Any, refused: Any):
    content = announced(player, session)
    ready = {"gate": content.gate, "segment": content.content.segment, "quality": content.content.quality}
    told = player.report(session.name, event_pb2.Event(event_id="e1", sequence=1, content_ready=ready))
    assert told.applied_sequence == 1
    for number, kind in enumerate(({"gate_opened": {"gate": content.gate}}, {"session_paused": {}})):
        with refused() as caught:
            player.report(
                session.name,
                event_pb2.Event(event_id="e2", sequence=2, content_shown=ready),
                event_pb2.Event(event_id=f"no-{number}", sequence=3, **kind),
            )
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
        assert "events[1]" in caught.value.message
    # Nothing of a refused call was applied.
    assert game.play.GetSession(pb2.GetSessionRequest(name=session.name)).applied_sequence == 1


def test_a_player_reads_what_is_released_to_it_and_nothing_else(
    guarded: Any, game: Any, player: Any, session: Any, refused: Any
):
    content = announced(player, session)
    for chunk in (*content.video.chunks, *content.scene.chunks):
        request = asset_service_pb2.ReadAssetRequest(asset=chunk.asset)
        got = b"".join(message.data for message in player.assets.ReadAsset(request))
        assert len(got) == chunk.size_bytes
    other = f"assets/{guarded.stores.blobs.put(b'not for players')}"
    request = asset_service_pb2.ReadAssetRequest(asset=other)
    with refused() as caught:
        list(player.assets.ReadAsset(request))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_RELEASED")
    assert len(list(game.assets.ReadAsset(request))) == 1


def test_a_player_reaches_no_other_session(game: Any, player: Any, refused: Any):
    other = game.create_session().name
    for call in (
        lambda: player.play.GetSession(pb2.GetSessionRequest(name=other)),
        lambda: next(player.play.WatchSession(pb2.WatchSessionRequest(session=other))),
        lambda: player.play.ListSessionUpdates(pb2.ListSessionUpdatesRequest(session=other)),
        lambda: player.report(other, event_pb2.Event(event_id="e", sequence=1, session_paused={})),
    ):
        with refused() as caught:
            call()
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "call",
    [
        lambda c, s: c.create_session(),
        lambda c, s: c.put_world(),
        lambda c, s: c.play.ListSessions(pb2.ListSessionsRequest()),
        lambda c, s: c.play.CloseSession(pb2.CloseSessionRequest(name=s)),
        lambda c, s: c.play.IssuePlayerToken(pb2.IssuePlayerTokenRequest(session=s)),
        lambda c, s: c.assets.ListSegments(asset_service_pb2.ListSegmentsRequest()),
        lambda c, s: c.assets.PinContent(asset_service_pb2.PinContentRequest()),
        lambda c, s: c.design.ListWorlds(design_service_pb2.ListWorldsRequest()),
        lambda c, s: c.operate.ListJobs(operate_service_pb2.ListJobsRequest()),
        lambda c, s: c.operate.GetUsage(operate_service_pb2.GetUsageRequest()),
    ],
)
def test_everything_else_is_not_for_players(player: Any, session: Any, refused: Any, call: Any):
    with refused() as caught:
        call(player, session.name)
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


def test_tokens_last_as_long_as_asked_and_limits_are_kept(guarded: Any, game: Any, session: Any, refused: Any):
    issued = game.play.IssuePlayerToken(pb2.IssuePlayerTokenRequest(session=session.name, ttl_s=0.05))
    short = type(game)(guarded.address, issued.token)
    with refused() as caught:
        # A watch that is open when its token expires ends then; one that opens later is not let in.
        for _ in short.play.WatchSession(pb2.WatchSessionRequest(session=session.name)):
            pass
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    short.close()
    for ttl_s in (-1.0, 90_000.0, float("nan")):
        with refused() as caught:
            game.play.IssuePlayerToken(pb2.IssuePlayerTokenRequest(session=session.name, ttl_s=ttl_s))
        assert caught.value.fields.keys() == {"ttl_s"}
