"""Finishing a scene: what is made from its splats once they are there, a chunk at a time. Imports numba.

The envelope of the camera, coarser levels of detail and, for FULL, the collision proxy. What is made is kept as bytes
until the job is done: blobs that no manifest names are deleted by housekeeping.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from clips.clip import Clip
from recon.collision import collision_proxy
from recon.envelope import ENVELOPE_KEY
from recon.envelope_search import EnvelopeSettings, box_at, checked, envelope_of, instants_of
from recon.export.fourdgs_file import encode_4dgs
from recon.export.glb import encode_glb
from recon.export.ply import encode_ply
from recon.levels import FACTORS, coarser
from recon.scene import Scene4D
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.records import COLLIDER, ENVELOPE, FOURDGS, PLY, AssetRecord

_BOX, _ENVELOPE, _LEVEL, _COLLISION = "surroundings", "envelope", "level", "collision"


@dataclass(frozen=True)
class Made:
    """One file that was made: what it is, which level, how many splats it holds, its bytes."""

    media_type: str
    level: int
    splats: int
    data: bytes


class SceneFinish:
    """One scene on its way from splats to files."""

    def __init__(self, quality: Quality, segment: str) -> None:
        self._full = quality is Quality.FULL
        self._segment = segment
        levels = tuple(f"{_LEVEL} {number}" for number in range(len(FACTORS), 0, -1))
        self._settings = EnvelopeSettings.full() if self._full else EnvelopeSettings.draft()
        boxes = tuple(f"{_BOX} {number}" for number in range(self._settings.instants))
        self._stages = (*boxes, _ENVELOPE, *levels, *((_COLLISION,) if self._full else ()))
        self._boxes: list[list[float]] = []
        self._made: list[Made] = []
        self.stages_done = 0

    @property
    def stages_total(self) -> int:
        """How many stages there are."""
        return len(self._stages)

    @property
    def stage_name(self) -> str:
        """The next stage's name; "done" when there is none."""
        return "done" if self.done else self._stages[self.stages_done]

    @property
    def done(self) -> bool:
        """True when every stage has run."""
        return self.stages_done == len(self._stages)

    def advance(self, scene: Scene4D, clip: Clip) -> None:
        """Run the next stage for `scene`, which was made from `clip`."""
        kind, _, number = self.stage_name.partition(" ")
        if kind == _BOX:
            frames = instants_of(len(clip), self._settings)
            if int(number) < len(frames):
                self._boxes.append(box_at(scene, clip.cameras, clip.times, frames[int(number)], self._settings))
        elif kind == _ENVELOPE:
            frames = instants_of(len(clip), self._settings)
            found = envelope_of(clip.times, frames, self._boxes, self._settings)
            found = checked(found, scene, clip.cameras, clip.times, self._settings)
            self._made.append(Made(ENVELOPE, 0, 0, found.to_json().encode()))
        elif kind == _LEVEL:
            level = coarser(scene, FACTORS[int(number) - 1], clip if self._full else None)
            # A scene so small that nothing could be merged has no coarser level.
            if len(level) < len(scene):
                self._made += self._files(level, int(number))
        elif kind == _COLLISION:
            self._make_collider(scene, clip)
        self.stages_done += 1

    def store(self, scene: Scene4D, blobs: BlobStore) -> tuple[AssetRecord, ...]:
        """The files of `scene` in the blob store, its levels from the coarsest to `scene` itself, then what is none."""
        splats = [made for made in self._made if made.splats]
        rest = [made for made in self._made if not made.splats]
        return tuple(
            AssetRecord(blobs.put(m.data), len(m.data), m.media_type, 0.0, scene.duration_s, m.level, m.splats)
            for m in (*splats, *self._files(scene, 0), *rest)
        )

    def state_bytes(self) -> bytes:
        """A line of JSON, then the files that it lists."""
        files = [{**asdict(made), "data": len(made.data)} for made in self._made]
        header = {"stages_done": self.stages_done, "stages": self._stages, "boxes": self._boxes, "files": files}
        return b"".join([json.dumps(header).encode(), b"\n", *(made.data for made in self._made)])

    def restore(self, state: bytes) -> None:
        """Go on where `state_bytes` was taken.

        Raises:
            ValueError, KeyError, TypeError: the state is cut short or of other stages.
        """
        line, _, rest = state.partition(b"\n")
        header = json.loads(line)
        sizes = [int(file["data"]) for file in header["files"]]
        if tuple(header["stages"]) != self._stages or sum(sizes) != len(rest):
            raise ValueError(f"finishing state of {header['stages']} with {len(rest)} bytes, expected {sum(sizes)}")
        start = 0
        for file, size in zip(header["files"], sizes, strict=True):
            self._made.append(Made(**{**file, "data": rest[start : start + size]}))
            start += size
        self._boxes = [[float(number) for number in box] for box in header["boxes"]]
        self.stages_done = int(header["stages_done"])

    def _make_collider(self, scene: Scene4D, clip: Clip) -> None:
        proxy = collision_proxy(scene, clip.cameras)
        if proxy.parts:
            facts = {"segment": self._segment, "floor": proxy.floor is not None}
            glb = encode_glb([(part.name, part.mesh) for part in proxy.parts], facts)
            self._made.append(Made(COLLIDER, 0, 0, glb))

    def _files(self, scene: Scene4D, level: int) -> list[Made]:
        """The level as `.4dgs` with the envelope in its header, and its first instant as PLY."""
        facts = {"segment": self._segment, "level": str(level)}
        facts[ENVELOPE_KEY] = next(made.data for made in self._made if made.media_type == ENVELOPE).decode()
        return [
            Made(FOURDGS, level, len(scene), encode_4dgs(scene, facts)),
            Made(PLY, level, len(scene), encode_ply(scene)),
        ]
