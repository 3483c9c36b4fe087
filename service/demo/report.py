"""What a playthrough came to, as plain values (report.json) and as words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from narthex.v1 import event_pb2, operate_service_pb2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.demo.story import GateStory, Story


def session_report(story: Story, usage: operate_service_pb2.Usage) -> dict[str, Any]:
    """Plain values of a session: gates with their openings, ladders, handovers and work; usage; what was refused."""
    return {
        "world": story.world.name,
        "world_revision": story.world.revision,
        "gates": [gate_report(gate) for gate in story.gates.values()],
        "abandoned": [_abandoned(story, chain) for chain in _abandoned_chains(story)],
        "usage": {part: usage_part(getattr(usage, part)) for part in ("generated", "reached", "wasted", "pending")},
        "rejected_events": list(story.rejected),
    }


def gate_report(gate: GateStory) -> dict[str, Any]:
    """Plain values of one gate. Times are seconds since the session began; a hit is ready before the opening."""
    shown = gate.shown_first
    return {
        "gate": gate.gate,
        "title": gate.title,
        "chain": gate.chain,
        "opened_s": _rounded(gate.opened_s),
        "shown_at_opening": None
        if gate.opened_s is None or shown is None
        else {"quality": shown.quality, "stall_ms": round(shown.stall_ms, 1), "hit": shown.stall_ms == 0.0},
        "announced": [
            {
                "quality": item.quality,
                "at_s": _rounded(item.offset_s),
                "reused": item.reused,
                "segment": item.content.segment,
                "scene": item.content.scene,
            }
            for item in gate.announced
        ],
        "ready": _screen(gate, "ready"),
        "shown": _screen(gate, "shown"),
        "handovers": [
            {
                "from": item.origin,
                "to": item.target,
                "at_s": _rounded(item.offset_s),
                "start_s": item.start_s,
                "duration_s": item.duration_s,
            }
            for item in gate.handovers
        ],
        "work": work_report(gate),
        "forecast": [
            {
                "at_s": _rounded(point.offset_s),
                "p50_s": _rounded(point.p50_s),
                "p90_s": _rounded(point.p90_s),
                "chance": round(point.chance, 3),
            }
            for point in gate.forecasts
        ],
    }


def work_report(gate: GateStory) -> dict[str, dict[str, Any]]:
    """Quality -> how its work ended: state, stage, chunks, seconds spent."""
    newest = {point.quality: point for point in gate.work}
    return {
        quality: {
            "state": point.state,
            "stage": point.stage,
            "chunks_done": point.chunks_done,
            "chunks_total": point.chunks_total,
            "spent_s": round(point.spent_s, 2),
        }
        for quality, point in newest.items()
    }


def usage_part(part: operate_service_pb2.UsagePart) -> dict[str, float]:
    """Plain values of one part of a usage."""
    return {
        "segments": part.segments,
        "minutes": round(part.minutes, 4),
        "device_s": round(part.device_s, 2),
        "bytes": part.bytes,
    }


def say_session(console: Console, report: Mapping[str, Any]) -> None:
    """Says per gate what was shown at the opening, the stall, the handovers; what was abandoned; the usage."""
    for gate in report["gates"]:
        console.print(Text(f"{gate['title']}: ", style="bold") + Text(gate_sentence(gate)))
    for item in report["abandoned"]:
        console.print(Text(abandoned_sentence(item)))
    console.print(_usage_table(report["usage"]))
    for reason in report["rejected_events"]:
        console.print(Text(f"an event was rejected: {reason}", style="red"))


def gate_sentence(gate: Mapping[str, Any]) -> str:
    """What happened at a gate, in one sentence."""
    if gate["opened_s"] is None:
        return "never opened."
    first = gate["shown_at_opening"]
    if first is None:
        return f"opened at {gate['opened_s']:.1f} s, and nothing was ready for it."
    words = f"opened at {gate['opened_s']:.1f} s, showed {first['quality']} with a stall of {first['stall_ms']:.0f} ms"
    steps = [
        f"{item['from']} to {item['to']} {item['at_s'] - gate['opened_s']:.1f} s later" for item in gate["handovers"]
    ]
    if steps:
        return f"{words}; handovers: {', '.join(steps)}."
    return f"{words}; {_why_no_handover(gate)}."


def _why_no_handover(gate: Mapping[str, Any]) -> str:
    """Nothing better was wanted, or it was not done when the session ended."""
    unfinished = [quality for quality, work in gate["work"].items() if work["state"] in ("QUEUED", "RUNNING")]
    if gate["shown"][-1]["quality"] == "FULL" or (not unfinished and gate["shown"][-1]["quality"] == "DRAFT"):
        return "no handover was needed"
    if not unfinished:
        return "nothing better came before the end"
    return f"nothing better came before the end ({' and '.join(unfinished)} not done)"


def abandoned_sentence(item: Mapping[str, Any]) -> str:
    """What an abandoned chain cost, in one sentence."""
    parts = [f"{quality} {work['state'].lower()}" for quality, work in item["work"].items()]
    words = ", ".join(parts) or "no work had begun"
    return f"{item['title']}: abandoned at {item['abandoned_s']:.1f} s; {item['spent_s']:.1f} s of work lost ({words})."


def forecast_rows(gate: GateStory, every_s: float) -> Iterable[tuple[float, float, float, float]]:
    """(offset, p50, p90, chance) of a gate's forecast at intervals, up to its opening."""
    due_s = 0.0
    for point in gate.forecasts:
        if gate.opened_s is not None and point.offset_s > gate.opened_s:
            return
        if point.offset_s >= due_s:
            yield point.offset_s, point.p50_s, point.p90_s, point.chance
            due_s = point.offset_s + every_s


def _abandoned_chains(story: Story) -> list[str]:
    return [chain for chain, state in story.chains.items() if state.status == event_pb2.CHAIN_STATUS_ABANDONED]


def _abandoned(story: Story, chain: str) -> dict[str, Any]:
    gates = [gate for gate in story.gates.values() if gate.chain == chain]
    title = next((item.title for item in story.world.chains if item.chain == chain), "") or chain
    return {
        "chain": chain,
        "title": title,
        "accepted_s": _rounded(story.chain_times.get((chain, event_pb2.CHAIN_STATUS_ACCEPTED))),
        "abandoned_s": _rounded(story.chain_times.get((chain, event_pb2.CHAIN_STATUS_ABANDONED), story.last_s)),
        "gates": [gate.gate for gate in gates],
        "spent_s": round(sum(gate.spent_s() for gate in gates), 2),
        "work": {quality: work for gate in gates for quality, work in work_report(gate).items()},
    }


def _screen(gate: GateStory, what: str) -> list[dict[str, Any]]:
    return [
        {"quality": point.quality, "at_s": _rounded(point.offset_s), "stall_ms": round(point.stall_ms, 1)}
        for point in gate.screen
        if point.what == what
    ]


def _usage_table(usage: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("usage", "segments", "scene minutes", "device seconds", "MB"):
        table.add_column(name, justify="left" if name == "usage" else "right")
    for part, values in usage.items():
        megabytes = values["bytes"] / 1e6
        figures = (
            f"{values['segments']:.0f}",
            f"{values['minutes']:.3f}",
            f"{values['device_s']:.1f}",
            f"{megabytes:.1f}",
        )
        table.add_row(part, *figures)
    return table


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
