"""Worlds on the wire."""

from __future__ import annotations

from narthex.v1 import world_pb2

from service.api.convert.content import quality_number
from service.api.convert.names import timestamp, to_name
from service.sessions.views import StoredWorld
from service.worlds.world import NOTHING, All, Content, Gate, Requirement, Task, TaskChain, TaskDone, VariationKind

_VARIATIONS = {
    VariationKind.SHARED: world_pb2.VARIATION_SHARED,
    VariationKind.POOL: world_pb2.VARIATION_POOL,
    VariationKind.SESSION: world_pb2.VARIATION_SESSION,
    VariationKind.PLAYER: world_pb2.VARIATION_PLAYER,
}


def world_message(stored: StoredWorld) -> world_pb2.World:
    """The wire's form of a world."""
    world = stored.world
    return world_pb2.World(
        name=to_name("worlds", world.world_id),
        title=world.title,
        revision=world.revision,
        source=world.source,
        chains=[_chain(chain) for chain in world.chains.values()],
        gates=[_gate(gate) for gate in world.gates.values()],
        update_time=timestamp(stored.update_s),
    )


def _chain(chain: TaskChain) -> world_pb2.TaskChain:
    tasks = [_task(task) for task in chain.tasks.values()]
    return world_pb2.TaskChain(chain=chain.chain, title=chain.title, tasks=tasks, abandon_chance=chain.abandon_chance)


def _task(task: Task) -> world_pb2.Task:
    return world_pb2.Task(
        task=task.task,
        title=task.title,
        requires=_requirement(task.requires),
        p50_s=task.duration.p50_s,
        p90_s=task.duration.p90_s,
        chance=task.chance,
    )


def _requirement(requirement: Requirement) -> world_pb2.Requirement:
    if requirement == NOTHING:
        return world_pb2.Requirement()
    if isinstance(requirement, TaskDone):
        return world_pb2.Requirement(task=requirement.task)
    parts = world_pb2.RequirementList(requirements=[_requirement(part) for part in requirement.parts])
    return world_pb2.Requirement(all=parts) if isinstance(requirement, All) else world_pb2.Requirement(any=parts)


def _gate(gate: Gate) -> world_pb2.Gate:
    return world_pb2.Gate(
        gate=gate.gate,
        title=gate.title,
        chain=gate.chain,
        requires=_requirement(gate.requires),
        content=_content(gate.content),
    )


def _content(content: Content) -> world_pb2.Content:
    pooled = content.variation.kind is VariationKind.POOL
    return world_pb2.Content(
        prompt=content.prompt,
        seed=content.seed,
        variation=_VARIATIONS[content.variation.kind],
        pool_size=content.variation.pool_size if pooled else 0,
        duration_s=content.duration_s,
        width_px=content.width_px,
        height_px=content.height_px,
        qualities=[quality_number(quality) for quality in content.qualities],
    )
