"""What worlds may ask for: which segments the shipped weights make, and how big a world may be."""

from __future__ import annotations

from model.supported import SupportedSize

SHIPPED = SupportedSize(17, 96, 64)
"""What the weights that Narthex ships make, and what counts where a server's own weights do not say."""
MAX_FRAMES, MAX_SIZE_PX = 1_024, 4_096
"""Of any segment, whatever the weights."""
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
MAX_MESH_BYTES = 16 << 20
"""Size of a collision mesh's file."""
