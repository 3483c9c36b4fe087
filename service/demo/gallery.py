"""Fetches over the API what was made for a session, and writes it where people look: MP4, .4dgs, PLY."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from narthex.v1 import asset_service_pb2, asset_service_pb2_grpc, content_pb2

from clips.clip import Clip, load_clip
from examples.game_client.downloads import Downloads
from recon.export.fourdgs_file import decode_4dgs
from recon.scene import Scene4D
from service.demo.story import Announcement, GateStory

MP4, FOURDGS, PLY = "video/mp4", "model/vnd.4dgs", "model/vnd.gaussian-splat+ply"
CLIP = "application/vnd.narthex.clip+npz"


@dataclass(frozen=True)
class Exhibit:
    """Content of one gate in one quality, and the bytes of each of its files by media type."""

    gate: str
    quality: str
    prompt: str
    seed: int
    files: dict[str, bytes]

    def scene(self) -> Scene4D:
        """The scene, as an engine would load it."""
        return decode_4dgs(self.files[FOURDGS])

    def clip(self) -> Clip:
        """The exact clip: frames, depth, cameras."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.npz"
            path.write_bytes(self.files[CLIP])
            return load_clip(path)


def generated(channel: grpc.Channel, gates: list[GateStory]) -> Iterator[Exhibit]:
    """Everything that was generated for these gates, fetched and checked, in order of gate and time.

    Raises:
        grpc.RpcError: the server does not give an asset.
        ValueError: an asset does not have the hash that it is named by.
    """
    stub, downloads = asset_service_pb2_grpc.AssetServiceStub(channel), Downloads(channel)
    for gate in gates:
        for announcement in gate.announced:
            if announcement.quality != "PLACEHOLDER":
                yield _exhibit(stub, downloads, gate.gate, announcement)


def placeholder_scene(channel: grpc.Channel, gate: GateStory) -> Scene4D | None:
    """The scene of the placeholder that was announced for a gate; None where there was none."""
    for announcement in gate.announced:
        for chunk in announcement.scene.chunks:
            if announcement.quality == "PLACEHOLDER" and chunk.media_type == FOURDGS:
                return decode_4dgs(Downloads(channel).bytes_of(chunk.asset))
    return None


def write_files(exhibit: Exhibit, folder: Path) -> list[Path]:
    """Writes the exhibit's MP4, .4dgs and PLY into `folder`/segments and `folder`/scenes; the paths written."""
    name = f"{exhibit.gate}-{exhibit.quality.lower()}"
    places = {MP4: f"segments/{name}.mp4", FOURDGS: f"scenes/{name}.4dgs", PLY: f"scenes/{name}.ply"}
    written = []
    for media_type, place in places.items():
        if media_type in exhibit.files:
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(exhibit.files[media_type])
            written.append(path)
    return written


def _exhibit(
    stub: asset_service_pb2_grpc.AssetServiceStub, downloads: Downloads, gate: str, announcement: Announcement
) -> Exhibit:
    request = asset_service_pb2.GetSegmentRequest(name=announcement.content.segment)
    segment = stub.GetSegment(request, timeout=10.0)
    chunks: list[content_pb2.AssetChunk] = list(segment.manifest.chunks)
    if segment.scene:
        scene = stub.GetScene4D(asset_service_pb2.GetScene4DRequest(name=segment.scene), timeout=10.0)
        chunks += scene.manifest.chunks
    finest = {chunk.media_type: chunk for chunk in sorted(chunks, key=lambda chunk: -chunk.level)}
    files = {media_type: downloads.bytes_of(chunk.asset) for media_type, chunk in finest.items()}
    return Exhibit(gate, announcement.quality, segment.spec.prompt, segment.spec.seed, files)
