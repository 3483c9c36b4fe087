import math

import pytest

from benchmarks.aims import read_aims
from benchmarks.lora import attribute_figures
from model.measure.verdicts import Verdict


def _verdicts(**right: tuple[int, int]) -> list[Verdict]:
    """As many verdicts as the counts say, `right` of each slot first."""
    count = max(of for _, of in right.values())
    return [
        Verdict(
            right={slot: k < good for slot, (good, of) in right.items() if k < of},
            overlap=0.5,
            single_blob=True,
            object_moves=True,
            warp=None,
            room_error=0.1,
        )
        for k in range(count)
    ]


def _of(base: tuple[int, int], adapter: tuple[int, int], restyled: tuple[int, int]) -> dict[str, float]:
    steady = (20, 20)
    return attribute_figures(
        {
            "real": _verdicts(wall=steady, light=steady),
            "restyled": _verdicts(wall=restyled, light=steady),
            "base": _verdicts(wall=base, light=steady),
            "adapter": _verdicts(wall=adapter, light=(19, 20)),
        }
    )


def test_the_slot_that_loses_most_is_held_to_the_aim() -> None:
    figures = _of(base=(18, 20), adapter=(15, 20), restyled=(19, 20))
    assert figures["lost_points_wall"] == pytest.approx(15.0)
    assert figures["lost_points_light"] == pytest.approx(5.0)
    assert (figures["slots_held"], figures["lost_points_worst"]) == (2.0, pytest.approx(15.0))
    assert figures["lost_points_mean"] == pytest.approx(10.0)
    assert figures["right_adapter_wall"] == pytest.approx(0.75)


def test_a_slot_that_the_judge_cannot_see_in_the_style_is_reported_and_not_held() -> None:
    figures = _of(base=(18, 20), adapter=(2, 20), restyled=(17, 20))
    assert figures["lost_points_wall"] == pytest.approx(80.0)
    assert (figures["slots_held"], figures["lost_points_worst"]) == (1.0, pytest.approx(5.0))


def test_an_adapter_that_gains_is_not_said_to_lose() -> None:
    figures = _of(base=(10, 20), adapter=(20, 20), restyled=(20, 20))
    assert figures["lost_points_wall"] == pytest.approx(-50.0)
    assert figures["object_overlap_base"] == 0.5
    assert not math.isnan(figures["room_depth_error_adapter"])


def test_every_aim_is_a_figure_that_the_benchmark_prints() -> None:
    names = {aim.figure.partition(".")[2] for aim in read_aims("lora")}
    assert names == {"style_over_base", "lost_points_worst", "unload_exact"}
