"""Peers to measure against: the same transport with nothing behind it."""
