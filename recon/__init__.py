"""Reconstruction: a Clip becomes a Scene4D of Gaussian splats with explicit motion."""
