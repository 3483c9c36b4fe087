"""The ladder of content quality."""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """What can stand behind a gate. Ordered: content on screen never steps down. Numbers are the wire's."""

    PLACEHOLDER = 1
    DRAFT = 2
    FULL = 3
