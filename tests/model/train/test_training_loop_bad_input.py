"""States and logs as a kill or a full disk leaves them: named and refused, or mended."""

import json
import os
import signal
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor, nn

from model.errors import UnreadableCheckpoint
from model.train.loop import LOG_FILE, STATE_FILE, Moment, Training, TrainingPlan


class _Line:
    """A line fitted to noise."""

    def __init__(self, width: int = 3) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(width, 1)

    def loss(self, random: torch.Generator, _moment: Moment) -> tuple[Tensor, dict[str, float]]:
        x = torch.randn(4, self.network.in_features, generator=random)
        return (self.network(x) - 1.0).square().mean(), {}

    def validate(self, _network: nn.Module) -> dict[str, float]:
        return {}

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        pass


def _training(out: Path, steps: int, *, resume: bool = True, width: int = 3) -> Training:
    plan = TrainingPlan(out, steps=steps, log_every=1, save_every=4, look_every=1000)
    return Training(_Line(width), plan, nn.Linear(width, 1), resume)


def _trained(out: Path) -> Path:
    _training(out, 6).run()
    return out


def _steps(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / LOG_FILE).read_text().splitlines()]


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_state_cut_short_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    state = _trained(tmp_path) / STATE_FILE
    state.write_bytes(state.read_bytes()[:kept])
    with pytest.raises(
        UnreadableCheckpoint, match=r"state\.pt: cut short or no training state.*move it away"
    ) as caught:
        _training(tmp_path, 8)
    assert "\n" not in str(caught.value)


def test_a_state_that_is_a_folder_text_or_of_another_version_is_refused(tmp_path: Path) -> None:
    state = _trained(tmp_path) / STATE_FILE
    torch.save({"version": 99}, state)
    with pytest.raises(UnreadableCheckpoint, match="version 99, expected 1"):
        _training(tmp_path, 8)
    state.write_text("no state")
    with pytest.raises(UnreadableCheckpoint, match="no training state"):
        _training(tmp_path, 8)
    state.unlink()
    state.mkdir()
    with pytest.raises(UnreadableCheckpoint, match="no training state"):
        _training(tmp_path, 8)


def test_a_state_with_nan_or_of_another_architecture_is_refused(tmp_path: Path) -> None:
    state = _trained(tmp_path) / STATE_FILE
    with pytest.raises(UnreadableCheckpoint, match="another training or architecture"):
        _training(tmp_path, 8, width=5)
    held = torch.load(state, weights_only=True)
    held["average"]["bias"][0] = float("nan")
    torch.save(held, state)
    with pytest.raises(UnreadableCheckpoint, match="average: values must be finite; bias"):
        _training(tmp_path, 8)


def test_a_log_line_that_a_kill_broke_off_is_made_again(tmp_path: Path) -> None:
    whole, killed = _trained(tmp_path / "whole"), tmp_path / "killed"
    cut = _training(killed, 6)
    while cut.step < 5:
        cut._after_step(
            0.0, cut._one_step(cut.plan.rate(cut.step, cut.plan.progress(cut.step, 0.0)), Moment(cut.step, 0)), None
        )
    with (killed / LOG_FILE).open("a") as log:
        log.write('{"step": 6, "tra')
    _training(killed, 6).run()
    assert _steps(killed) == _steps(whole) == [1, 2, 3, 4, 5, 6]
    state, again = (torch.load(out / STATE_FILE, weights_only=True)["network"] for out in (whole, killed))
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_what_a_killed_save_left_is_removed(tmp_path: Path) -> None:
    left = _trained(tmp_path) / f".{STATE_FILE}.0123456789ab.tmp"
    left.write_bytes(b"half a state")
    _training(tmp_path, 8)
    assert not left.exists()


@pytest.mark.parametrize("written_share", [0.0, 0.5, 1.0])
def test_a_run_killed_while_it_writes_its_state_resumes_to_the_same_curve(tmp_path: Path, written_share: float) -> None:
    whole, killed = _trained(tmp_path / "whole"), tmp_path / "killed"
    child = os.fork()
    if child == 0:
        _killed_at_its_second_save(killed, written_share)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    (left,) = killed.glob(f".{STATE_FILE}.*.tmp")
    assert _steps(killed) == [1, 2, 3, 4, 5, 6]
    _training(killed, 6).run()
    assert not left.exists()
    assert (killed / LOG_FILE).read_text().count("\n") == 6
    curves = [
        [json.loads(line)["loss"] for line in (out / LOG_FILE).read_text().splitlines()] for out in (whole, killed)
    ]
    assert curves[0] == curves[1]
    state, again = (torch.load(out / STATE_FILE, weights_only=True)["network"] for out in (whole, killed))
    assert all(torch.equal(state[name], again[name]) for name in state)


def _killed_at_its_second_save(out: Path, written_share: float) -> NoReturn:
    """Trains in a process of its own, which ends by SIGKILL when so much of the last state is written."""
    signal.alarm(60)  # Should the child hang, it ends and the test says so.
    torch.set_num_threads(1)
    try:
        write, saves = Path.write_bytes, []

        def dying(path: Path, content: bytes) -> int:
            if path.name.startswith(f".{STATE_FILE}."):
                saves.append(path)
            if len(saves) == 2:
                write(path, content[: int(written_share * len(content))])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, content)

        Path.write_bytes = dying  # type: ignore[method-assign, assignment]
        _training(out, 6).run()
    finally:
        os._exit(1)
