"""Variation: which seed a gate's content has for whom. Equal seeds give equal specs, and so one segment for all."""

from __future__ import annotations

import hashlib

from service.ids import GateId, PlayerId, SessionId, WorldId
from service.worlds.world import Content, VariationKind

SEED_LIMIT = 2**63


def content_seed(
    content: Content, world: WorldId, gate: GateId, session: SessionId, player: PlayerId | None = None
) -> int:
    """The seed, 0 <= seed < 2**63, of what `session` sees behind `gate`.

    SHARED: the content's own. POOL: one of `pool_seeds`, chosen by session and gate. SESSION and PLAYER: one that
    is drawn from the content's seed, world, gate and session or player; without a player, PLAYER is as SESSION.
    """
    kind = content.variation.kind
    if kind is VariationKind.SHARED:
        return content.seed
    if kind is VariationKind.POOL:
        member = stable_hash("pool", world, gate, session) % content.variation.pool_size
        return (content.seed + member) % SEED_LIMIT
    if kind is VariationKind.PLAYER and player is not None:
        return stable_hash("player", str(content.seed), world, gate, player) % SEED_LIMIT
    return stable_hash("session", str(content.seed), world, gate, session) % SEED_LIMIT


def pool_seeds(content: Content) -> tuple[int, ...]:
    """All seeds whose segments fit any session: the pool's, or the one that is shared; none for SESSION, PLAYER."""
    if content.variation.kind is VariationKind.SHARED:
        return (content.seed,)
    if content.variation.kind is VariationKind.POOL:
        return tuple((content.seed + member) % SEED_LIMIT for member in range(content.variation.pool_size))
    return ()


def stable_hash(*parts: str) -> int:
    """The first 64 bits of SHA-256 over `parts`: the same in every process, on every machine."""
    hasher = hashlib.sha256()
    for part in parts:
        piece = part.encode("utf-8", "surrogatepass")
        hasher.update(len(piece).to_bytes(8, "big") + piece)
    return int.from_bytes(hasher.digest()[:8], "big")
