"""How fast the game runs and how often it is photographed; apart, so that it can be read without ViZDoom."""

from __future__ import annotations

TICKS_PER_S = 35.0
PICTURE_EVERY_TICKS = 2
PICTURES_PER_S = TICKS_PER_S / PICTURE_EVERY_TICKS
