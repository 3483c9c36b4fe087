"""Picture bands: rows shared out among threads so that each has about as many Gaussian-pixel pairs to blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from numba import njit

from recon.raster.blend import gaussian, reach_of, rows_of


def row_bands(geometry: Float32[np.ndarray, "M 6"], height: int, threads: int) -> list[tuple[int, int]]:
    """Row ranges [start, end), at most `threads` of them, that cover `height` rows with about equal work."""
    count = max(1, min(threads, height))
    if count == 1:
        return [(0, height)]
    work = np.cumsum(_work_of_rows(geometry, height))
    inner = np.searchsorted(work, work[-1] * np.arange(1, count) / count) + 1
    borders = np.unique(np.clip([0, *inner, height], 0, height))
    return list(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True))


def run_all(calls: Sequence[Callable[[], object]]) -> None:
    """Run the calls at the same time, the first one in this thread; an exception of any is raised."""
    waiting = [_pool(len(calls) - 1).submit(call) for call in calls[1:]] if len(calls) > 1 else []
    calls[0]()
    for one in waiting:
        one.result()


@lru_cache(maxsize=8)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Starting threads for every picture would cost as much as a small picture does."""
    return ThreadPoolExecutor(threads, thread_name_prefix="raster")


@njit(cache=True, nogil=True)
def _work_of_rows(geometry: np.ndarray, height: int) -> np.ndarray:
    """About how many pixels are blended in each row (H,), and a little for the row itself."""
    begins = np.zeros(height + 1)
    for g in range(len(geometry)):
        _, y, a, b, c, opacity = gaussian(geometry, g)
        _, reach_x, reach_y = reach_of(a, b, c, opacity)
        top, bottom = rows_of(y, reach_y)
        first, last = max(top, 0), min(bottom, height)
        if first < last:
            mean_width = 1.6 * reach_x + 2.0
            begins[first] += mean_width
            begins[last] -= mean_width
    return np.cumsum(begins)[:height] + 1.0
