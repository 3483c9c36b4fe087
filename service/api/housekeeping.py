"""Housekeeping: from time to time, content beyond the limit is evicted and what nobody names is deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from service.api.stores import Stores
from service.clock import Clock
from service.errors import ServiceError
from service.ids import SegmentId
from service.store.eviction import delete_unregistered, evict

logger = logging.getLogger(__name__)

PERIOD_S = 300.0


async def keep_house(
    stores: Stores, clock: Clock, max_bytes: int, on_screen: Callable[[], Collection[SegmentId]]
) -> None:
    """Tidy every five minutes until cancelled; a round that fails is logged, and the next one tries again."""
    while True:
        await asyncio.sleep(PERIOD_S)
        try:
            await asyncio.to_thread(tidy, stores, clock, max_bytes, on_screen())
        except (ServiceError, OSError) as error:
            logger.warning("housekeeping failed: %s", error)


def tidy(stores: Stores, clock: Clock, max_bytes: int, on_screen: Collection[SegmentId]) -> tuple[int, int, int]:
    """How many assets were evicted, files deleted and old jobs forgotten."""
    evicted = evict(stores.engine, clock, max_bytes, on_screen)
    deleted = delete_unregistered(stores.engine, stores.blobs)
    pruned = stores.jobs.prune()
    if evicted or deleted or pruned:
        counts = {"evicted": len(evicted), "deleted": len(deleted), "pruned": pruned}
        logger.info("housekeeping", extra=counts)
    return len(evicted), len(deleted), pruned
