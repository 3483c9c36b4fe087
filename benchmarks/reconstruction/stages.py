"""A reconstruction with a clock and a memory gauge at every stage."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from clips.clip import Clip
from recon.pipeline import Reconstruction
from recon.scene import Scene4D
from recon.settings import ReconSettings

_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_FORGET_PEAK = "5"


@dataclass(frozen=True, eq=False)
class Made:
    """A reconstructed scene and what it took.

    Attributes:
        seconds: wall clock of each stage, by its name; rounds of one name are added up.
        cpu_s: processor time of the whole, all threads together.
        peak_mb: most memory that the process held meanwhile, interpreter and libraries included.
        added_mb: how much of it came on top of what it held before.
        borders: frames at which a new window of the pipeline begins; empty where it takes the clip as one.
    """

    scene: Scene4D
    seconds: dict[str, float]
    cpu_s: float
    peak_mb: float
    added_mb: float
    borders: tuple[int, ...]

    @property
    def total_s(self) -> float:
        """Wall clock of all stages."""
        return sum(self.seconds.values())

    @property
    def figures(self) -> dict[str, float]:
        """Seconds in all and by stage (`STAGE_s`), and memory."""
        stages = {f"stage_{name}_s": seconds for name, seconds in self.seconds.items()}
        return {
            "total_s": self.total_s,
            "cpu_s": self.cpu_s,
            "peak_mb": self.peak_mb,
            "added_mb": self.added_mb,
            **stages,
        }


def made(clip: Clip, settings: ReconSettings) -> Made:
    """The scene of `clip`, measured."""
    _forget_peak()
    before_mb, cpu_s = psutil.Process().memory_info().rss / 1e6, time.process_time()
    job = Reconstruction(clip, settings)
    seconds: dict[str, float] = {}
    while not job.done:
        name, begun = job.stage_name, time.perf_counter()
        job.advance()
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun
    scene = job.finish()
    cpu_s, peak_mb = time.process_time() - cpu_s, _peak_mb()
    # Only a pipeline that works in windows has borders between them.
    borders = tuple(int(frame) for frame in getattr(job, "window_borders", ()))
    return Made(scene, seconds, cpu_s, peak_mb, max(peak_mb - before_mb, 0.0), borders)


def _forget_peak() -> None:
    """Let the kernel count the peak of this process anew; where it counts none, what is held at the end stands in."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text(_FORGET_PEAK)


def _peak_mb() -> float:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024 / 1e6
    return float(psutil.Process().memory_info().rss) / 1e6
