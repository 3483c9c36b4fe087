"""Files of a clip and of a scene: encoded, stored as blobs, and described for the catalogue. Imports numba."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from clips.clip import Clip, load_clip, save_clip
from clips.dungeon.blockout import Graybox
from clips.video import write_mp4
from recon.export.fourdgs_file import encode_4dgs
from recon.export.ply import encode_ply
from recon.scene import Scene4D
from service.store.blobs import BlobStore
from service.store.records import CLIP, FOURDGS, GRAYBOX, MP4, PLY, AssetRecord

PREVIEW_SCALE = 4
GRAYBOX_VERSION = 1
GATE_FRAME = "origin on the floor in the middle of the threshold; x right, y down, z into the room; metres"


def clip_bytes(clip: Clip) -> bytes:
    """The clip's own file format, exact to the last bit."""
    with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
        path = Path(folder) / "clip.npz"
        save_clip(clip, path)
        return path.read_bytes()


def clip_from_bytes(data: bytes) -> Clip:
    """The clip that `clip_bytes` wrote. Raises UnreadableClip, InvalidClip, InvalidCameras."""
    with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
        path = Path(folder) / "clip.npz"
        path.write_bytes(data)
        return load_clip(path)


def store_clip(clip: Clip, blobs: BlobStore) -> tuple[AssetRecord, ...]:
    """The clip as an enlarged video to watch, and as its exact file."""
    with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
        path = Path(folder) / "preview.mp4"
        write_mp4(clip.frames, path, clip.fps, scale=PREVIEW_SCALE)
        video = path.read_bytes()
    return (
        _stored(video, MP4, clip.duration_s, blobs),
        _stored(clip_bytes(clip), CLIP, clip.duration_s, blobs),
    )


def store_graybox(graybox: Graybox, duration_s: float, blobs: BlobStore) -> AssetRecord:
    """The blockout that a segment was made with, as JSON: an engine may make its collision from it."""
    text = json.dumps({"version": GRAYBOX_VERSION, "frame": GATE_FRAME, **graybox.to_json()}, sort_keys=True)
    return _stored(text.encode(), GRAYBOX, duration_s, blobs)


def store_export(scene: Scene4D, media_type: str, time_s: float, blobs: BlobStore) -> AssetRecord:
    """The scene in one format: PLY shows the instant `time_s`."""
    if media_type == FOURDGS:
        return _stored(encode_4dgs(scene), FOURDGS, scene.duration_s, blobs, len(scene))
    record = _stored(encode_ply(scene, time_s), PLY, scene.duration_s, blobs, len(scene))
    return AssetRecord(record.asset, record.size_bytes, PLY, time_s, time_s, 0, record.splats)


def _stored(data: bytes, media_type: str, end_s: float, blobs: BlobStore, splats: int = 0) -> AssetRecord:
    return AssetRecord(blobs.put(data), len(data), media_type, 0.0, end_s, 0, splats)
