"""The free object's shapes as convex bodies of size 1, in the object frame (y down)."""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float64

from clips.dungeon.attributes import Shape
from clips.dungeon.scene import SHAPE_HALVES

CONE_SIDES = 32


def vertices(shape: Shape) -> Float64[np.ndarray, "V 3"]:
    """Corners (V, 3) of a shape whose convex hull it is; a cone's rim has CONE_SIDES, an orb six for its size."""
    half = np.array(SHAPE_HALVES[shape])
    if shape is Shape.CUBE:
        return np.asarray(half * np.array(list(itertools.product((-1.0, 1.0), repeat=3))))
    if shape is Shape.CONE:
        angle = 2 * math.pi * np.arange(CONE_SIDES) / CONE_SIDES
        rim = np.stack([np.cos(angle), np.ones(CONE_SIDES), np.sin(angle)], axis=1)
        return np.asarray(half * np.concatenate([[[0.0, -1.0, 0.0]], rim]))
    return np.asarray(half * np.concatenate([np.eye(3), -np.eye(3)]))


def reach(shape: Shape, direction: Float64[np.ndarray, "3"]) -> float:
    """How far a shape of size 1 reaches from its centre along a unit direction of the object frame."""
    if shape is Shape.ORB:
        return SHAPE_HALVES[shape][0]
    return float((vertices(shape) @ direction).max())


def radius(shape: Shape) -> float:
    """Radius of the smallest sphere around the centre of a shape of size 1 that holds it however it turns."""
    if shape is Shape.ORB:
        return SHAPE_HALVES[shape][0]
    return float(np.linalg.norm(vertices(shape), axis=1).max())
