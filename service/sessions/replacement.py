"""Replacement: what a watcher gets whose cursor is not kept any more, or was never given out."""

from __future__ import annotations

from service.sessions.live import LiveSession
from service.sessions.views import ContentAnnounced, SessionReplaced, Update, UpdateKind


def replacement(session: LiveSession, cursor: int, now_s: float) -> list[Update]:
    """The state, then the content that a client needs to show it: of each gate the best and what is on screen.

    All but the last carry the watcher's own cursor: if it is cut off between them, it gets them all again. The last
    has the newest cursor, after which it goes on. This is not cut to any limit: a part of it would be of no use.
    """
    kinds: list[UpdateKind] = [SessionReplaced(session.view(now_s)), *_content(session)]
    newest = session.ring.newest
    cursors = [cursor] * (len(kinds) - 1) + [newest]
    return [Update(at, now_s, session.trace_id, kind) for at, kind in zip(cursors, kinds, strict=True)]


def _content(session: LiveSession) -> list[ContentAnnounced]:
    found = []
    for gate, contents in session.announced.items():
        at = session.state.gates[gate]
        usable = [content for content in contents.values() if content.content.segment not in at.failed]
        best = max(usable, key=lambda content: content.content.quality, default=None)
        shown = contents.get(at.shown_segment) if at.shown_segment else None
        found += [content for content in (shown, best if best is not shown else None) if content is not None]
    return found
