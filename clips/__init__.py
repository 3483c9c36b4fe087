"""Clips: RGB-D video with exact cameras, its I/O, and the procedural dungeon that gives ground truth."""
