"""The live terminal view: task chains, forecasts, ladders, the job at work. Drawn from a follower, never guessed."""

from __future__ import annotations

import time

from narthex.v1 import event_pb2, operate_service_pb2, session_pb2
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from service.demo.follower import Follower
from service.demo.story import QUALITIES, GateStory, quality_name

_TASK_MARKS = {
    event_pb2.TASK_STATUS_LOCKED: ("○", "dim"),
    event_pb2.TASK_STATUS_AVAILABLE: ("○", ""),
    event_pb2.TASK_STATUS_STARTED: ("▶", "bold yellow"),
    event_pb2.TASK_STATUS_COMPLETED: ("✓", "green"),
}
_CHAIN_WORDS = {
    event_pb2.CHAIN_STATUS_UNSPECIFIED: ("offered", "dim"),
    event_pb2.CHAIN_STATUS_OFFERED: ("offered", "dim"),
    event_pb2.CHAIN_STATUS_ACCEPTED: ("accepted", "bold yellow"),
    event_pb2.CHAIN_STATUS_COMPLETED: ("completed", "green"),
    event_pb2.CHAIN_STATUS_ABANDONED: ("abandoned", "red"),
}


def board(follower: Follower, title: str, foot: str = "") -> RenderableType:
    """The whole view at this moment, for rich.live."""
    return follower.read(lambda now: _board(now, title, foot))  # type: ignore[no-any-return]


def _board(now: Follower, title: str, foot: str) -> RenderableType:
    parts: list[RenderableType] = [_chains(now), _gates(now), _work(now)]
    if foot:
        parts.append(Text(foot, style="dim"))
    elapsed = time.time() - now.story.start_s
    return Panel(Group(*parts), title=f"{title} · {elapsed:5.1f} s", title_align="left", border_style="blue")


def _chains(now: Follower) -> RenderableType:
    grid = Table.grid(padding=(0, 4))
    trees = [_chain_tree(now, chain.chain) for chain in now.story.world.chains]
    for start in range(0, len(trees), 3):
        grid.add_row(*trees[start : start + 3])
    return grid


def _chain_tree(now: Follower, chain_id: str) -> Tree:
    chain = next(chain for chain in now.story.world.chains if chain.chain == chain_id)
    state = now.story.chains.get(chain_id, event_pb2.ChainSnapshot())
    word, style = _CHAIN_WORDS[state.status]
    tree = Tree(Text.assemble((chain.title or chain_id, "bold"), "  ", (word, style)))
    tasks = {task.task: task for task in state.tasks}
    for task in chain.tasks:
        known = tasks.get(task.task, event_pb2.TaskSnapshot(status=event_pb2.TASK_STATUS_LOCKED))
        mark, style = _TASK_MARKS.get(known.status, ("○", "dim"))
        done = f" {known.fraction:.0%}" if known.status == event_pb2.TASK_STATUS_STARTED and known.fraction else ""
        tree.add(Text(f"{mark} {task.title or task.task}{done}", style=style))
    return tree


def _gates(now: Follower) -> RenderableType:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name, justify in (("gate", "left"), ("p50", "right"), ("p90", "right"), ("chance", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for quality in QUALITIES:
        table.add_column(quality.lower())
    table.add_column("door")
    states = {gate.gate: gate for gate in now.session.gates}
    since_s = time.time() - now.story.start_s
    for gate in now.story.gates.values():
        state = states.get(gate.gate, session_pb2.GateState())
        ladder = [_rung(gate, state, quality) for quality in QUALITIES]
        opened = state.opened or gate.opened_s is not None
        door = Text("open", style="bold green") if opened else Text("closed", style="dim")
        table.add_row(Text(gate.title, style="bold"), *_forecast(gate, since_s, opened), *ladder, door)
    return table


def _forecast(gate: GateStory, since_s: float, opened: bool) -> tuple[str, str, str]:
    """What was forecast last, counted down to this moment."""
    if opened or not gate.forecasts:
        return "-", "-", "-"
    newest = gate.forecasts[-1]
    aged_s = since_s - newest.offset_s
    if newest.chance <= 0:
        return "-", "-", "0%"
    left = (max(0.0, newest.p50_s - aged_s), max(0.0, newest.p90_s - aged_s))
    return f"{left[0]:.0f} s", f"{left[1]:.0f} s", f"{newest.chance:.0%}"


def _rung(gate: GateStory, state: session_pb2.GateState, quality: str) -> Text:
    """How far one quality of a gate has come: worked on, announced, ready, shown."""
    if quality_name(state.shown) == quality or gate.has("shown", quality):
        return Text("■ shown", style="bold green")
    if quality_name(state.ready) == quality or gate.has("ready", quality):
        return Text("■ ready", style="green")
    if gate.has("announced", quality):
        return Text("▪ announced", style="cyan")
    work = next((point for point in reversed(gate.work) if point.quality == quality), None)
    if work is None or work.state == "DONE":
        return Text("·", style="dim")
    if work.state == "RUNNING":
        left = f" {work.left_s:.0f} s" if work.left_s else ""
        return Text(f"▸ {work.chunks_done}/{work.chunks_total}{left}", style="yellow")
    return Text(work.state.lower(), style="red" if work.state in ("CANCELLED", "DEAD") else "dim")


def _work(now: Follower) -> RenderableType:
    if not now.jobs:
        return Text("worker idle", style="dim")
    grid = Table.grid(padding=(0, 2))
    for job in now.jobs:
        total = max(1, job.chunks_total)
        bar = ProgressBar(total=total, completed=min(job.chunks_done, total), width=30)
        grid.add_row(
            Text("at work", style="bold yellow"),
            _target(now, job),
            Text(job.stage or "begins"),
            bar,
            Text(f"{job.chunks_done}/{job.chunks_total}"),
            Text(f"{job.spent_s:.1f} s spent", style="dim"),
        )
    return grid


def _target(now: Follower, job: operate_service_pb2.Job) -> Text:
    gates = {waiter.rsplit("/", 1)[-1] for waiter in job.waiters}
    titles = ", ".join(now.story.gates[gate].title for gate in sorted(gates) if gate in now.story.gates)
    return Text(f"{titles or job.kind} {quality_name(job.quality).lower()}")
