from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.aims import AIMS_FILE, Aim, check, read_aims

FIGURES = {
    "server": {"event_unary_ratio": ">= 0.25", "read_asset_ratio": ">= 0.8", "idle_watcher_kib": "<= 48"},
    "demo": {"warm_s": "<= 120", "first_run_s": "<= 180", "peak_memory_gb": "<= 2.5"},
    "dungeon": {"frames_per_s": ">= 300"},
    "model": {
        "flip_over_mean_clip": "< 1",
        "velocity_loss_over_untrained": "< 1",
        "vae_psnr_db": ">= 30.5",
        "vae_depth_abs_rel": "<= 0.014",
        "vae_object_psnr_db": ">= 28.5",
        **{f"{slot}_right": ">= 0.95" for slot in ("light", "wall", "floor", "color")},
        **{f"pairs_{slot}_right": ">= 0.9" for slot in ("light", "wall", "floor", "color")},
        "judge_lowest_on_real": ">= 0.98",
        "judged_clips": ">= 200",
        "prop_right": ">= 0.9",
        "shape_right_objects": ">= 0.9",
        "shape_right_none": ">= 0.75",
        "object_iou_objects": ">= 0.7",
        "single_blob_objects": ">= 0.95",
        "single_blob_none": ">= 0.85",
        "warp_error": "<= 0.04",
        "warp_over_frozen": "<= 0.4",
        "room_depth_error_objects": "<= 0.05",
        "room_depth_gain": ">= 0.3",
        "four_steps_attribute_loss": "<= 0.03",
        "four_steps_flip_ratio": "<= 1.15",
        "four_steps_mmd_ratio": "<= 1.15",
        "draft_attribute_share": ">= 0.9",
        "latency_over_bare": "<= 1.15",
        "chinese_same_slots": ">= 0.98",
    },
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_aims_of_the_issue_are_all_there(name: str):
    aims = {aim.figure: f"{aim.sign} {aim.bound:g}" for aim in read_aims(name)}
    assert FIGURES[name].items() <= {key.partition(".")[2]: value for key, value in aims.items()}.items()
    assert all(aim.issue >= 2 and aim.text for aim in read_aims(name))


def test_figures_are_held_against_their_aims(capsys: pytest.CaptureFixture[str]):
    good = {"event_unary_ratio": 0.25, "read_asset_ratio": 0.9, "idle_watcher_kib": 48.0, "extra": 1.0}
    assert check("server", good) == 0
    assert check("server", good | {"event_unary_ratio": 0.249}) == 1
    assert check("server", good | {"idle_watcher_kib": math.nan}) == 1
    del good["read_asset_ratio"]
    assert check("server", good) == 1
    captured = capsys.readouterr()
    assert "missing" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("sign", "figure", "met"),
    [("<", 1.0, False), ("<", 0.9, True), ("<=", 1.0, True), (">", 1.0, False), (">=", 1.0, True), (">=", None, False)],
)
def test_signs(sign: str, figure: float | None, met: bool):
    assert Aim("a.b", sign, 1.0, 2, "words").met_by(figure) is met


def test_a_file_without_the_benchmark_or_with_a_wrong_sign_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="has no aim"):
        read_aims("nothing", AIMS_FILE)
    path = tmp_path / "aims.toml"
    path.write_text("[a.b]\naim = '= 1'\nissue = 2\ntext = 'x'\n")
    with pytest.raises(ValueError, match="got the sign '='"):
        read_aims("a", path)
