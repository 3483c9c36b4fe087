"""timeline.png: what was forecast against what happened, the work that was done, and the ladder of each gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from narthex.v1 import event_pb2

from service.demo.story import QUALITIES, GateStory, Story, WorkPoint

COLORS = {"PLACEHOLDER": "#9aa0ac", "DRAFT": "#e0a030", "FULL": "#2f8f5b"}
BLUE, RED, GRID = "#2b5fa8", "#b03a3a", "#d8dbe2"
LONGEST_FORECAST_S = 90.0
CHAIN_WORDS = {
    int(event_pb2.CHAIN_STATUS_ACCEPTED): "accepted",
    int(event_pb2.CHAIN_STATUS_ABANDONED): "abandoned",
}


@dataclass(frozen=True)
class Stretch:
    """Work of one quality that ran from `start_s` to `end_s` and ended in `state`."""

    quality: str
    start_s: float
    end_s: float
    state: str


def work_stretches(points: list[WorkPoint], end_s: float) -> list[Stretch]:
    """The stretches in which a gate's work ran; one that still ran at `end_s` ends there."""
    found: list[Stretch] = []
    for quality in QUALITIES:
        start_s: float | None = None
        for point in (point for point in points if point.quality == quality):
            if point.state == "RUNNING" and start_s is None:
                start_s = point.offset_s
            elif point.state != "RUNNING" and start_s is not None:
                found.append(Stretch(quality, start_s, point.offset_s, point.state))
                start_s = None
        if start_s is not None:
            found.append(Stretch(quality, start_s, end_s, "RUNNING"))
    return found


def write_timeline(story: Story, path: Path, title: str) -> None:
    """Writes the picture; it has one forecast panel a gate, then the work, then the ladders."""
    gates = list(story.gates.values())
    end_s = max(story.last_s, 1.0)
    heights = [1.5] * len(gates) + [0.42 * len(gates) + 0.35] * 2
    figure = Figure(figsize=(12.5, 2.2 + sum(heights) + 0.25 * len(heights)), dpi=110, layout="constrained")
    figure.get_layout_engine().set(rect=(0.01, 0.01, 0.98, 0.98))  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold")
    for gate, panel in zip(gates, axes, strict=False):
        _forecast(panel, gate, _chain_marks(story, gate), end_s)
    _work(axes[-2], gates, end_s)
    _ladder(axes[-1], gates, end_s)
    axes[-1].set_xlabel("seconds since the session began")
    axes[-1].set_xlim(0, end_s)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="x", color=GRID, linewidth=0.6)
        panel.set_axisbelow(True)
    _forecast_legend(axes[0])
    figure.savefig(path)


def _chain_marks(story: Story, gate: GateStory) -> list[tuple[float, str]]:
    """When the gate's chain was accepted, abandoned or completed, and the word for it."""
    return [
        (at_s, CHAIN_WORDS[status])
        for (chain, status), at_s in story.chain_times.items()
        if chain == gate.chain and status in CHAIN_WORDS
    ]


def _forecast(panel: Axes, gate: GateStory, marks: list[tuple[float, str]], end_s: float) -> None:
    """Seconds until the gate opens: forecast p50 to p90, and the truth; the chance as a thin line."""
    until_s = gate.opened_s if gate.opened_s is not None else end_s
    points = [point for point in gate.forecasts if point.offset_s <= until_s]
    hopeless_s = min([point.offset_s for point in points if point.chance <= 0] + [until_s])
    hopeless_s = min([at_s for at_s, word in marks if word == "abandoned"] + [hopeless_s])
    points = [point for point in points if point.offset_s < hopeless_s]
    if points:
        times = [point.offset_s for point in points] + [hopeless_s]
        low = [point.p50_s for point in points] + [points[-1].p50_s]
        high = [point.p90_s for point in points] + [points[-1].p90_s]
        panel.fill_between(times, low, high, step="post", color=BLUE, alpha=0.18, linewidth=0)
        panel.step(times, low, where="post", color=BLUE, linewidth=1.6)
    top = max([point.p90_s for point in points] + [gate.opened_s or 5.0, 5.0])
    top = min(top * 1.05, LONGEST_FORECAST_S)
    if gate.opened_s is not None:
        panel.plot([0, gate.opened_s], [gate.opened_s, 0], color=RED, linewidth=1.3, linestyle=(0, (4, 3)))
        panel.axvline(gate.opened_s, color=RED, linewidth=1.0)
    for index, (at_s, word) in enumerate(sorted(marks)):
        panel.axvline(at_s, color="#555a66", linewidth=0.8, linestyle=":")
        panel.text(at_s + end_s * 0.004, top * (0.97 - 0.13 * index), word, fontsize=8, color="#555a66", va="top")
    _chance(panel, gate, hopeless_s)
    panel.set_ylim(0, top)
    panel.set_ylabel("s to opening")
    end = f"opened at {gate.opened_s:.1f} s" if gate.opened_s is not None else "never opened"
    panel.set_title(f"{gate.title}: {end}", loc="left", fontsize=10)


def _forecast_legend(panel: Axes) -> None:
    handles = [
        Line2D([], [], color=BLUE, linewidth=1.6, label="forecast p50"),
        Patch(color=BLUE, alpha=0.18, label="to p90"),
        Line2D([], [], color=RED, linestyle="--", label="what happened"),
        Line2D([], [], color="#7a7f8c", linewidth=0.9, label="chance that it is reached (right)"),
    ]
    panel.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize=8)


def _chance(panel: Axes, gate: GateStory, until_s: float) -> None:
    chances = [point for point in gate.forecasts if point.offset_s <= until_s]
    if not chances:
        return
    other = panel.twinx()
    times = [point.offset_s for point in chances] + [until_s]
    values = [point.chance for point in chances] + [chances[-1].chance]
    other.step(times, values, where="post", color="#7a7f8c", linewidth=0.9)
    other.set_ylim(0, 1.05)
    other.set_yticks([0, 1], ["0", "1"], fontsize=8, color="#7a7f8c")
    other.spines[["top", "right", "left", "bottom"]].set_visible(False)


def _work(panel: Axes, gates: list[GateStory], end_s: float) -> None:
    for row, gate in enumerate(gates):
        for stretch in work_stretches(gate.work, end_s):
            cancelled = stretch.state in ("CANCELLED", "DEAD")
            panel.barh(
                row,
                max(stretch.end_s - stretch.start_s, 0.15),
                left=stretch.start_s,
                height=0.62,
                color="white" if cancelled else COLORS[stretch.quality],
                edgecolor=RED if cancelled else COLORS[stretch.quality],
                hatch="////" if cancelled else None,
                linewidth=1.0,
            )
            if cancelled:
                word = f" {stretch.quality.lower()} {stretch.state.lower()}"
                panel.text(stretch.end_s, row, word, va="center", fontsize=8, color=RED)
    _rows(panel, gates)
    panel.set_title("work done", loc="left", fontsize=10)
    patches = [Patch(color=COLORS[quality], label=quality.lower()) for quality in QUALITIES]
    patches.append(Patch(facecolor="white", edgecolor=RED, hatch="////", label="cancelled"))
    panel.legend(handles=patches, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize=8)


def _ladder(panel: Axes, gates: list[GateStory], end_s: float) -> None:
    """Ready before the opening is pale, on screen after it is full."""
    for row, gate in enumerate(gates):
        for what, pale in (("ready", True), ("shown", False)):
            points = [point for point in gate.screen if point.what == what]
            for index, point in enumerate(points):
                stop = points[index + 1].offset_s if index + 1 < len(points) else end_s
                if pale and gate.opened_s is not None:
                    stop = min(stop, gate.opened_s)
                if stop > point.offset_s:
                    alpha = 0.35 if pale else 1.0
                    width = stop - point.offset_s
                    panel.barh(row, width, left=point.offset_s, height=0.62, color=COLORS[point.quality], alpha=alpha)
        if gate.opened_s is not None:
            panel.plot([gate.opened_s] * 2, [row - 0.42, row + 0.42], color="black", linewidth=1.6)
    _rows(panel, gates)
    panel.set_title("ladder: ready (pale), on screen (full); black: the gate opens", loc="left", fontsize=10)


def _rows(panel: Axes, gates: list[GateStory]) -> None:
    panel.set_yticks(range(len(gates)), [gate.title for gate in gates])
    panel.set_ylim(max(len(gates), 1) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)
