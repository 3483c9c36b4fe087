"""Hand-overs: when to cross-fade from what is shown to something better. Pure. What is shown never steps down."""

from __future__ import annotations

from dataclasses import dataclass

from service.ids import SegmentId
from service.play.state import GateState
from service.quality import Quality

FADE_S = 0.6


@dataclass(frozen=True)
class Fade:
    """A hand-over that a client was told of: to what, and when it is over (epoch seconds)."""

    quality: Quality
    segment: SegmentId
    end_s: float


@dataclass(frozen=True)
class HandoverPlan:
    """What to tell the client: fade from `origin` to `target`, beginning `start_s` seconds after it hears of it."""

    origin: tuple[Quality, SegmentId]
    target: tuple[Quality, SegmentId]
    start_s: float
    duration_s: float = FADE_S


def next_handover(gate: GateState, fade: Fade | None, now_s: float) -> HandoverPlan | None:
    """The hand-over that a gate needs at `now_s`; None where what is shown is, or is becoming, the best.

    Only content that the client says is ready is handed over, only at an open gate where something is shown, and
    only upwards. While a fade to something lower is under way the next one begins where it ends.
    """
    if not gate.opened or gate.shown is None or not gate.ready:
        return None
    best = max(gate.ready)
    if best <= gate.shown:
        return None
    origin = (gate.shown, gate.shown_segment or SegmentId(""))
    start_s = 0.0
    if fade is not None and fade.quality > gate.shown and fade.segment not in gate.failed:
        if fade.quality >= best:
            return None
        origin = (fade.quality, fade.segment)
        start_s = max(0.0, fade.end_s - now_s)
    return HandoverPlan(origin, (best, gate.ready[best]), start_s)
