"""What the catalogue says of content: assets, segments, scenes, and references to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.ids import AssetId, GateId, SceneId, SegmentId, WorldId
from service.quality import Quality

MP4 = "video/mp4"
CLIP = "application/vnd.narthex.clip+npz"
FOURDGS = "model/vnd.4dgs"
PLY = "model/vnd.gaussian-splat+ply"
GRAYBOX = "application/vnd.narthex.graybox+json"
ENVELOPE = "application/vnd.narthex.envelope+json"
COLLIDER = "model/gltf-binary"


@dataclass(frozen=True)
class AssetRecord:
    """One chunk of a manifest: a blob, what it is, the scene seconds it covers, its level (0 is the finest)."""

    asset: AssetId
    size_bytes: int
    media_type: str
    start_s: float
    end_s: float
    level: int = 0
    splats: int = 0


@dataclass(frozen=True)
class SegmentRecord:
    """A generated segment: `segment_id` is the key of `spec` (`SegmentSpec.to_json()`).

    `blockout` is the kind of control that it was made with (`model.spec_control.ControlKind`); the blockout itself
    is the asset of type GRAYBOX. `note` says why it is not what the spec asked for, or what is doubtful of it
    (`model.steering.Steering.note`); "" where all is well.
    """

    segment_id: SegmentId
    spec: dict[str, Any]
    quality: Quality
    assets: tuple[AssetRecord, ...]
    scene_id: SceneId | None
    duration_s: float
    create_s: float
    unknown_terms: tuple[str, ...] = ()
    device_s: float = 0.0
    blockout: str = "none"
    note: str = ""


@dataclass(frozen=True)
class SceneRecord:
    """A scene made from a segment: `scene_id` is the hash of its finest .4dgs; coarse levels come first."""

    scene_id: SceneId
    segment_id: SegmentId
    assets: tuple[AssetRecord, ...]
    splats: int
    duration_s: float
    create_s: float


@dataclass(frozen=True)
class ContentRef:
    """What a save game keeps of content that a player has seen."""

    world: WorldId
    gate: GateId
    segment: SegmentId
    scene: SceneId | None
    quality: Quality
