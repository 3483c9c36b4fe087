import math
from pathlib import Path

import pytest

from benchmarks.aims import read_aims
from benchmarks.lora import attribute_figures, parsed, sampling, training_command
from model.measure.verdicts import Verdict
from model.revision import DRAFT_STEPS, FULL_STEPS, MAP_STEPS


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
    assert figures["slots_held"] == 2.0
    assert figures["lost_points_worst"] == pytest.approx(15.0)
    assert figures["lost_points_mean"] == pytest.approx(10.0)
    assert figures["right_adapter_wall"] == pytest.approx(0.75)


def test_a_slot_that_the_judge_cannot_see_in_the_style_is_reported_and_not_held() -> None:
    figures = _of(base=(18, 20), adapter=(2, 20), restyled=(17, 20))
    assert figures["lost_points_wall"] == pytest.approx(80.0)
    assert figures["slots_held"] == 1.0
    assert figures["lost_points_worst"] == pytest.approx(5.0)


def test_an_adapter_that_gains_is_not_said_to_lose() -> None:
    figures = _of(base=(10, 20), adapter=(20, 20), restyled=(20, 20))
    assert figures["lost_points_wall"] == pytest.approx(-50.0)
    assert figures["object_overlap_base"] == 0.5
    assert not math.isnan(figures["room_depth_error_adapter"])


def test_every_aim_is_a_figure_that_the_benchmark_prints() -> None:
    names = {aim.figure.partition(".")[2] for aim in read_aims("lora")}
    assert names == {"style_over_base", "lost_points_worst", "unload_exact"}


def _options(command: list[str]) -> list[str]:
    """The options of a training command from its first own one on."""
    return command[command.index("lora") + 1 :]


def test_the_training_is_a_command_that_anyone_can_type(tmp_path: Path) -> None:
    plain = training_command(parsed(["--out", str(tmp_path), "--weights", "base"]))
    assert plain[1:5] == ["-m", "service.cli.app", "train", "lora"]
    wanted = ["--clips", f"{tmp_path}/clips", "--weights", "base", "--out", f"{tmp_path}/violet-bands", "--resume"]
    assert _options(plain) == [*wanted, "--minutes", "10.0"]


def test_the_recipe_can_be_changed_from_the_command_line(tmp_path: Path) -> None:
    words = ["--out", str(tmp_path), "--steps", "800", "--rank", "16", "--layer", "blocks.*", "--layer", "final"]
    options = _options(training_command(parsed(words)))
    assert options[-8:] == ["--steps", "800", "--rank", "16", "--layer", "blocks.*", "--layer", "final"]
    assert "--minutes" not in options


def test_clips_are_sampled_as_generation_samples_them() -> None:
    full, draft = sampling(FULL_STEPS), sampling(DRAFT_STEPS)
    assert (full.steps, draft.steps) == (FULL_STEPS, DRAFT_STEPS)
    assert draft.mapped == (DRAFT_STEPS <= MAP_STEPS) and full.mapped == (FULL_STEPS <= MAP_STEPS)
