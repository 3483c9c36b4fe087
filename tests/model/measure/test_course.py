from pathlib import Path

import numpy as np
import pytest
import torch

from clips.dungeon.attributes import SLOTS
from model.dit import Dit
from model.measure.course import FEW, MANY, Counts, Course, Policy, Results
from model.measure.generation import Blockout, MadeClip, Sampling
from model.measure.judge import JUDGED_SLOTS, Judge, JudgeConfig
from model.measure.scenes import ClipSize, Scene
from model.measure.sheets import save_sheets
from model.measure.ways import Measuring, Way
from model.vae import Vae

COUNTS = Counts(clips=2, seeds=2, coded=1, pairs=1, paths=1, mean_of=1, noised=1, sheets=1)
Shown = tuple[list[Scene], dict[str, list[MadeClip]]]


def _difference(reference: np.ndarray, test: np.ndarray) -> float:
    return float(np.abs(reference - test).mean())


@pytest.fixture(scope="module")
def ran(small_vae: Vae, small_dit: Dit) -> tuple[Results, list[Shown], int, int]:
    torch.manual_seed(0)
    table = tuple((name, tuple(map(str, SLOTS[name]))) for name in JUDGED_SLOTS)
    judge = Judge(JudgeConfig(4, 1, 1, 8, table)).eval()
    made: list[int] = []
    shown: list[Shown] = []
    # Two steps stand for twenty: what is tested is which figures come of it, not what they are.
    measuring = Measuring(
        (small_vae, small_dit), judge, lambda steps: Sampling(min(steps, 2), 1.5, 2.0), _difference, made.append
    )
    course = Course(
        measuring,
        Policy(1, FEW, Blockout.LAYOUT),
        COUNTS,
        ClipSize(9, 48, 32),
        lambda scenes, clips: shown.append((scenes, clips)),
    )
    results = course.combine([course.run(stage) for stage in course.stages()])
    return results, shown, sum(made), sum(clips for _, clips in course.generated_clips())


def test_every_figure_with_an_aim_is_there(ran: tuple[Results, list[Shown], int, int]) -> None:
    figures = ran[0].figures
    for name in (
        *(f"{slot}_right" for slot in ("light", "wall", "floor", "color", "prop")),
        *(f"pairs_{slot}_right" for slot in ("light", "wall", "floor", "color", "shape")),
        *("shape_right_objects", "shape_right_none", "judge_lowest_on_real", "judged_clips"),
        *("vae_psnr_db", "vae_depth_abs_rel", "vae_object_psnr_db"),
        *("room_depth_error_objects", "room_depth_gain", "draft_attribute_share"),
        *("four_steps_attribute_loss", "four_steps_flip_ratio", "four_steps_mmd_ratio"),
        *("flip_over_mean_clip", "velocity_loss_over_untrained"),
    ):
        assert name in figures, name
    assert {"object_iou_objects", "single_blob_objects", "single_blob_none", "warp_error", "warp_over_frozen"} <= set(
        figures
    )
    assert figures["judged_clips"] == 4
    assert figures["light_right"] == figures["light_right_layout"]


def test_accuracies_come_with_their_counts(ran: tuple[Results, list[Shown], int, int]) -> None:
    found = ran[0].accuracies
    assert found["wall_right_none"].count == found["wall_right_real"].count == 4
    assert found["wall_right_decoded"].count == 4
    assert found["pairs_wall_right"].count == found["paths_wall_right"].count == 1


def test_it_generates_as_many_clips_as_it_foretold(ran: tuple[Results, list[Shown], int, int]) -> None:
    assert ran[2] == ran[3]


def test_one_sheet_shows_every_way_and_few_steps(ran: tuple[Results, list[Shown], int, int], tmp_path: Path) -> None:
    ((scenes, clips),) = ran[1]
    for blockout in (Blockout.OBJECTS, Blockout.NONE):
        assert {str(Way(blockout, steps)) for steps in (1, 2, FEW, MANY)} <= set(clips)
    assert str(Way(Blockout.LAYOUT, FEW)) in clips
    paths = save_sheets(scenes, clips, tmp_path / "sheets")
    assert [path.name for path in paths] == ["scene-00.png"]
    assert paths[0].stat().st_size > 10_000
