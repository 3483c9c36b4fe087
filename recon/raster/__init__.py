"""Rasterizing Gaussians: `rasterization` (gsplat's interface) and `render_scene` (a Scene4D over time)."""

from recon.raster.rasterize import rasterization
from recon.raster.scene import render_scene

__all__ = ["rasterization", "render_scene"]
