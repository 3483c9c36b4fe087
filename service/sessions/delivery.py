"""Delivery: how long content takes from the server's announcement to the client's GPU, fitted to what was seen."""

from __future__ import annotations

from collections.abc import Sequence

from service.quality import Quality
from service.sessions.live import LiveSession
from service.sessions.views import ContentAnnounced

CLIENT_S = 0.5
"""Decode and upload before anything was measured."""

CONTENT_BYTES = 2_000_000.0
"""Size of content before any was made."""

WEIGHT = 0.2
"""How much one new measurement counts against all before it."""

LONGEST_S = 120.0
"""A client that takes longer was away: no measure of its pace."""


class DeliveryPace:
    """Running means of content sizes by quality, and of each client's and everybody's time beyond transfer."""

    def __init__(self) -> None:
        self._bytes: dict[Quality, float] = {}
        self._client_s = CLIENT_S

    def saw_content(self, content: ContentAnnounced) -> None:
        """Content of some size was made."""
        quality, size = content.content.quality, float(_size_bytes(content))
        known = self._bytes.get(quality)
        self._bytes[quality] = size if known is None else known + WEIGHT * (size - known)

    def saw_ready(self, session: LiveSession, content: ContentAnnounced, took_s: float) -> None:
        """A client had content on its GPU `took_s` after it was announced."""
        if 0.0 <= took_s <= LONGEST_S:
            beyond_s = max(0.0, took_s - _transfer_s(_size_bytes(content), session.facts.profile.bandwidth_bps))
            self._client_s += WEIGHT * (beyond_s - self._client_s)
            known = session.client_s
            session.client_s = beyond_s if known is None else known + WEIGHT * (beyond_s - known)

    def delivery_s(self, session: LiveSession, qualities: Sequence[Quality]) -> float:
        """Seconds that the first of `qualities` will take to a session's client.

        A quality that was never made counts as large as the largest that was.
        """
        known = max(self._bytes.values(), default=CONTENT_BYTES)
        size = self._bytes.get(qualities[0], known) if qualities else 0.0
        client_s = self._client_s if session.client_s is None else session.client_s
        return _transfer_s(size, session.facts.profile.bandwidth_bps) + client_s


def _size_bytes(content: ContentAnnounced) -> int:
    # What a client shows first counts: of the scene the format that it likes best, not what goes with it.
    splats = [record for record in content.scene if record.splats] or content.scene
    return sum(record.size_bytes for record in (*content.video[:1], *splats[:1]))


def _transfer_s(size_bytes: float, bandwidth_bps: int) -> float:
    return size_bytes * 8.0 / bandwidth_bps if bandwidth_bps > 0 else 0.0
