"""Captures: footage of real places as posed pictures with sparse points, and their first, still reconstruction."""
