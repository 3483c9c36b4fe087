"""GateForecast: when a gate is expected to open, and whether it will be at all.

A simple model, to be replaced behind `forecast_gate`: each task takes a log-normal time with its p50 and p90, given
what has elapsed and what the game says of its progress; a gate opens when the longest way through its requirements
is done. It is computed on 256 stratified samples that are the same in every call, so that a forecast changes only
when what it depends on does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from service.ids import ChainId, GateId
from service.play.event import ChainStatus
from service.play.state import SessionState
from service.play.ways import ChainWays, chain_ways, way_to
from service.worlds.world import Gate, World

ACCEPT_CHANCE = 0.5
"""Chance that an offered chain is accepted; nothing tells more until designers or histories do."""


@dataclass(frozen=True, eq=False)
class GateForecast:
    """Distribution of the time to a gate's opening.

    Attributes:
        gate: of which gate.
        reach_chance: chance that it is reached at all, 0 to 1.
        samples_s: equally likely seconds from now to the opening, given that it is reached; sorted, float64, >= 0.
    """

    gate: GateId
    reach_chance: float
    samples_s: Float64[np.ndarray, " N"]

    @cached_property
    def p50_s(self) -> float:
        """Seconds from now by which it is open with a chance of 0.5, given that it is reached."""
        return float(np.quantile(self.samples_s, 0.5, method="hazen"))

    @cached_property
    def p90_s(self) -> float:
        """Seconds from now by which it is open with a chance of 0.9, given that it is reached."""
        return float(np.quantile(self.samples_s, 0.9, method="hazen"))

    def cdf(self, x_s: float) -> float:
        """Chance that it opens within `x_s` seconds from now, given that it is reached."""
        return int(np.searchsorted(self.samples_s, x_s, side="right")) / len(self.samples_s)


def forecast_gate(world: World, state: SessionState, gate: GateId, now_s: float) -> GateForecast:
    """The forecast for one gate at the epoch second `now_s`. KeyError for an id that the world does not have."""
    known = world.gates[gate]
    ways = chain_ways(world.chains[known.chain], state.chains[known.chain], state.played_at(now_s))
    return _forecast(known, state, ways)


def forecast_gates(
    world: World, state: SessionState, now_s: float, gates: Iterable[GateId] | None = None
) -> dict[GateId, GateForecast]:
    """The forecasts for `gates`, or for all of the world, each equal to what `forecast_gate` gives.

    Quicker than one by one: gates of one chain share most of the work. KeyError for an id that the world does not have.
    """
    played_s = state.played_at(now_s)
    ways: dict[ChainId, ChainWays] = {}
    forecasts: dict[GateId, GateForecast] = {}
    for gate in world.gates if gates is None else gates:
        known = world.gates[gate]
        if known.chain not in ways:
            ways[known.chain] = chain_ways(world.chains[known.chain], state.chains[known.chain], played_s)
        forecasts[gate] = _forecast(known, state, ways[known.chain])
    return forecasts


def _forecast(gate: Gate, state: SessionState, ways: ChainWays) -> GateForecast:
    if state.gates[gate.gate].opened:
        return GateForecast(gate.gate, 1.0, np.zeros(1))
    way = way_to(ways, gate.requires)
    status = state.chains[gate.chain].status
    if status is ChainStatus.ABANDONED:
        return GateForecast(gate.gate, 0.0, way.samples_s)
    if way.is_done:
        return GateForecast(gate.gate, 1.0, np.zeros(1))
    chance = way.chance * way.kept_chance * (ACCEPT_CHANCE if status is ChainStatus.OFFERED else 1.0)
    return GateForecast(gate.gate, float(np.clip(chance, 0.0, 1.0)), way.samples_s)
