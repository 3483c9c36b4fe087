"""The training loop that both networks share: steps, learning rate, average of weights, state on disk, log."""

from __future__ import annotations

import io
import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.checkpoint import write_atomically
from model.errors import ModelError, TrainingDiverged, UnreadableCheckpoint

STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"
STATE_VERSION = 1


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to train.

    Attributes:
        out: folder of state, log, pictures and weights.
        steps: stop after so many steps in all; None to go by minutes.
        minutes: stop after so many minutes of training in all (over resumes); None to go by steps.
        peak_rate: learning rate after the warm-up.
        warmup_steps: over which it rises linearly.
        decay_share: last share of the training over which it falls to 2 % by a cosine.
        average_decay: of the exponential moving average of the weights.
        weight_decay: of AdamW.
        log_every, save_every, look_every: steps between log lines, saved states, and sample pictures; the last step
            has a log line and a saved state anyway.
        seed: of everything random; step k draws from a source made of (seed, k), so a resumed run repeats nothing.

    Raises:
        ModelError: neither or both of steps and minutes, or a number out of range.
    """

    out: Path
    steps: int | None = None
    minutes: float | None = None
    peak_rate: float = 1e-3
    warmup_steps: int = 100
    decay_share: float = 0.35
    average_decay: float = 0.999
    weight_decay: float = 0.01
    log_every: int = 20
    save_every: int = 200
    look_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ModelError(f"training needs steps or minutes, one of them, got {self.steps} and {self.minutes}")
        if (self.steps is not None and self.steps < 1) or (self.minutes is not None and not self.minutes > 0):
            raise ModelError(f"training needs positive steps or minutes, got {self.steps} and {self.minutes}")
        if not 0.0 < self.peak_rate < 1.0 or not 0.0 <= self.decay_share <= 1.0 or not 0.0 <= self.average_decay < 1.0:
            raise ModelError(f"training: peak_rate, decay_share or average_decay is out of range: {self}")

    def progress(self, step: int, trained_s: float) -> float:
        """Share of the training that is done, 0 to 1."""
        done = step / self.steps if self.steps is not None else trained_s / (60.0 * (self.minutes or 1.0))
        return min(done, 1.0)

    def rate(self, step: int, progress: float) -> float:
        """Learning rate: linear warm-up, long flat, cosine to 2 % of the peak."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        into_decay = (progress - 1.0 + self.decay_share) / self.decay_share if self.decay_share else 0.0
        fall = 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * max(0.0, into_decay)))
        return self.peak_rate * warm * fall


@dataclass(frozen=True)
class Moment:
    """Where a training stands: steps done, and the share of it that is done, 0 to 1."""

    step: int
    progress: float


class Task(Protocol):
    """What a network is trained for."""

    @property
    def network(self) -> nn.Module:
        """The network in training."""
        ...

    def loss(self, random: torch.Generator, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """A scalar loss on a batch drawn from `random`, and figures for the log."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on held-out clips with the averaged weights."""
        ...

    def look(self, network: nn.Module, folder: Path, step: int) -> None:
        """Pictures of what the averaged weights do."""
        ...


OnProgress = Callable[[float, dict[str, float]], None]
"""Called after each logged step with the share done and the log line."""


class Training:
    """A task on its way: make it, `run()`, and read `average` for the weights to ship."""

    def __init__(self, task: Task, plan: TrainingPlan, average: nn.Module, resume: bool) -> None:
        self.task, self.plan, self.average = task, plan, average
        self.average.load_state_dict(task.network.state_dict())
        self.average.eval().requires_grad_(False)
        self.step = 0
        self.trained_s = 0.0
        parameters = list(task.network.parameters())
        self.optimizer = torch.optim.AdamW(
            parameters, lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay, fused=True
        )
        plan.out.mkdir(parents=True, exist_ok=True)
        if resume and (plan.out / STATE_FILE).exists():
            self._load()
        elif (plan.out / STATE_FILE).exists():
            raise ModelError(f"{plan.out} already holds a training; resume it or choose another folder")
        _drop_log_after(plan.out / LOG_FILE, self.step)
        for left in plan.out.glob(f".{STATE_FILE}.*.tmp"):
            # A run that was killed while it saved left it: as large as the state itself.
            left.unlink(missing_ok=True)

    def run(self, on_progress: OnProgress | None = None) -> None:
        """Train to the plan's end.

        Raises:
            TrainingDiverged: a loss was not finite; the last saved state is kept.
        """
        while (progress := self.plan.progress(self.step, self.trained_s)) < 1.0:
            begun = time.perf_counter()
            rate = self.plan.rate(self.step, progress)
            figures = self._one_step(rate, Moment(self.step, progress))
            self.trained_s += time.perf_counter() - begun
            self._after_step(rate, figures, on_progress)
        self._save()

    def _one_step(self, rate: float, moment: Moment) -> dict[str, float]:
        random = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, figures = self.task.loss(random, moment)
        if not torch.isfinite(loss):
            raise TrainingDiverged(f"loss became {loss.item()} at step {self.step}, learning rate {rate:g}")
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self._clip()
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return {"loss": loss.item(), "gradient_norm": norm, **figures}

    def _clip(self) -> float:
        """Scale gradients down to norm 1 where it is larger; the norm before."""
        parameters = list(self.task.network.parameters())
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if norm > 1.0:
            nn.utils.clip_grads_with_norm_(parameters, 1.0, norm)
        return float(norm)

    def _update_average(self) -> None:
        decay = min(self.plan.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            ours: list[Tensor] = [*self.average.parameters()]
            theirs: list[Tensor] = [*self.task.network.parameters()]
            torch._foreach_lerp_(ours, theirs, 1.0 - decay)

    def _after_step(self, rate: float, figures: dict[str, float], on_progress: OnProgress | None) -> None:
        plan = self.plan
        if self.step % plan.look_every == 0:
            figures = {**figures, **self.task.validate(self.average)}
            self.task.look(self.average, plan.out, self.step)
        # The last one too, so that a short run has a log and a curve.
        is_last = plan.progress(self.step, self.trained_s) >= 1.0
        if is_last or self.step % plan.log_every == 0 or self.step % plan.look_every == 0:
            line = {"step": self.step, "trained_s": round(self.trained_s, 2), "rate": rate, **figures}
            with (plan.out / LOG_FILE).open("a") as log:
                log.write(json.dumps(line) + "\n")
            if on_progress is not None:
                on_progress(plan.progress(self.step, self.trained_s), line)
        if self.step % plan.save_every == 0:
            self._save()

    def _save(self) -> None:
        state: dict[str, Any] = {
            "version": STATE_VERSION,
            "step": self.step,
            "trained_s": self.trained_s,
            "network": self.task.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.plan.out / STATE_FILE, buffer.getvalue())

    def _load(self) -> None:
        path = self.plan.out / STATE_FILE
        state = _read_state(path)
        try:
            self.task.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.trained_s = int(state["step"]), float(state["trained_s"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = next(iter(str(error).splitlines()), "")[:200]
            what = f"state of another training or architecture ({said})"
            raise UnreadableCheckpoint(
                f"{path}: {what}; resume with the same options, or train in a new folder"
            ) from error


def _read_state(path: Path) -> dict[str, Any]:
    """What `Training._save` wrote. Raises UnreadableCheckpoint."""
    remedy = "move it away to train from the start, or train in a new folder"
    try:
        state = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise UnreadableCheckpoint(f"{path}: cut short or no training state ({said}); {remedy}") from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != STATE_VERSION:
        raise UnreadableCheckpoint(f"{path}: training state version {version}, expected {STATE_VERSION}; {remedy}")
    held: dict[str, Any] = state
    for part in ("network", "average"):
        tensors = held.get(part)
        bad = [name for name, value in dict(tensors or {}).items() if not torch.isfinite(value).all()]
        if bad:
            raise UnreadableCheckpoint(f"{path}: {part}: values must be finite; {', '.join(bad[:5])} are not; {remedy}")
    return held


def _drop_log_after(path: Path, step: int) -> None:
    """Forget log lines of steps that a killed run made after its last saved state: they are made again.

    A line that breaks off is one of them: the run was killed as it wrote.
    """
    if path.exists():
        lines = [line for line in path.read_text(errors="replace").splitlines() if _step_of(line) <= step]
        write_atomically(path, "".join(line + "\n" for line in lines).encode())


def _step_of(line: str) -> float:
    """The step of a log line; infinity for one that is no line of ours."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
