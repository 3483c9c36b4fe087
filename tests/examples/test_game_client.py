from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from narthex.v1 import asset_service_pb2, content_pb2, event_pb2, play_service_pb2, quality_pb2, session_pb2

from examples.game_client.downloads import Downloads, DownloadThread
from examples.game_client.reporter import Reporter
from examples.game_client.screen import Screen

PLACEHOLDER, DRAFT, FULL = 1, 2, 3


class Refusal(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class Seen:
    def __init__(self) -> None:
        self.said: list[Message] = []
        self.notes: list[tuple[str, str, int, float]] = []

    def note(self, what: str, gate: str, content: content_pb2.ContentRef, stall_ms: float) -> None:
        self.notes.append((what, gate, content.quality, round(stall_ms, 3)))

    def shown(self) -> list[tuple[int, float]]:
        shown = (event for event in self.said if isinstance(event, event_pb2.ContentShown))
        return [(event.quality, round(event.stall_ms, 3)) for event in shown]


def content(quality: int) -> content_pb2.ContentRef:
    return content_pb2.ContentRef(
        gate="g", segment=f"segments/{quality}", quality=quality_pb2.Quality.ValueType(quality)
    )


def announced(quality: int) -> session_pb2.ContentAnnounced:
    return session_pb2.ContentAnnounced(gate="g", content=content(quality))


def handover(quality: int, start_s: float = 0.0) -> session_pb2.Handover:
    return session_pb2.Handover(gate="g", to=content(quality), start_s=start_s, duration_s=0.6)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def screen(seen: Seen) -> Screen:
    return Screen(seen.said.append, seen.note)


def test_the_best_that_is_ready_is_shown_when_the_gate_opens(screen: Screen, seen: Seen) -> None:
    for quality in (PLACEHOLDER, FULL, DRAFT):
        screen.on_ready(announced(quality), 1.0)
    assert seen.shown() == [] and screen.best_ready("g") == FULL
    screen.on_open("g", 2.0)
    assert [type(event).__name__ for event in seen.said[-2:]] == ["GateOpened", "ContentShown"]
    assert seen.shown() == [(FULL, 0.0)] and screen.shown_quality("g") == FULL


def test_a_gate_that_opens_on_nothing_stalls_until_something_is_ready(screen: Screen, seen: Seen) -> None:
    screen.on_open("g", 2.0)
    assert seen.shown() == []
    screen.on_ready(announced(DRAFT), 2.35)
    assert seen.shown() == [(DRAFT, 350.0)]


def test_better_content_waits_for_the_handover_and_for_the_end_of_the_fade(screen: Screen, seen: Seen) -> None:
    screen.on_ready(announced(PLACEHOLDER), 0.0)
    screen.on_open("g", 1.0)
    screen.on_ready(announced(DRAFT), 2.0)
    screen.tick(2.5)
    assert seen.shown() == [(PLACEHOLDER, 0.0)]
    screen.on_handover(handover(DRAFT, start_s=0.2), 3.0)
    for now_s in (3.1, 3.3, 3.7):
        screen.tick(now_s)
    assert seen.shown() == [(PLACEHOLDER, 0.0)] and seen.notes[-1][0] == "fade"
    screen.tick(3.81)
    assert seen.shown() == [(PLACEHOLDER, 0.0), (DRAFT, 0.0)]


def test_fades_follow_each_other_and_never_lead_down(screen: Screen, seen: Seen) -> None:
    screen.on_ready(announced(PLACEHOLDER), 0.0)
    screen.on_open("g", 0.0)
    screen.on_handover(handover(DRAFT), 1.0)
    screen.on_handover(handover(FULL), 1.1)
    screen.on_handover(handover(DRAFT), 1.2)
    for step in range(60):
        screen.tick(1.0 + step * 0.05)
    assert [quality for quality, _ in seen.shown()] == [PLACEHOLDER, DRAFT, FULL]


def test_a_gate_that_a_save_closed_shows_nothing_until_it_opens_again(screen: Screen, seen: Seen) -> None:
    screen.on_ready(announced(PLACEHOLDER), 0.0)
    screen.on_open("g", 1.0)
    screen.on_ready(announced(DRAFT), 2.0)
    screen.on_close("g")
    screen.on_handover(handover(DRAFT), 2.5)
    screen.tick(4.0)
    assert screen.shown_quality("g") == 0 and seen.shown() == [(PLACEHOLDER, 0.0)]
    screen.on_open("g", 5.0)
    screen.tick(6.0)
    assert seen.shown() == [(PLACEHOLDER, 0.0), (DRAFT, 0.0)]


def test_content_that_cannot_be_had_is_reported(screen: Screen, seen: Seen) -> None:
    screen.on_failed(announced(FULL), "download: NOT_FOUND")
    assert isinstance(seen.said[0], event_pb2.ContentFailed) and seen.said[0].reason == "download: NOT_FOUND"
    assert screen.best_ready("g") == 0


class AssetStub:
    """Serves one asset in pieces of four bytes and cuts the connection where it is told to."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        self.data, self.cuts, self.offsets = data, cuts, []

    def ReadAsset(
        self, request: asset_service_pb2.ReadAssetRequest, timeout: float
    ) -> Iterator[asset_service_pb2.ReadAssetResponse]:
        self.offsets.append(request.offset_bytes)
        cut = self.cuts.pop(0) if self.cuts else len(self.data) + 1
        for start in range(request.offset_bytes, len(self.data), 4):
            if start >= cut:
                raise Refusal(grpc.StatusCode.UNAVAILABLE, "cut")
            yield asset_service_pb2.ReadAssetResponse(data=self.data[start : start + 4], offset_bytes=start)


def downloads(stub: AssetStub) -> Downloads:
    made = Downloads.__new__(Downloads)
    made._stub, made._held = stub, {}  # type: ignore[assignment]
    return made


def manifest(data: bytes) -> content_pb2.Manifest:
    name = f"assets/{hashlib.sha256(data).hexdigest()}"
    return content_pb2.Manifest(chunks=[content_pb2.AssetChunk(asset=name, size_bytes=len(data))])


def test_a_cut_download_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.game_client.downloads.time.sleep", lambda _: None)
    data = bytes(range(40))
    stub = AssetStub(data, cuts=[8, 20])
    fetcher = downloads(stub)
    assert fetcher.fetch(manifest(data)) == 40 and stub.offsets == [0, 8, 20]
    assert fetcher.bytes_of(manifest(data).chunks[0].asset) == data
    assert fetcher.fetch(manifest(data)) == 0, "an asset is fetched once"


def test_bytes_with_another_hash_are_refused() -> None:
    fetcher = downloads(AssetStub(b"something else", cuts=[]))
    with pytest.raises(ValueError, match="arrived with the hash"):
        fetcher.fetch(manifest(b"what was announced"))


def test_a_connection_that_stays_cut_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.game_client.downloads.time.sleep", lambda _: None)
    with pytest.raises(grpc.RpcError):
        downloads(AssetStub(b"12345678", cuts=[0] * 10)).fetch(manifest(b"12345678"))


def test_the_download_thread_says_what_is_ready_and_what_failed() -> None:
    good, bad = session_pb2.ContentAnnounced(gate="a"), session_pb2.ContentAnnounced(gate="b")
    good.scene.CopyFrom(manifest(b"1234"))
    bad.scene.CopyFrom(manifest(b"other"))
    thread = DownloadThread(downloads(AssetStub(b"1234", cuts=[])))
    thread.ask(good)
    thread.ask(bad)
    assert thread.ready.get(timeout=5).gate == "a"
    failed, reason = thread.failed.get(timeout=5)
    thread.close()
    assert failed.gate == "b" and "hash" in reason


class PlayStub:
    """Takes events; `answers` are raised in turn, None applies the batch."""

    def __init__(self, answers: list[grpc.RpcError | None]) -> None:
        self.answers, self.applied, self.calls = answers, [], 0

    def ReportEvents(self, request: play_service_pb2.ReportEventsRequest, timeout: float) -> Any:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.applied += [(event.sequence, event.event_id) for event in request.events]

    def GetSession(self, request: play_service_pb2.GetSessionRequest, timeout: float) -> session_pb2.Session:
        return session_pb2.Session(applied_sequence=1)


def run_reporter(stub: PlayStub, count: int) -> tuple[Reporter, list[event_pb2.Event]]:
    numbered: list[event_pb2.Event] = []
    reporter = Reporter(stub, "sessions/s", numbered.append)  # type: ignore[arg-type]
    for index in range(count):
        reporter.report(event_pb2.GateOpened(gate=f"g{index}"))
    reporter.close()
    return reporter, numbered


def test_events_are_numbered_without_gaps_and_all_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = PlayStub([])
    _, numbered = run_reporter(stub, 300)
    assert [event.sequence for event in numbered] == list(range(1, 301))
    assert stub.applied == [(event.sequence, event.event_id) for event in numbered]
    assert numbered[0].gate_opened.gate == "g0" and numbered[0].HasField("event_time")


def test_what_failed_for_a_passing_reason_is_sent_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.game_client.reporter.time.sleep", lambda _: None)
    stub = PlayStub([Refusal(grpc.StatusCode.UNAVAILABLE), Refusal(grpc.StatusCode.DEADLINE_EXCEEDED)])
    reporter, numbered = run_reporter(stub, 1)
    assert stub.calls == 3 and stub.applied == [(1, numbered[0].event_id)] and reporter.refused == []


def test_a_refused_event_is_remembered_and_left_behind() -> None:
    stub = PlayStub([Refusal(grpc.StatusCode.INVALID_ARGUMENT, "gate_opened.gate: got g0")])
    reporter, _ = run_reporter(stub, 1)
    assert reporter.refused == ["gate_opened.gate: got g0"] and stub.applied == []


def test_a_session_that_is_gone_ends_the_reporting() -> None:
    reporter, _ = run_reporter(PlayStub([Refusal(grpc.StatusCode.NOT_FOUND, "no session")]), 1)
    assert reporter.failed == "NOT_FOUND: no session"
