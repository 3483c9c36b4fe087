"""How often something is right, with the 95 % interval that so many tries allow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z_95 = 1.959964
"""The 97.5 % quantile of the normal distribution: two-sided 95 %."""


@dataclass(frozen=True)
class Accuracy:
    """`right` of `count` tries.

    Raises:
        ValueError: right is not within [0, count].
    """

    right: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.count:
            raise ValueError(f"right must be within [0, count], got {self.right} of {self.count}")

    @staticmethod
    def of(verdicts: Iterable[bool]) -> Accuracy:
        """How many of the verdicts are true."""
        listed = [bool(verdict) for verdict in verdicts]
        return Accuracy(sum(listed), len(listed))

    @property
    def share(self) -> float:
        """Right over count; NaN where nothing was tried, which meets no aim."""
        return self.right / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 % (Wilson 1927); (0, 1) where nothing was tried."""
        if not self.count:
            return 0.0, 1.0
        n, share = self.count, self.right / self.count
        middle = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(self.right + other.right, self.count + other.count)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.3f} [{low:.3f}, {high:.3f}] of {self.count}"
