"""Segments, scenes, manifests, specs and pins on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from narthex.v1 import content_pb2, quality_pb2

from clips.cameras import Cameras
from clips.dungeon.blockout import Graybox, check_cameras
from clips.errors import InvalidCameras, InvalidRoom
from model.errors import InvalidSpec
from model.reach import check_reach
from model.revision import DEFAULT_CONTROL, ModelInfo
from model.spec import MAX_STEPS, SegmentSpec, check_prompt
from model.spec_control import Control, ControlKind
from model.supported import SupportedSize
from service.api.convert import names
from service.api.convert.events import to_quality
from service.api.convert.names import bad_field, timestamp, to_name
from service.errors import FieldProblem, InvalidInput, Unsupported
from service.ids import GateId, PinId
from service.quality import Quality
from service.store.records import AssetRecord, ContentRef, SceneRecord, SegmentRecord
from service.worlds.limits import MAX_FRAMES, MAX_SIZE_PX


def quality_number(quality: Quality | None) -> Any:
    """The wire's number of a quality; 0 for None."""
    return quality_pb2.QUALITY_UNSPECIFIED if quality is None else int(quality)


def asset_chunk(record: AssetRecord) -> content_pb2.AssetChunk:
    """The wire's form of one chunk."""
    return content_pb2.AssetChunk(
        asset=to_name("assets", record.asset),
        size_bytes=record.size_bytes,
        media_type=record.media_type,
        start_s=record.start_s,
        end_s=record.end_s,
        level=record.level,
        splats=record.splats,
    )


def manifest(records: Iterable[AssetRecord]) -> content_pb2.Manifest:
    """The wire's form of a complete list of chunks."""
    return content_pb2.Manifest(chunks=map(asset_chunk, records), complete=True)


def segment_message(record: SegmentRecord) -> content_pb2.Segment:
    """The wire's form of a segment."""
    return content_pb2.Segment(
        name=to_name("segments", record.segment_id),
        spec=spec_message(record.spec),
        quality=quality_number(record.quality),
        manifest=manifest(record.assets),
        scene=to_name("scenes", record.scene_id),
        duration_s=record.duration_s,
        create_time=timestamp(record.create_s),
        unknown_terms=record.unknown_terms,
        control=record.blockout,
        note=record.note,
    )


def scene_message(record: SceneRecord) -> content_pb2.Scene4D:
    """The wire's form of a scene."""
    return content_pb2.Scene4D(
        name=to_name("scenes", record.scene_id),
        segment=to_name("segments", record.segment_id),
        manifest=manifest(record.assets),
        splats=record.splats,
        duration_s=record.duration_s,
        create_time=timestamp(record.create_s),
    )


def content_ref(content: ContentRef) -> content_pb2.ContentRef:
    """The wire's form of a content reference."""
    return content_pb2.ContentRef(
        world=to_name("worlds", content.world),
        gate=content.gate,
        segment=to_name("segments", content.segment),
        scene=to_name("scenes", content.scene),
        quality=quality_number(content.quality),
    )


def to_content_ref(message: content_pb2.ContentRef, path: str) -> ContentRef:
    """The reference that a save game kept. Raises InvalidInput."""
    if not message.gate:
        raise bad_field(f"{path}.gate", "got none, expected the gate's id")
    return ContentRef(
        world=names.world_id(message.world, f"{path}.world"),
        gate=GateId(message.gate),
        segment=names.segment_id(message.segment, f"{path}.segment"),
        scene=names.scene_id(message.scene, f"{path}.scene") if message.scene else None,
        quality=to_quality(message.quality, f"{path}.quality"),
    )


def pin_message(pin_id: PinId, content: ContentRef, expire_s: float) -> content_pb2.Pin:
    """The wire's form of a pin."""
    return content_pb2.Pin(name=to_name("pins", pin_id), content=content_ref(content), expire_time=timestamp(expire_s))


def spec_message(spec: dict[str, Any]) -> content_pb2.SegmentSpec:
    """The wire's form of a spec as the catalogue keeps it (`SegmentSpec.to_json()`; {} gives an empty one)."""
    if not spec:
        return content_pb2.SegmentSpec()
    Ks = np.asarray(spec["Ks"], dtype=np.float64).reshape(-1, 9)
    cameras = content_pb2.CameraTrack(
        width_px=spec["width_px"],
        height_px=spec["height_px"],
        fps=spec["fps"],
        viewmats=spec["viewmats"],
        intrinsics_px=Ks[:, [0, 4, 2, 5]].reshape(-1).tolist(),
    )
    control = spec.get("control", {"kind": "none"})
    return content_pb2.SegmentSpec(
        prompt=spec["prompt"],
        seed=spec["seed"],
        cameras=cameras,
        steps=spec["steps"],
        guidance=spec["guidance"],
        model_revision=spec["model_revision"],
        control_kind=control["kind"],
        graybox_json=json.dumps(control["graybox"]) if "graybox" in control else "",
    )


def to_spec(message: content_pb2.SegmentSpec, quality: Quality, model: ModelInfo) -> SegmentSpec:
    """The spec that a designer asks for; steps, guidance and revision that are not set are the model's own.

    Raises:
        InvalidInput: a field is out of range, or asks for a size or length that the model does not make; paths begin
            with `spec`.
        Unsupported: a control clip, or other weights than the server has.
    """
    try:
        check_prompt(message.prompt)
    except InvalidSpec as error:
        raise bad_field("spec.prompt", str(error)) from error
    if message.seed < 0:
        raise bad_field("spec.seed", f"got {message.seed}, allowed 0 .. 9223372036854775807")
    if not 0 <= message.steps <= MAX_STEPS:
        raise bad_field("spec.steps", f"got {message.steps}, allowed 0 (the quality's) .. {MAX_STEPS}")
    if message.control.chunks:
        raise Unsupported("control clips cannot be sent; leave spec.control empty, or give spec.graybox_json")
    if message.model_revision not in ("", model.revision):
        got_revision = names.shown(message.model_revision)
        raise Unsupported(f"spec.model_revision: got {got_revision}, this server has {model.revision} only")
    cameras = _to_cameras(message.cameras)
    if model.made is not None:
        _check_made(cameras, model.made)
    fps = names.finite(message.cameras.fps, 0.1, 240.0, "spec.cameras.fps")
    steps = message.steps or (model.draft_steps if quality is Quality.DRAFT else model.full_steps)
    control = _to_control(message, cameras, fps)
    try:
        check_reach(cameras, control.kind)
    except InvalidSpec as error:
        raise bad_field("spec.cameras", str(error)) from error
    try:
        return SegmentSpec(
            prompt=message.prompt,
            seed=message.seed,
            cameras=cameras,
            fps=fps,
            steps=steps,
            guidance=names.finite(message.guidance, 0.0, 20.0, "spec.guidance") or model.guidance,
            model_revision=model.revision,
            control=control,
        )
    except InvalidSpec as error:
        raise bad_field("spec", str(error)) from error


def _check_made(cameras: Cameras, made: SupportedSize) -> None:
    """Raises InvalidInput that names every field of a size or length that the model does not make."""
    frames = len(cameras)
    asked = (
        ("viewmats", f"{frames} frames ({16 * frames} numbers)", frames in made.frame_counts),
        ("width_px", str(cameras.width), cameras.width == made.width),
        ("height_px", str(cameras.height), cameras.height == made.height),
    )
    makes = f"this server's model makes {made.lengths} frames of {made.width}x{made.height} pixels"
    wrong = tuple(
        FieldProblem(f"spec.cameras.{name}", f"got {got}, {makes}") for name, got, right in asked if not right
    )
    if wrong:
        message = "; ".join(f"{problem.field}: {problem.message}" for problem in wrong)
        raise InvalidInput(message, reason="SIZE_NOT_MADE", fields=wrong)


def _to_control(message: content_pb2.SegmentSpec, cameras: Cameras, fps: float) -> Control:
    """What steers a spec: a control_kind that is not set is the policy's."""
    allowed = [str(kind) for kind in ControlKind if kind is not ControlKind.DEPTH]
    kind = message.control_kind or (str(ControlKind.BLOCKOUT) if message.graybox_json else DEFAULT_CONTROL)
    if kind == ControlKind.DEPTH:
        raise Unsupported("depth clips cannot be sent; give one with a world's graybox.depth_file")
    if kind not in allowed:
        raise bad_field("spec.control_kind", f"got {names.shown(kind)}, expected {', '.join(allowed)} or nothing")
    if (kind == ControlKind.BLOCKOUT) != bool(message.graybox_json):
        said = "got one" if message.graybox_json else "got none"
        raise bad_field("spec.graybox_json", f"{said}, expected one with control_kind blockout alone")
    if kind != ControlKind.BLOCKOUT:
        return Control(ControlKind(kind))
    try:
        graybox = Graybox.from_json(json.loads(message.graybox_json))
        check_cameras(graybox, cameras, np.arange(len(cameras)) / fps)
    except (ValueError, RecursionError, InvalidRoom) as error:
        raise bad_field("spec.graybox_json", str(error)[:500]) from error
    except InvalidCameras as error:
        raise bad_field("spec.cameras", str(error)) from error
    return Control(ControlKind.BLOCKOUT, graybox=graybox)


def _to_cameras(track: content_pb2.CameraTrack) -> Cameras:
    path = "spec.cameras"
    frames = len(track.viewmats) // 16
    if len(track.viewmats) % 16 or not 1 <= frames <= MAX_FRAMES:
        got = len(track.viewmats)
        raise bad_field(f"{path}.viewmats", f"got {got} numbers, expected 16 a frame, 1 .. {MAX_FRAMES} frames")
    if len(track.intrinsics_px) != 4 * frames:
        got = len(track.intrinsics_px)
        raise bad_field(f"{path}.intrinsics_px", f"got {got} numbers, expected {4 * frames}: 4 a frame")
    for name in ("width_px", "height_px"):
        if not 1 <= getattr(track, name) <= MAX_SIZE_PX:
            raise bad_field(f"{path}.{name}", f"got {getattr(track, name)}, allowed 1 .. {MAX_SIZE_PX}")
    fx, fy, cx, cy = np.asarray(track.intrinsics_px, dtype=np.float64).reshape(frames, 4).T
    Ks = np.zeros((frames, 3, 3))
    Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2], Ks[:, 2, 2] = fx, fy, cx, cy, 1.0
    viewmats = np.asarray(track.viewmats, dtype=np.float64).reshape(frames, 4, 4)
    try:
        return Cameras(viewmats, Ks, track.width_px, track.height_px)
    except InvalidCameras as error:
        raise bad_field(path, str(error)) from error
