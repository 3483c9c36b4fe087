from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from service.errors import NotFound
from service.ids import AssetId, GateId, PinId, SceneId, SegmentId, WorldId
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue, segment_notes
from service.store.database import create_tables, open_database, write
from service.store.eviction import delete_unregistered, evict
from service.store.records import CLIP, FOURDGS, MP4, AssetRecord, ContentRef, SceneRecord, SegmentRecord


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    return engine


@pytest.fixture
def catalogue(engine: Engine, clock: FakeClock) -> Catalogue:
    return Catalogue(engine, clock)


def asset_record(name: str, size_bytes: int = 100, media_type: str = CLIP, level: int = 0) -> AssetRecord:
    return AssetRecord(AssetId(name.ljust(64, "0")), size_bytes, media_type, 0.0, 2.0, level, 7)


def content(name: str, clock: FakeClock, size_bytes: int = 100) -> tuple[SegmentRecord, SceneRecord]:
    segment_id, scene_id = SegmentId(f"seg-{name}"), SceneId(f"scene-{name}")
    files = (asset_record(f"a{name}", size_bytes), asset_record(f"b{name}", size_bytes, MP4))
    splats = (asset_record(f"c{name}", size_bytes, FOURDGS, 1), asset_record(f"d{name}", size_bytes, FOURDGS))
    spec = {"prompt": name, "viewmats": [1.0, 0.5]}
    segment = SegmentRecord(segment_id, spec, Quality.DRAFT, files, scene_id, 2.0, clock(), ("wug",), 3.5)
    return segment, SceneRecord(scene_id, segment_id, splats, 1234, 2.0, clock())


def register(engine: Engine, catalogue: Catalogue, pair: tuple[SegmentRecord, SceneRecord | None]) -> None:
    with write(engine) as connection:
        catalogue.register_segment(connection, *pair)


def test_what_is_registered_is_read_back_whole(engine: Engine, catalogue: Catalogue, clock: FakeClock) -> None:
    segment, scene = content("one", clock)
    register(engine, catalogue, (segment, scene))
    register(engine, catalogue, (segment, scene))
    assert catalogue.segment(segment.segment_id) == segment
    assert catalogue.scene(scene.scene_id) == scene
    assert catalogue.asset(scene.assets[0].asset) == scene.assets[0]
    assert catalogue.segments_of(scene.assets[0].asset) == [segment.segment_id]
    assert catalogue.total_bytes() == 400


def test_a_note_is_kept_as_long_as_its_segment(engine: Engine, catalogue: Catalogue, clock: FakeClock) -> None:
    (noted, scene), plain = content("noted", clock), content("plain", clock)
    noted = replace(noted, note="no layout fits these cameras")
    register(engine, catalogue, (noted, scene))
    register(engine, catalogue, plain)
    register(engine, catalogue, (replace(noted, note="another"), scene))
    assert [record.note for record in catalogue.list_segments(9)] == ["no layout fits these cameras", ""]
    assert catalogue.ready_segments([noted.segment_id])[noted.segment_id].note == noted.note
    evict(engine, clock, 0)
    register(engine, catalogue, (replace(noted, note=""), scene))
    found = catalogue.segment(noted.segment_id)
    assert found is not None
    assert found.note == ""


def test_a_database_of_before_there_were_notes_goes_on(engine: Engine, catalogue: Catalogue, clock: FakeClock) -> None:
    register(engine, catalogue, content("old", clock))
    with write(engine) as connection:
        segment_notes.drop(connection)
    create_tables(engine)
    assert [record.note for record in catalogue.list_segments(9)] == [""]


def test_what_is_unknown_is_none_or_missing(catalogue: Catalogue) -> None:
    assert catalogue.segment(SegmentId("nothing")) is None
    assert catalogue.scene(SceneId("nothing")) is None
    assert catalogue.asset(AssetId("nothing")) is None
    assert catalogue.ready_segments([SegmentId("nothing")]) == {}
    assert catalogue.ready_segments([]) == {}
    assert catalogue.list_segments(10) == []


def test_a_registration_that_is_rolled_back_leaves_nothing(
    engine: Engine, catalogue: Catalogue, clock: FakeClock
) -> None:
    segment, scene = content("one", clock)

    def interrupted() -> None:
        with write(engine) as connection:
            catalogue.register_segment(connection, segment, scene)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert catalogue.segment(segment.segment_id) is None
    assert catalogue.total_bytes() == 0


def test_a_segment_is_ready_once_it_has_a_scene(engine: Engine, catalogue: Catalogue, clock: FakeClock) -> None:
    segment, scene = content("one", clock)
    bare = SegmentRecord(**{**vars(segment), "scene_id": None})
    register(engine, catalogue, (bare, None))
    assert catalogue.segment(segment.segment_id) == bare
    assert catalogue.ready_segments([segment.segment_id]) == {}
    with write(engine) as connection:
        catalogue.register_scene(connection, scene)
    assert catalogue.ready_segments([segment.segment_id, SegmentId("x")]) == {segment.segment_id: segment}


def test_pages_of_segments_cover_all_of_them_once(engine: Engine, catalogue: Catalogue, clock: FakeClock) -> None:
    for number in range(7):
        register(engine, catalogue, content(str(number), clock))
    seen: list[str] = []
    after = None
    while page := catalogue.list_segments(3, after):
        seen += [record.segment_id for record in page]
        after = page[-1].segment_id
    assert seen == [f"seg-{number}" for number in range(7)]


def pin_of(segment: SegmentRecord) -> ContentRef:
    return ContentRef(WorldId("w"), GateId("g"), segment.segment_id, segment.scene_id, segment.quality)


def test_pins_are_idempotent_by_request_and_can_be_taken_back(
    engine: Engine, catalogue: Catalogue, clock: FakeClock
) -> None:
    segment, scene = content("one", clock)
    with pytest.raises(NotFound, match="seg-one"):
        catalogue.pin(pin_of(segment), 2_000.0)
    register(engine, catalogue, (segment, scene))
    with pytest.raises(NotFound, match="has no scene scene-two"):
        catalogue.pin(replace(pin_of(segment), scene=SceneId("scene-two")), 2_000.0)
    first = catalogue.pin(pin_of(segment), 2_000.0, "request-1")
    assert catalogue.pin(pin_of(segment), 2_000.0, "request-1") == first
    assert catalogue.pin(pin_of(segment), 2_000.0) != catalogue.pin(pin_of(segment), 2_000.0)
    assert catalogue.pinned(first) == (pin_of(segment), 2_000.0)
    catalogue.unpin(first)
    for call in (catalogue.unpin, catalogue.pinned):
        with pytest.raises(NotFound):
            call(PinId(first))


def test_eviction_takes_the_least_recently_used_and_spares_pinned_and_kept(
    engine: Engine, catalogue: Catalogue, clock: FakeClock
) -> None:
    for name in "abcde":
        clock.now_s += 1
        register(engine, catalogue, content(name, clock))
    catalogue.pin(pin_of(content("a", clock)[0]), clock() + 100)
    clock.now_s += 1
    catalogue.used([SegmentId("seg-c")])
    gone = evict(engine, clock, 1_200, keep=[SegmentId("seg-b")])
    assert {asset[:2] for asset in gone} == {f"{kind}{name}" for kind in "abcd" for name in "de"}
    assert [record.segment_id for record in catalogue.list_segments(9)] == ["seg-a", "seg-b", "seg-c"]
    assert catalogue.scene(SceneId("scene-d")) is None
    assert catalogue.total_bytes() == 1_200
    clock.now_s += 1_000  # the pin expires
    assert {asset[:2] for asset in evict(engine, clock, 1_199)} == {"aa", "ba", "ca", "da"}
    assert evict(engine, clock, 1_199) == []


def test_an_asset_that_two_segments_share_stays_as_long_as_one_of_them(
    engine: Engine, catalogue: Catalogue, clock: FakeClock
) -> None:
    shared = asset_record("shared", 1_000)
    for name in "ab":
        segment, scene = content(name, clock)
        register(engine, catalogue, (SegmentRecord(**{**vars(segment), "assets": (shared,)}), scene))
        clock.now_s += 1
    assert catalogue.total_bytes() == 1_400
    assert shared.asset not in evict(engine, clock, 1_300)
    assert catalogue.segment(SegmentId("seg-b")) is not None
    assert shared.asset in evict(engine, clock, 0)


def test_only_files_that_nobody_registered_are_deleted(
    engine: Engine, catalogue: Catalogue, clock: FakeClock, tmp_path: Path
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    registered, orphan = blobs.put(b"registered"), blobs.put(b"orphan")
    with write(engine) as connection:
        record = AssetRecord(registered, 10, MP4, 0.0, 1.0)
        catalogue.register_assets(connection, "builtin/mist", [record])
    assert delete_unregistered(engine, blobs) == []  # a worker may be about to register it
    assert delete_unregistered(engine, blobs, unused_s=0.0) == [orphan]
    assert registered in blobs
    assert evict(engine, clock, 0) == []  # what belongs to no segment is kept for good
