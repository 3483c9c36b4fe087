"""Measures of what the networks make: every figure of `python -m benchmarks.model` is computed here."""
