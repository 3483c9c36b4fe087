"""The procedural dungeon: rooms behind gates with exact colour, depth, motion and captions, from a seed."""
