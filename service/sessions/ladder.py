"""The ladder of a gate: which segment each quality is, for one session and for everybody."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace

from clips.errors import ClipError
from model.errors import ModelError
from model.spec import SegmentSpec
from service.ids import GateId, SegmentId
from service.prefetch.variation import content_seed, pool_seeds
from service.quality import Quality
from service.sessions.live import LiveSession
from service.specs import ModelInfo, segment_spec
from service.worlds.world import World

log = logging.getLogger(__name__)
MADE = (Quality.DRAFT, Quality.FULL)
"""Qualities that a model makes."""

BASES = 512
"""Specs that are kept to make others from."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One quality of a gate's content, and the seed and segment that it is."""

    quality: Quality
    seed: int
    segment: SegmentId


class Ladders:
    """Segment ids of gates by their specs. Specs are costly to hash, so the newest `size` ids are kept."""

    def __init__(self, model: ModelInfo, size: int = 16_384) -> None:
        self._model = model
        self._size = size
        self._bases: dict[tuple[str, str, GateId, Quality], SegmentSpec] = {}
        self._known: OrderedDict[tuple[str, str, GateId, int, Quality], SegmentId | None] = OrderedDict()

    def own(self, session: LiveSession, gate: GateId) -> tuple[Rung, ...]:
        """What shall be made for a session's gate, lowest quality first."""
        content = session.world.gates[gate].content
        player = session.state.players[0] if session.state.players else None
        seed = content_seed(content, session.world.world_id, gate, session.session_id, player)
        return self._rungs(session.world, gate, (seed,))

    def pool(self, world: World, gate: GateId, seeds: int = 1_000) -> tuple[Rung, ...]:
        """What may stand in at a gate for anybody, of its first `seeds` seeds; empty where content is personal."""
        return self._rungs(world, gate, pool_seeds(world.gates[gate].content)[:seeds])

    def spec(self, world: World, gate: GateId, rung: Rung) -> SegmentSpec:
        """The spec of a rung that `own` or `pool` gave."""
        return self._spec(world, gate, rung.seed, rung.quality)

    def _spec(self, world: World, gate: GateId, seed: int, quality: Quality) -> SegmentSpec:
        # The cameras are most of the cost, and the same for every seed of a pool.
        place = (world.world_id, world.revision, gate, quality)
        base = self._bases.get(place)
        if base is None:
            base = self._bases[place] = segment_spec(world.gates[gate].content, seed, quality, self._model)
            while len(self._bases) > BASES:
                self._bases.pop(next(iter(self._bases)))
        return base if base.seed == seed else replace(base, seed=seed)

    def _rungs(self, world: World, gate: GateId, seeds: tuple[int, ...]) -> tuple[Rung, ...]:
        qualities = [quality for quality in MADE if quality in world.gates[gate].content.qualities]
        rungs = []
        for quality in qualities:
            for seed in seeds:
                segment = self._segment(world, gate, seed, quality)
                if segment is not None:
                    rungs.append(Rung(quality, seed, segment))
        return tuple(rungs)

    def _segment(self, world: World, gate: GateId, seed: int, quality: Quality) -> SegmentId | None:
        place = (world.world_id, world.revision, gate, seed, quality)
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place]
        segment: SegmentId | None = None
        try:
            segment = SegmentId(self._spec(world, gate, seed, quality).key())
        except (ModelError, ClipError) as error:
            # Worlds are checked when they are put; what still cannot be said to the model keeps its placeholder.
            log.error("a gate's content is no segment spec", extra={"gate": gate, "error": str(error)})
        self._known[place] = segment
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return segment
