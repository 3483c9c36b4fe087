"""Time as the service sees it: epoch seconds from a function that is passed in, so that tests can move it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns epoch seconds."""


def system_clock() -> float:
    """Epoch seconds of this machine."""
    return time.time()
