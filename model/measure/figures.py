"""Figures of issue 3's table out of what was gathered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from model.measure.accuracy import Accuracy
from model.measure.distribution import median_distance, mmd_over, mmd_squared, sampling_noise
from model.measure.verdicts import (
    attribute_accuracy,
    blob_accuracy,
    last_prop_accuracy,
    mean_far_share,
    mean_overlap,
    mean_room_error,
    mean_warp,
)
from model.measure.ways import Gathered

NAMED_SLOTS = ("light", "wall", "floor", "color", "prop", "shape")
"""Slots with an aim; ceiling and size are reported beside them."""

Figures = dict[str, float]


def way_figures(gathered: Gathered) -> tuple[Figures, dict[str, Accuracy]]:
    """Figures of one way, and the accuracies among them with what their intervals are made of."""
    verdicts = gathered.verdicts
    accuracies = {f"{slot}_right": found for slot, found in attribute_accuracy(verdicts).items()}
    accuracies["prop_last"] = last_prop_accuracy(verdicts)
    accuracies["single_blob"] = blob_accuracy(verdicts)
    warp = mean_warp(verdicts)
    figures = {name: found.share for name, found in accuracies.items()}
    figures |= {
        "object_iou": mean_overlap(verdicts),
        "warp_error": warp.error,
        "warp_frozen": warp.frozen,
        "warp_over_frozen": warp.error / warp.frozen,
        "room_depth_error": mean_room_error(verdicts),
        "far_depth": mean_far_share(verdicts),
        "flip": float(np.mean(gathered.errors)),
    }
    return figures, accuracies


def step_figures(few: Figures, many: Figures) -> Figures:
    """Few steps beside many: the most that a named attribute loses, and the least share that one keeps."""
    losses = [many[f"{slot}_right"] - few[f"{slot}_right"] for slot in NAMED_SLOTS]
    shares = [_share(few[f"{slot}_right"], many[f"{slot}_right"]) for slot in NAMED_SLOTS]
    return {
        "attribute_loss": _worst(losses, largest=True),
        "attribute_share": _worst(shares, largest=False),
        "flip_ratio": few["flip"] / many["flip"],
    }


def distribution_figures(real: Gathered, ways: Mapping[str, Gathered]) -> tuple[Figures, float]:
    """MMD^2 of every way to the real clips, and the sampling noise of it between real clips."""
    features = real.all_features
    bandwidth = median_distance(features)
    noise = sampling_noise(features, bandwidth)
    return {name: mmd_squared(found.all_features, features, bandwidth) for name, found in ways.items()}, noise


def mmd_ratio(distances: Figures, few: str, many: str, noise: float) -> float:
    """MMD of one way over that of another, each at least the sampling noise."""
    return mmd_over(distances[few], distances[many], noise)


def control_gain(with_control: Figures, without: Figures) -> float:
    """Share of the room's depth error that control takes away."""
    return 1.0 - with_control["room_depth_error"] / without["room_depth_error"]


def lowest_right(figures: Figures) -> float:
    """The least right of the named attributes."""
    return _worst([figures[f"{slot}_right"] for slot in NAMED_SLOTS], largest=False)


def _share(few: float, many: float) -> float:
    return few / many if many > 0 else math.nan


def _worst(values: Sequence[float], *, largest: bool) -> float:
    """The largest or smallest; NaN, which meets no aim, where one is NaN."""
    if any(math.isnan(value) for value in values):
        return math.nan
    return max(values) if largest else min(values)
