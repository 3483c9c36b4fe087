"""Announcements: telling a session of content that exists, in the formats and sizes that its client takes."""

from __future__ import annotations

from collections.abc import Sequence

from service.ids import GateId
from service.play.state import GateState
from service.quality import Quality
from service.sessions.colliders import with_collider
from service.sessions.ladder import Rung
from service.sessions.live import LiveSession
from service.sessions.ready import ReadyContent, ReadyIndex
from service.sessions.views import ClientProfile, ContentAnnounced
from service.store.records import AssetRecord, ContentRef


def announcement(session: LiveSession, gate: GateId, ready: ReadyContent) -> ContentAnnounced:
    """What to tell `session` of `ready` content."""
    profile, record = session.facts.profile, ready.segment
    scene = of_size(of_formats(ready.scene.assets, profile), profile)
    ref = ContentRef(session.world.world_id, gate, record.segment_id, ready.scene.scene_id, record.quality)
    return ContentAnnounced(
        gate=gate,
        content=ref,
        video=of_formats(record.assets, profile),
        scene=with_collider(scene, session.world.gates[gate].content, profile.formats),
        reused=session.session_id not in ready.waited,
    )


def of_formats(assets: Sequence[AssetRecord], profile: ClientProfile) -> tuple[AssetRecord, ...]:
    """The assets in formats that a client takes, what it prefers first; all where it takes any, or none of these."""
    taken = [record for record in assets if record.media_type in profile.formats]
    return tuple(sorted(taken, key=lambda record: profile.formats.index(record.media_type)) or assets)


def of_size(assets: Sequence[AssetRecord], profile: ClientProfile) -> tuple[AssetRecord, ...]:
    """Of each format the finest level that a client can hold, the coarsest where it can hold none, in the order given.

    Manifests list coarse levels first; a client is told of one, and fetches nothing that it will not show.
    """

    def fits(record: AssetRecord) -> bool:
        too_many = 0 < profile.max_splats < record.splats
        too_large = 0 < profile.max_bytes < record.size_bytes
        return not (too_many or too_large)

    chosen: dict[str, int] = {}
    for media_type in dict.fromkeys(record.media_type for record in assets):
        levels = [record for record in assets if record.media_type == media_type]
        fitting = [record.level for record in levels if fits(record)]
        chosen[media_type] = min(fitting) if fitting else max(record.level for record in levels)
    return tuple(record for record in assets if record.level == chosen[record.media_type])


def best_news(session: LiveSession, gate: GateId, rungs: Sequence[Rung], ready: ReadyIndex) -> ReadyContent | None:
    """The best of `rungs` that exists, if the session was not told of it or better, and may still show it."""
    at, told = session.state.gates[gate], session.announced.get(gate, {})
    for rung in sorted(rungs, key=lambda rung: -rung.quality):
        if rung.segment in told:
            return None
        content = ready.get(rung.segment)
        if content is not None:
            return content if _can_be_shown(at, rung) else None
    return None


def stand_in(own: Sequence[Rung], pool: Sequence[Rung], ready: ReadyIndex) -> ReadyContent | None:
    """What to show before anything was made: the best that exists of the pool, the session's own member first."""
    mine = {rung.segment for rung in own}
    candidates = sorted({*own, *pool}, key=lambda rung: (-rung.quality, rung.segment not in mine, rung.segment))
    found = (ready.get(rung.segment) for rung in candidates)
    return next((content for content in found if content is not None), None)


def _can_be_shown(at: GateState, rung: Rung) -> bool:
    return rung.segment not in at.failed and rung.quality > (at.shown or Quality.PLACEHOLDER)
