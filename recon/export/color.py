"""Colour: the one place where splat colours change their encoding.

Scenes are trained on, hold and blend sRGB-encoded display values (Rec. 709 primaries), as 3DGS does; files that
can say so say `srgb-rec709-display`. An engine that works in linear light blends splats in a target of its own
and converts the result with `linear_of_display`, not the colours of single splats.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from recon.spherical_harmonics import SH_C0

COLOR_SPACE = "srgb-rec709-display"


def display_of_sh0(sh0: np.ndarray) -> Float32[np.ndarray, "..."]:
    """sRGB-encoded display values of degree-0 SH coefficients, not clipped: 0.5 + 0.28209479 * sh0."""
    return np.asarray(0.5 + SH_C0 * np.asarray(sh0, np.float64), np.float32)


def sh0_of_display(display: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Degree-0 SH coefficients of sRGB-encoded display values, the inverse of `display_of_sh0`."""
    return np.asarray((np.asarray(display, np.float64) - 0.5) / SH_C0, np.float32)


def linear_of_display(display: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Linear light of sRGB-encoded values in [0, 1] (IEC 61966-2-1)."""
    value = np.asarray(display, np.float64)
    bent = np.power(np.maximum((value + 0.055) / 1.055, 0.0), 2.4)
    return np.asarray(np.where(value <= 0.04045, value / 12.92, bent), np.float32)


def display_of_linear(linear: np.ndarray) -> Float32[np.ndarray, "..."]:
    """sRGB-encoded values of linear light in [0, 1], the inverse of `linear_of_display`."""
    value = np.asarray(linear, np.float64)
    bent = 1.055 * np.power(np.maximum(value, 0.0), 1.0 / 2.4) - 0.055
    return np.asarray(np.where(value <= 0.0031308, value * 12.92, bent), np.float32)
