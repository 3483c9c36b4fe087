"""What worlds may ask for: the one place that says which segments this version can make, and how big a world may be."""

from __future__ import annotations

SUPPORTED_FRAMES = (17, 33)
"""Numbers of frames that the embedded model makes: one stretch, or two of which the second continues the first."""
SUPPORTED_SIZES = ((96, 64),)
"""Picture sizes (width, height) in pixels that the embedded model makes."""
MIN_FPS, MAX_FPS = 1.0, 60.0

MAX_SOURCE_BYTES = 1 << 20
MAX_DEPTH = 32
"""Levels of nesting in a world file."""
MAX_VALUES = 100_000
"""Keys, values, lists and mappings in a world file."""
MAX_PROBLEMS = 50
"""Problems that one error tells of."""
MAX_CHAINS = 256
MAX_TASKS = 512
"""Tasks of one chain."""
MAX_GATES = 1_024
MAX_POOL = 64
MAX_TITLE_CHARACTERS = 200
MIN_SECONDS, MAX_SECONDS = 0.01, 10_000_000.0
"""Limits of a task's p50 and p90."""
MAX_PLACEHOLDER_BYTES = 64 << 20
"""Size of a placeholder clip, unpacked."""
MAX_DEPTH_FILE_BYTES = 64 << 20
"""Size of a control depth's file, unpacked."""
