"""The prefetch plan: what to work on next, as a pure function."""
