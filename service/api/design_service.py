"""DesignService: worlds, and long work as operations."""

from __future__ import annotations

import asyncio
import logging

from google.longrunning import operations_pb2
from narthex.v1 import design_service_pb2 as pb2
from narthex.v1 import world_pb2

from model.revision import ModelInfo
from service.api.call import Call, Door, endpoint
from service.api.convert import content, job, names, world
from service.api.convert.events import to_quality
from service.api.operation_reader import OperationReader
from service.api.pages import cut_page, read_page
from service.clock import Clock
from service.errors import NotFound, TooMuch
from service.ids import SceneId, SegmentId, WorldId
from service.quality import Quality
from service.sessions.director import Director
from service.store.catalogue import Catalogue
from service.store.records import FOURDGS, PLY
from service.work.job import JobKind, JobRequest
from service.work.table import JobTable

logger = logging.getLogger(__name__)

MAX_WORLD_BYTES = 1024 * 1024
MAX_SCENE_S = 3_600.0
# Designers wait for nothing that a player is about to see: play comes first.
DESIGN_RANK = 1_000.0
DESIGN_DEADLINE_S = 86_400.0


class DesignService:
    """Worlds are the Director's; segments, scenes and exports become jobs."""

    def __init__(
        self,
        door: Door,
        director: Director,
        jobs: JobTable,
        catalogue: Catalogue,
        reader: OperationReader,
        model: ModelInfo,
        clock: Clock,
    ) -> None:
        self.door = door
        self._director = director
        self._jobs = jobs
        self._catalogue = catalogue
        self._reader = reader
        self._model = model
        self._clock = clock

    @endpoint()
    async def PutWorld(self, request: pb2.PutWorldRequest, call: Call) -> operations_pb2.Operation:
        """An operation that is done; its response is the World."""
        names.request_id(request.request_id)
        if len(request.source) > MAX_WORLD_BYTES:
            raise TooMuch(
                f"source: got {len(request.source)} bytes, allowed {MAX_WORLD_BYTES}", reason="WORLD_TOO_LARGE"
            )
        stored = await self._director.put_world(WorldId(request.world_id), request.source, request.validate_only)
        logger.info(
            "world %s",
            "checked" if request.validate_only else "put",
            extra={"world": stored.world.world_id, "revision": stored.world.revision},
        )
        # The world is the record of this operation: its name is for this answer, and nothing is kept under it.
        name = names.to_name("operations", f"put-{stored.world.world_id}-{stored.world.revision[:12]}")
        return job.done_operation(name, call.trace_id, world.world_message(stored))

    @endpoint()
    async def GetWorld(self, request: pb2.GetWorldRequest, call: Call) -> world_pb2.World:
        """The world's newest revision."""
        return world.world_message(await self._director.world(names.world_id(request.name, "name")))

    @endpoint()
    async def ListWorlds(self, request: pb2.ListWorldsRequest, call: Call) -> pb2.ListWorldsResponse:
        """A page of worlds."""
        page = read_page(request.page_size, request.page_token, "worlds")
        found = await self._director.worlds(page.size + 1, WorldId(page.after) if page.after else None)
        kept, token = cut_page(found, page, lambda stored: stored.world.world_id, "worlds")
        return pb2.ListWorldsResponse(worlds=map(world.world_message, kept), next_page_token=token)

    @endpoint()
    async def DeleteWorld(self, request: pb2.DeleteWorldRequest, call: Call) -> pb2.DeleteWorldResponse:
        """Nothing; sessions that play the world go on."""
        await self._director.delete_world(names.world_id(request.name, "name"))
        return pb2.DeleteWorldResponse()

    @endpoint()
    async def GenerateSegment(self, request: pb2.GenerateSegmentRequest, call: Call) -> operations_pb2.Operation:
        """The operation that makes the segment; equal specs are one operation, whatever their request ids."""
        names.request_id(request.request_id)
        quality = to_quality(request.quality, "quality")
        if quality is Quality.PLACEHOLDER:
            raise names.bad_field("quality", "got QUALITY_PLACEHOLDER, expected QUALITY_DRAFT or QUALITY_FULL")
        spec = content.to_spec(request.spec, quality, self._model)
        payload = {"spec": spec.to_json(), "quality": int(quality), "trace_id": call.trace_id}
        key = spec.key()
        return await self._submit(JobKind.GENERATE, f"generate/{key}", key, quality, payload, call)

    @endpoint()
    async def ReconstructScene(self, request: pb2.ReconstructSceneRequest, call: Call) -> operations_pb2.Operation:
        """The operation that makes the segment's scene."""
        names.request_id(request.request_id)
        segment = names.segment_id(request.segment, "segment")
        record = await asyncio.to_thread(self._catalogue.segment, segment)
        if record is None:
            raise NotFound(f"no segment {segment}", reason="SEGMENT_NOT_FOUND")
        quality = to_quality(request.quality, "quality") if request.quality else record.quality
        payload = {"segment": segment, "quality": int(quality), "trace_id": call.trace_id}
        return await self._submit(
            JobKind.RECONSTRUCT, f"reconstruct/{segment}/{int(quality)}", segment, quality, payload, call
        )

    @endpoint()
    async def ExportScene(self, request: pb2.ExportSceneRequest, call: Call) -> operations_pb2.Operation:
        """The operation that writes the scene in another format."""
        names.request_id(request.request_id)
        scene = names.scene_id(request.scene, "scene")
        if request.media_type not in (FOURDGS, PLY):
            got = names.shown(request.media_type)
            raise names.bad_field("media_type", f"got {got}, expected {FOURDGS} or {PLY}")
        time_s = names.finite(request.time_s, 0.0, MAX_SCENE_S, "time_s")
        record = await asyncio.to_thread(self._catalogue.scene, SceneId(scene))
        if record is None:
            raise NotFound(f"no scene {scene}", reason="SCENE_NOT_FOUND")
        suffix = "4dgs" if request.media_type == FOURDGS else f"ply/{time_s:.3f}"
        payload = {"scene": scene, "media_type": request.media_type, "time_s": time_s, "trace_id": call.trace_id}
        return await self._submit(
            JobKind.EXPORT, f"export/{scene}/{suffix}", record.segment_id, Quality.FULL, payload, call
        )

    @endpoint()
    async def WatchOperation(self, request: pb2.WatchOperationRequest, call: Call) -> None:
        """Streams the operation whenever it changes, until it is done."""
        latest = await self._reader.job(names.job_id(request.name, "name", "operations"))
        while True:
            await call.context.write(await self._reader.operation(latest))
            if latest.state in job.FINAL_STATES:
                return
            latest = await self._reader.changed(latest)

    async def _submit(
        self,
        kind: JobKind,
        request_id: str,
        target: SegmentId | str,
        quality: Quality,
        payload: dict[str, object],
        call: Call,
    ) -> operations_pb2.Operation:
        wanted = JobRequest(
            request_id=request_id,
            kind=kind,
            payload=payload,
            quality=quality,
            target=target,
            rank=DESIGN_RANK,
            deadline_s=self._clock() + DESIGN_DEADLINE_S,
            trace_id=call.trace_id,
        )
        submitted = (await asyncio.to_thread(self._jobs.submit, [wanted]))[0]
        logger.info("%s asked for", kind.value, extra={"job": submitted.job_id, "target": target})
        return await self._reader.operation(submitted)
