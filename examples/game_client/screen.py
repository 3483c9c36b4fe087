"""What stands behind each gate on the player's screen: decided at the instant of opening, then only upwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from google.protobuf.message import Message
from narthex.v1 import content_pb2, event_pb2, session_pb2

Say = Callable[[Message], None]
Note = Callable[[str, str, "content_pb2.ContentRef", float], None]


@dataclass
class Fade:
    """A cross-fade that has been ordered: from `start_s` on, for `duration_s`."""

    to: content_pb2.ContentRef
    start_s: float
    duration_s: float
    begun: bool = False


@dataclass
class GateScreen:
    """One gate: what is ready to be shown, since when it is open, what is shown, and which fades are ordered."""

    ready: list[content_pb2.ContentRef] = field(default_factory=list)
    opened_s: float | None = None
    shown: content_pb2.ContentRef | None = None
    fades: list[Fade] = field(default_factory=list)

    def best(self) -> content_pb2.ContentRef | None:
        """The best content that is ready."""
        return max(self.ready, key=lambda content: content.quality, default=None)


class Screen:
    """Decides what is shown, obeys handovers, and reports it.

    Args:
        say: reports an event.
        note: writes down `(what, gate, content, stall_ms)` with what = ready, shown or fade; for the recording.

    All times are seconds of one steady clock; `tick` is to be called once a frame.
    """

    def __init__(self, say: Say, note: Note) -> None:
        self._say = say
        self._note = note
        self._gates: dict[str, GateScreen] = {}

    def gate(self, gate: str) -> GateScreen:
        """The state of a gate."""
        return self._gates.setdefault(gate, GateScreen())

    def best_ready(self, gate: str) -> int:
        """The best quality that is ready for a gate; 0 where nothing is."""
        best = self.gate(gate).best()
        return int(best.quality) if best else 0

    def shown_quality(self, gate: str) -> int:
        """The quality on screen; 0 where nothing is."""
        shown = self.gate(gate).shown
        return int(shown.quality) if shown else 0

    def on_ready(self, announced: session_pb2.ContentAnnounced, now_s: float) -> None:
        """Content is downloaded. A gate that stands open with nothing behind it shows it at once."""
        content = announced.content
        state = self.gate(announced.gate)
        state.ready.append(content)
        self._note("ready", announced.gate, content, 0.0)
        self._say(event_pb2.ContentReady(gate=announced.gate, segment=content.segment, quality=content.quality))
        if state.opened_s is not None and state.shown is None:
            self._show(announced.gate, content, 1000.0 * (now_s - state.opened_s))

    def on_failed(self, announced: session_pb2.ContentAnnounced, reason: str) -> None:
        """Content could not be downloaded."""
        content = announced.content
        failed = event_pb2.ContentFailed(
            gate=announced.gate, segment=content.segment, quality=content.quality, reason=reason
        )
        self._say(failed)

    def on_open(self, gate: str, now_s: float) -> None:
        """The gate opens: the best that is ready is shown in this very frame."""
        state = self.gate(gate)
        state.opened_s = now_s
        self._say(event_pb2.GateOpened(gate=gate))
        best = state.best()
        if best is not None:
            self._show(gate, best, 0.0)

    def on_close(self, gate: str) -> None:
        """The gate is closed again, as after a save was loaded: nothing of it is on screen, what is ready stays."""
        state = self.gate(gate)
        state.opened_s = state.shown = None
        state.fades.clear()

    def on_handover(self, handover: session_pb2.Handover, now_s: float) -> None:
        """The server orders a cross-fade; it waits for those that were ordered before."""
        fades = self.gate(handover.gate).fades
        start_s = now_s + handover.start_s
        if fades:
            start_s = max(start_s, fades[-1].start_s + fades[-1].duration_s)
        fades.append(Fade(handover.to, start_s, handover.duration_s))

    def tick(self, now_s: float) -> None:
        """Begins and ends cross-fades whose time has come. Content on screen never steps down."""
        for gate, state in self._gates.items():
            if state.opened_s is None:
                # Ordered before the server heard that the gate is closed again.
                state.fades.clear()
            while state.fades and now_s >= state.fades[0].start_s:
                fade = state.fades[0]
                if state.shown is not None and fade.to.quality <= state.shown.quality:
                    state.fades.pop(0)
                    continue
                if not fade.begun:
                    fade.begun = True
                    self._note("fade", gate, fade.to, 0.0)
                if now_s < fade.start_s + fade.duration_s:
                    break
                state.fades.pop(0)
                self._show(gate, fade.to, 0.0)

    def _show(self, gate: str, content: content_pb2.ContentRef, stall_ms: float) -> None:
        self.gate(gate).shown = content
        self._note("shown", gate, content, stall_ms)
        shown = event_pb2.ContentShown(gate=gate, segment=content.segment, quality=content.quality, stall_ms=stall_ms)
        self._say(shown)
