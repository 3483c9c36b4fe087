"""AssetService: what clients download, and what they ask to be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Executor

from narthex.v1 import asset_service_pb2 as pb2
from narthex.v1 import content_pb2

from service.api.asset_stream import asset_messages, to_range
from service.api.auth import Caller, Role
from service.api.call import Access, Call, Door, endpoint
from service.api.convert import content, names
from service.api.pages import cut_page, read_page
from service.clock import Clock
from service.errors import Forbidden, NotFound
from service.ids import AssetId, SceneId, SegmentId
from service.sessions.director import Director
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.records import AssetRecord, SceneRecord, SegmentRecord

MAX_PIN_S = 10 * 366 * 86_400.0


class AssetService:
    """Bytes, segments, scenes and pins. Files are read on `readers`, so that they never hold up other calls."""

    def __init__(
        self, door: Door, director: Director, blobs: BlobStore, catalogue: Catalogue, clock: Clock, readers: Executor
    ) -> None:
        self.door = door
        self._director = director
        self._blobs = blobs
        self._catalogue = catalogue
        self._clock = clock
        self._readers = readers

    @endpoint(Access.PLAYER)
    async def ReadAsset(self, request: pb2.ReadAssetRequest, call: Call) -> None:
        """Streams the asset's bytes."""
        asset = names.asset_id(request.asset, "asset")
        await self._check_released(call.caller, [asset])
        loop = asyncio.get_running_loop()
        size = await loop.run_in_executor(self._readers, self._blobs.size, asset)
        wanted = to_range(request.offset_bytes, request.limit_bytes, size)
        path = await loop.run_in_executor(self._readers, self._blobs.path, asset)
        write = call.context.write
        async for message in asset_messages(path, wanted, self._readers):
            await write(message)

    @endpoint(Access.PLAYER)
    async def GetSegment(self, request: pb2.GetSegmentRequest, call: Call) -> content_pb2.Segment:
        """The segment."""
        record = await self._segment(names.segment_id(request.name, "name"))
        await self._check_released(call.caller, _ids(record.assets))
        return content.segment_message(record)

    @endpoint()
    async def ListSegments(self, request: pb2.ListSegmentsRequest, call: Call) -> pb2.ListSegmentsResponse:
        """A page of segments."""
        page = read_page(request.page_size, request.page_token, "segments")
        after = SegmentId(page.after) if page.after else None
        found = await asyncio.to_thread(self._catalogue.list_segments, page.size + 1, after)
        records, token = cut_page(found, page, lambda record: record.segment_id, "segments")
        return pb2.ListSegmentsResponse(segments=map(content.segment_message, records), next_page_token=token)

    @endpoint(Access.PLAYER)
    async def GetScene4D(self, request: pb2.GetScene4DRequest, call: Call) -> content_pb2.Scene4D:
        """The scene."""
        record = await self._scene(names.scene_id(request.name, "name"))
        await self._check_released(call.caller, _ids(record.assets))
        return content.scene_message(record)

    @endpoint()
    async def PinContent(self, request: pb2.PinContentRequest, call: Call) -> content_pb2.Pin:
        """The pin, or the one that an equal request id made."""
        wanted = content.to_content_ref(request.content, "content")
        now_s = self._clock()
        expire_s = names.epoch_s(request.expire_time, "expire_time")
        if not now_s < expire_s <= now_s + MAX_PIN_S:
            message = f"got {expire_s:.0f}, allowed is the future, {now_s:.0f} .. {now_s + MAX_PIN_S:.0f}"
            raise names.bad_field("expire_time", message)
        request_id = names.request_id(request.request_id)
        pin = await asyncio.to_thread(self._catalogue.pin, wanted, expire_s, request_id)
        kept, kept_until_s = await asyncio.to_thread(self._catalogue.pinned, pin)
        return content.pin_message(pin, kept, kept_until_s)

    @endpoint()
    async def UnpinContent(self, request: pb2.UnpinContentRequest, call: Call) -> pb2.UnpinContentResponse:
        """Nothing."""
        await asyncio.to_thread(self._catalogue.unpin, names.pin_id(request.name, "name"))
        return pb2.UnpinContentResponse()

    async def _segment(self, segment: SegmentId) -> SegmentRecord:
        record = await asyncio.to_thread(self._catalogue.segment, segment)
        if record is None:
            raise NotFound(f"no segment {segment}", reason="SEGMENT_NOT_FOUND")
        return record

    async def _scene(self, scene: SceneId) -> SceneRecord:
        record = await asyncio.to_thread(self._catalogue.scene, scene)
        if record is None:
            raise NotFound(f"no scene {scene}", reason="SCENE_NOT_FOUND")
        return record

    async def _check_released(self, caller: Caller, assets: Iterable[AssetId]) -> None:
        """Players read what was announced to their session; of a manifest, one announced chunk is enough."""
        if caller.role is Role.SERVER or caller.session is None:
            return
        for asset in assets:
            if await self._director.is_released(caller.session, asset):
                return
        raise Forbidden(f"not released to sessions/{caller.session}", reason="NOT_RELEASED")


def _ids(records: Iterable[AssetRecord]) -> list[AssetId]:
    return [record.asset for record in records]
