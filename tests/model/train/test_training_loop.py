import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model.errors import ModelError, TrainingDiverged
from model.train.loop import Moment, Training, TrainingPlan
from model.train.pictures import save_curve


class LineTask:
    """Fit a line: everything that the loop needs, in two parameters."""

    def __init__(self, diverge_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(1, 1)
        self.calls, self.diverge_at = 0, diverge_at

    def loss(self, random: torch.Generator, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        self.calls += 1
        x = torch.randn(8, 1, generator=random)
        loss = (self.network(x) - (3.0 * x + 1.0)).square().mean()
        return (loss * float("nan") if self.calls == self.diverge_at else loss), {"share": moment.progress}

    def validate(self, network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"val_loss": float((network(torch.ones(1, 1)) - 4.0).square())}

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        (folder / f"look-{step:06d}.png").write_bytes(b"seen")


def _plan(out: Path, **changes: object) -> TrainingPlan:
    fields: dict[str, object] = {"steps": 12, "peak_rate": 0.05, "warmup_steps": 2, "log_every": 1}
    return TrainingPlan(out, **{**fields, "save_every": 3, "look_every": 6, **changes})


def _train(out: Path, resume: bool = False, task: LineTask | None = None, **changes: object) -> Training:
    training = Training(task or LineTask(), _plan(out, **changes), nn.Linear(1, 1), resume)
    training.run()
    return training


def _log(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "trained_s"} for line in lines]


def test_a_killed_run_resumes_to_the_same_curve(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole")
    for killed_at in (1, 4, 8):
        out = tmp_path / f"killed-{killed_at}"

        class Killed(LineTask):
            def loss(
                self, random: torch.Generator, moment: Moment, last: int = killed_at
            ) -> tuple[Tensor, dict[str, float]]:
                if self.calls == last:
                    raise KeyboardInterrupt
                return super().loss(random, moment)

        with pytest.raises(KeyboardInterrupt):
            _train(out, task=Killed())
        again = _train(out, resume=True)
        assert _log(out) == _log(tmp_path / "whole")
        for ours, theirs in zip(again.average.parameters(), whole.average.parameters(), strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(again.task.network.weight, whole.task.network.weight)


@pytest.mark.parametrize("length", [{"steps": 3}, {"steps": None, "minutes": 1e-9}], ids=["steps", "minutes"])
def test_a_run_shorter_than_a_log_line_is_logged_at_its_last_step(tmp_path: Path, length: dict[str, object]) -> None:
    training = _train(tmp_path, log_every=20, look_every=1000, **length)
    assert [line["step"] for line in _log(tmp_path)] == [training.step] == [3 if length["steps"] else 1]
    save_curve(tmp_path / "log.jsonl", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_a_last_step_between_two_log_lines_is_logged_once(tmp_path: Path) -> None:
    _train(tmp_path / "between", steps=10, log_every=4, look_every=1000)
    assert [line["step"] for line in _log(tmp_path / "between")] == [4, 8, 10]
    _train(tmp_path / "on", steps=8, log_every=4, look_every=1000)
    assert [line["step"] for line in _log(tmp_path / "on")] == [4, 8]


def test_training_learns_logs_looks_and_averages(tmp_path: Path) -> None:
    training = _train(tmp_path, steps=60, average_decay=0.9)
    log = _log(tmp_path)
    assert [line["step"] for line in log] == list(range(1, 61))
    assert log[-1]["loss"] < 0.2 * log[0]["loss"]
    assert [line["step"] for line in log if "val_loss" in line] == list(range(6, 61, 6))
    assert (tmp_path / "look-000060.png").exists()
    assert not torch.equal(training.average.weight, training.task.network.weight)
    assert torch.allclose(training.average.weight, training.task.network.weight, atol=0.5)
    save_curve(tmp_path / "log.jsonl", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_training_resumes_to_nothing_more(tmp_path: Path) -> None:
    _train(tmp_path)
    task = LineTask()
    _train(tmp_path, resume=True, task=task)
    assert task.calls == 0


def test_a_folder_with_a_training_needs_resume(tmp_path: Path) -> None:
    _train(tmp_path)
    with pytest.raises(ModelError, match="resume it or choose another folder"):
        _train(tmp_path)


def test_a_diverged_loss_ends_the_run_and_keeps_the_last_state(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="step 6"):
        _train(tmp_path, task=LineTask(diverge_at=7))
    assert _train(tmp_path, resume=True).step == 12


def test_rate_warms_up_stays_flat_and_falls_by_a_cosine(tmp_path: Path) -> None:
    plan = _plan(tmp_path, steps=100, warmup_steps=10, decay_share=0.4, peak_rate=0.1)
    assert plan.rate(0, 0.0) == pytest.approx(0.01)
    assert plan.rate(30, 0.3) == plan.rate(59, 0.59) == pytest.approx(0.1)
    middle = 0.1 * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert plan.rate(80, 0.8) == pytest.approx(middle)
    assert plan.rate(100, 1.0) == pytest.approx(0.002)


def test_progress_by_minutes_counts_training_over_resumes(tmp_path: Path) -> None:
    plan = TrainingPlan(tmp_path, minutes=2.0)
    assert plan.progress(10**6, 30.0) == pytest.approx(0.25)
    assert plan.progress(0, 500.0) == 1.0


@pytest.mark.parametrize(
    "fields", [{}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}, {"minutes": float("nan")}]
)
def test_plans_without_an_end_are_refused(tmp_path: Path, fields: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="steps or minutes"):
        TrainingPlan(tmp_path, **fields)
