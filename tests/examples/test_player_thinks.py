from __future__ import annotations

import numpy as np

from examples.vizdoom.player import LONGEST_THOUGHT_S, Player


def player(seed: int) -> Player:
    return Player(seed, lambda: True, lambda: True, lambda: True)


def test_think_times_have_the_median_that_was_asked_for_and_a_heavy_tail() -> None:
    thoughts = player(7)
    drawn = np.array([thoughts.think_s(0.5) for _ in range(4000)])
    assert 0.42 < np.median(drawn) < 0.62
    assert drawn.max() == LONGEST_THOUGHT_S and drawn.min() > 0
    logs = np.log(drawn)
    skew = float(np.mean(((logs - logs.mean()) / logs.std()) ** 3))
    assert skew > 0.4, "heavier-tailed than log-normal, whose logarithms have no skew"


def test_think_times_follow_from_the_seed() -> None:
    first, again, other = ([p.think_s(1.0) for _ in range(5)] for p in (player(1), player(1), player(2)))
    assert first == again != other


def test_waits_end_by_themselves() -> None:
    stubborn = Player(1, lambda: False, lambda: False, lambda: False, longest_wait_s=2.0)
    assert sum(1 for _ in stubborn._wait_until(lambda: False)) == 70
    assert sum(1 for _ in stubborn._wait_until(lambda: True)) == 0
