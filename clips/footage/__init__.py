"""Footage: clips with all that a training wants to know of them, in a folder format that any engine can write."""
