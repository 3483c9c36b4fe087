"""The real handlers: segments are generated, scenes reconstructed and exported. Imports torch and numba."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from clips.camera_path import CameraPath
from clips.clip import Clip, load_clip
from clips.errors import ClipError
from model.errors import ModelError
from model.generate import Generation, Generator
from model.prompt import parse_prompt
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from model.steering import Steering
from recon.errors import ReconError
from recon.export.fourdgs_file import read_4dgs
from recon.pipeline import Reconstruction
from recon.settings import ReconSettings
from service.errors import InvalidInput, NotFound
from service.ids import AssetId, SceneId, SegmentId
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.records import CLIP, FOURDGS, PLY, AssetRecord, SceneRecord, SegmentRecord
from service.work.claim import JobResult
from service.work.encoding import (
    clip_bytes,
    clip_from_bytes,
    store_clip,
    store_export,
    store_graybox,
)
from service.work.finishing import SceneFinish
from service.work.handlers import HandlerContext, JobRun, StaleCheckpoint
from service.work.job import Job, JobKind
from service.work.warm_up import warm_up_clip

STEPS_A_CHUNK = 2
STATE_VERSION = 2


def make_handlers(context: HandlerContext) -> ContentHandlers:
    """The handlers that the worker uses unless told otherwise.

    Raises:
        UnreadableCheckpoint: the model's weights are missing or damaged.
    """
    torch.set_num_threads(context.threads)
    return ContentHandlers(context, Generator.load(context.weights_dir))


class ContentHandlers:
    """Handlers of every kind of job, around one loaded generator."""

    def __init__(self, context: HandlerContext, generator: Generator) -> None:
        self.context = context
        self.generator = generator
        size = generator.supported
        self._rehearsal = warm_up_clip(size.frames, size.width, size.height)
        self.recon_stages = {q: Reconstruction(self._rehearsal, _recon_settings(q)).stages_total for q in Quality}

    def warm_up(self, say: Callable[[str], None]) -> None:
        """One small piece of every stage, so that no job pays for compiling or for first touches."""
        say("generate")
        clip, layout = self._rehearsal, Control(ControlKind.LAYOUT)
        cameras = CameraPath().cameras(len(clip), clip.cameras.width, clip.cameras.height)
        spec = SegmentSpec("a room", 0, cameras, clip.fps, 1, 2.0, self.generator.revision, layout)
        generation = self.generator.begin(spec)
        generation.advance(1)
        generation.finish()
        say("reconstruct")
        scene = Reconstruction(clip, ReconSettings.draft()).finish()
        say("encode")
        with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
            blobs = BlobStore(Path(folder))
            store_clip(clip, blobs)
            finish = SceneFinish(Quality.FULL, "")
            while not finish.done:
                finish.advance(scene, clip)
            finish.store(scene, blobs)

    def start(self, job: Job, checkpoint: bytes | None) -> JobRun:
        """A run of the job; see `Handlers.start`."""
        if job.request.kind is JobKind.EXPORT:
            return ExportRun(self.context, job)
        try:
            run = ContentRun(self, job)
            if checkpoint is not None:
                run.restore(checkpoint)
            return run
        except (ModelError, ClipError, ReconError, ValueError, KeyError) as error:
            if checkpoint is not None:
                raise StaleCheckpoint(f"{type(error).__name__}: {error}") from error
            raise


class ContentRun:
    """CONTENT, GENERATE (no scene) or RECONSTRUCT (no new segment), chunk by chunk."""

    def __init__(self, handlers: ContentHandlers, job: Job) -> None:
        self._context = handlers.context
        self._generator = handlers.generator
        self._job = job
        self._clip: Clip | None = None
        self._generation: Generation | None = None
        self._spec: SegmentSpec | None = None
        self._steering = Steering()
        self._steps_total = 0
        self._reconstruction: Reconstruction | None = None
        self._encoded = False
        self._clip_assets: tuple[AssetRecord, ...] = ()
        self._scene: SceneRecord | None = None
        self._settings = _recon_settings(job.request.quality)
        self._recon_stages = handlers.recon_stages[job.request.quality]
        if job.request.kind is JobKind.RECONSTRUCT:
            self._take(_stored_clip(self._context, SegmentId(job.request.payload["segment"])))
        else:
            self._spec = SegmentSpec.from_json(job.request.payload["spec"])
            self._generation = self._generator.begin(self._spec)
            self._steering, self._steps_total = self._generation.steering, self._generation.steps_total
        self._finish = SceneFinish(job.request.quality, self._segment_id)

    @property
    def stage(self) -> str:
        """The next chunk's stage."""
        if self._clip is None:
            return "decode" if self._generation is not None and self._generation.done else "denoise"
        if self._reconstruction is not None and not self._reconstruction.done:
            return self._reconstruction.stage_name
        if self._reconstruction is not None and not self._finish.done:
            return self._finish.stage_name
        return "done" if self._encoded else "encode"

    @property
    def chunks_done(self) -> int:
        """Chunks that have run."""
        if self._clip is None:
            return -(-self._generation.steps_done // STEPS_A_CHUNK) if self._generation else 0
        stages = self._reconstruction.stages_done if self._reconstruction else 0
        return self._generating_chunks + stages + self._finish.stages_done + int(self._encoded)

    @property
    def chunks_total(self) -> int:
        """Chunks in all."""
        return self._generating_chunks + (self._scene_chunks if self._wants_scene else 0) + 1

    @property
    def done(self) -> bool:
        """True once everything is encoded and stored."""
        return self._encoded

    def advance(self) -> None:
        """Run the next chunk."""
        if self._clip is None:
            self._generate()
        elif self._reconstruction is not None and not self._reconstruction.done:
            self._reconstruction.advance()
        elif self._reconstruction is not None and not self._finish.done:
            self._finish.advance(self._reconstruction.finish(), self._made_clip())
        else:
            self._encode()

    def state_bytes(self) -> bytes:
        """A line of JSON, then the parts that it lists: the generation's state, or clip, splats and files of them."""
        if self._clip is None:
            parts = [self._generation.state_bytes() if self._generation else b""]
        else:
            splats = self._reconstruction.state_bytes() if self._reconstruction else b""
            parts = [clip_bytes(self._clip), splats, self._finish.state_bytes()]
        header = {"version": STATE_VERSION, "clip": self._clip is not None, "sizes": [len(part) for part in parts]}
        return b"".join([json.dumps(header).encode(), b"\n", *parts])

    def restore(self, state: bytes) -> None:
        """Go on where `state_bytes` was taken. Raises ValueError, ModelError, ClipError or ReconError."""
        line, _, rest = state.partition(b"\n")
        header = json.loads(line)
        if header["version"] != STATE_VERSION or sum(header["sizes"]) != len(rest):
            raise ValueError(f"state of version {header['version']} with {len(rest)} bytes, expected {header['sizes']}")
        ends = [sum(header["sizes"][: k + 1]) for k in range(len(header["sizes"]))]
        parts = [rest[end - size : end] for end, size in zip(ends, header["sizes"], strict=True)]
        if not header["clip"]:
            if self._spec is not None:
                self._generation = self._generator.resume(self._spec, parts[0])
            return
        clip, splats, made = parts
        self._take(clip_from_bytes(clip))
        if self._reconstruction is not None and self._clip is not None:
            self._reconstruction = Reconstruction.resume(self._clip, self._settings, splats)
            self._finish.restore(made)

    def result(self) -> JobResult:
        """The segment and the scene that were made."""
        clip = self._made_clip()
        if self._spec is None:
            return JobResult(None, self._scene, 0.0, 0.0)
        segment = SegmentRecord(
            segment_id=self._segment_id,
            spec=self._spec.to_json(),
            quality=self._job.request.quality,
            assets=self._clip_assets,
            scene_id=self._scene.scene_id if self._scene else None,
            duration_s=clip.duration_s,
            create_s=self._context.clock(),
            unknown_terms=tuple(parse_prompt(self._spec.prompt).told_terms()),
            blockout=str(self._steering.kind),
            note=self._steering.note,
        )
        return JobResult(segment, self._scene, 0.0, clip.duration_s)

    @property
    def _wants_scene(self) -> bool:
        return self._job.request.kind is not JobKind.GENERATE

    @property
    def _generating_chunks(self) -> int:
        return -(-self._steps_total // STEPS_A_CHUNK) + 1 if self._spec else 0

    @property
    def _scene_chunks(self) -> int:
        return self._recon_stages + self._finish.stages_total

    @property
    def _segment_id(self) -> SegmentId:
        return SegmentId(self._spec.key() if self._spec else self._job.request.payload["segment"])

    def _generate(self) -> None:
        if self._generation is None:
            raise InvalidInput(f"job {self._job.job_id} has neither a clip nor a spec")
        if self._generation.done:
            self._take(self._generation.finish())
        else:
            self._generation.advance(STEPS_A_CHUNK)

    def _take(self, clip: Clip) -> None:
        # One memory layout, whether decoded or read from a file: Numba compiles for each anew.
        clip = replace(clip, frames=np.ascontiguousarray(clip.frames), depth=np.ascontiguousarray(clip.depth))
        self._clip = clip
        self._generation = None
        if self._wants_scene:
            self._reconstruction = Reconstruction(clip, self._settings)

    def _made_clip(self) -> Clip:
        if self._clip is None:
            raise InvalidInput(f"job {self._job.job_id} is at {self.stage}; run its chunks first")
        return self._clip

    def _encode(self) -> None:
        clip = self._made_clip()
        if self._spec is not None:
            self._clip_assets = store_clip(clip, self._context.blobs)
            if self._steering.graybox is not None:
                blockout = store_graybox(self._steering.graybox, clip.duration_s, self._context.blobs)
                self._clip_assets = (*self._clip_assets, blockout)
        if self._reconstruction is not None:
            scene = self._reconstruction.finish()
            assets = self._finish.store(scene, self._context.blobs)
            now_s = self._context.clock()
            scene_id = SceneId(next(a.asset for a in assets if a.media_type == FOURDGS and a.level == 0))
            self._scene = SceneRecord(scene_id, self._segment_id, assets, len(scene), scene.duration_s, now_s)
        self._encoded = True


class ExportRun:
    """EXPORT: one chunk that writes a stored scene in another format, or at another instant."""

    def __init__(self, context: HandlerContext, job: Job) -> None:
        self._context = context
        self._payload = job.request.payload
        self._export: AssetRecord | None = None
        if self._payload["media_type"] not in (FOURDGS, PLY):
            raise InvalidInput(f"media_type: got {self._payload['media_type']!r}, allowed {FOURDGS} or {PLY}")
        record = context.catalogue.scene(SceneId(self._payload["scene"]))
        if record is None:
            raise NotFound(f"no scene {self._payload['scene']}", reason="SCENE_NOT_FOUND")
        self._path = context.blobs.path(AssetId(record.scene_id))
        self.chunks_total = 1

    @property
    def stage(self) -> str:
        """What the next chunk does."""
        return "done" if self.done else "export"

    @property
    def chunks_done(self) -> int:
        """1 once exported."""
        return int(self.done)

    @property
    def done(self) -> bool:
        """True once exported."""
        return self._export is not None

    def advance(self) -> None:
        """Write the file."""
        scene = read_4dgs(self._path)
        media_type, time_s = self._payload["media_type"], float(self._payload.get("time_s", 0.0))
        self._export = store_export(scene, media_type, time_s, self._context.blobs)

    def state_bytes(self) -> bytes:
        """Nothing: there is no border within the job."""
        return b""

    def result(self) -> JobResult:
        """The exported asset."""
        return JobResult(None, None, 0.0, 0.0, exports=(self._export,) if self._export else ())


def _recon_settings(quality: Quality) -> ReconSettings:
    return ReconSettings.full() if quality is Quality.FULL else ReconSettings.draft()


def _stored_clip(context: HandlerContext, segment_id: SegmentId) -> Clip:
    segment = context.catalogue.segment(segment_id)
    files = [asset.asset for asset in segment.assets if asset.media_type == CLIP] if segment else []
    if not files:
        raise NotFound(f"no segment {segment_id} with a clip", reason="SEGMENT_NOT_FOUND")
    return load_clip(context.blobs.path(files[0]))
