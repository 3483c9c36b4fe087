"""Durations: log-normal times of tasks, given what has elapsed and what the game says of its progress. NumPy only."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from service.ids import ChainId, TaskId
from service.play.state import TaskState
from service.worlds.world import Duration

SAMPLES = 256
Z90 = 1.2815515655446004
"""Standard normal quantile of 0.9."""
ETA_SIGMA = 0.35
"""Spread (of the log) of the time that is left around a game's own estimate: turning, fighting, looking about."""
SURE_SIGMA = 0.1
"""Spread that is left when the game says that a task is nearly done."""
SOON_S = 0.05
"""The least median of what is left of a task that is not completed."""
MAX_Z = 36.0
HEAVY_TAIL = 2.0
"""Real play has more late players than a log-normal, so lateness is judged by this many times its spread."""

Samples = Float64[np.ndarray, "256"]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a task: log-normal with `median_s` and `sigma` (of the log) when it was last heard of, and
    `age_s` seconds have passed since without its end.
    """

    median_s: float
    sigma: float
    age_s: float

    @property
    def survival(self) -> float:
        """Chance that it takes longer than `age_s` by this distribution."""
        return self._survival(self.sigma)

    @property
    def patience(self) -> float:
        """Chance that a player who is at it takes longer than `age_s`: by a heavier tail than `survival`."""
        return self._survival(self.sigma * HEAVY_TAIL)

    def samples_s(self, ranks: Samples) -> Samples:
        """Equally likely seconds from now to the end, given that it has not come in `age_s`.

        `ranks` (256,) are survival chances in (0, 1); sample i is the one of rank i.
        """
        log_survival = np.log(ranks) + math.log(self.survival)
        z_grid, log_grid = _normal_table()
        z = np.interp(-log_survival, -log_grid, z_grid)
        remaining: Samples = np.maximum(self.median_s * np.exp(self.sigma * z) - max(0.0, self.age_s), 0.0)
        return remaining

    def _survival(self, sigma: float) -> float:
        return 1.0 if self.age_s <= 0 else _survival((math.log(self.age_s) - math.log(self.median_s)) / sigma)


def spread(duration: Duration) -> float:
    """Standard deviation of the log of a duration: ln(p90 / p50) / 1.2816."""
    return math.log(duration.p90_s / duration.p50_s) / Z90


def remaining(duration: Duration, task: TaskState, played_s: float) -> Remaining:
    """What is left of a task whose clock runs, at `played_s` play seconds.

    Without a report: the task's duration, given the time since it began. With the game's own estimate: about that.
    With a fraction f: between (1 - f) of the usual time and what the pace so far gives, the more the latter the
    nearer the end is (geometric mean with weights 1 - f and f).
    """
    sigma = spread(duration)
    began_s = played_s if task.began_s is None else task.began_s
    if task.reported_s is None:
        return Remaining(duration.p50_s, sigma, max(0.0, played_s - began_s))
    age_s = max(0.0, played_s - task.reported_s)
    if task.eta_s is not None:
        return Remaining(max(task.eta_s, SOON_S), min(sigma, ETA_SIGMA), age_s)
    done, left = task.fraction, 1.0 - task.fraction
    spent_s = task.reported_s - began_s
    median_s = left * duration.p50_s
    if done > 0 and left > 0 and spent_s > 0:
        median_s = median_s**left * (spent_s * left / done) ** done
    return Remaining(max(median_s, SOON_S), max(sigma * math.sqrt(left), min(sigma, SURE_SIGMA)), age_s)


@lru_cache(maxsize=8192)
def fresh_samples_s(chain: ChainId, task: TaskId, p50_s: float, p90_s: float) -> Samples:
    """Equally likely durations in seconds of a task that has not begun; the same array in every call, read-only."""
    samples = Remaining(p50_s, spread(Duration(p50_s, p90_s)), 0.0).samples_s(ranks_of(chain, task))
    samples.flags.writeable = False
    return samples


@lru_cache(maxsize=8192)
def ranks_of(*names: str) -> Samples:
    """256 stratified numbers in (0, 1) in an order that the names decide: the same in every process. Read-only."""
    seed = int.from_bytes(hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()[:8], "big")
    ranks = (np.random.Generator(np.random.PCG64(seed)).permutation(SAMPLES) + 0.5) / SAMPLES
    ranks.flags.writeable = False
    return ranks


def _survival(z: float) -> float:
    """P(Z > z) of a standard normal; above 36 that of 36, so that it is never 0."""
    return 0.5 * math.erfc(min(z, MAX_Z) / math.sqrt(2.0))


@lru_cache(maxsize=1)
def _normal_table() -> tuple[np.ndarray, np.ndarray]:
    """z from -9 to 38 in steps of 1/128, and ln P(Z > z): its inverse by interpolation is exact to 1e-5."""
    z = np.arange(-9 * 128, 37.5 * 128 + 1) / 128.0
    log_survival = [
        math.log1p(-_survival(-value)) if value < 0 else math.log(0.5 * math.erfc(value / math.sqrt(2.0)))
        for value in z.tolist()
    ]
    return z, np.array(log_survival)
