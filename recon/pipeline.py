"""The pipeline: a Clip becomes a Scene4D in stages, each short, so that a job can be preempted and resumed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from clips.clip import Clip
from recon.check import check_clip
from recon.errors import UnreadableScene
from recon.fill import Seen, fill_points
from recon.fusion import fuse_depth, untrusted
from recon.merge import merge
from recon.motion import moving_splats
from recon.noise import DepthNoise, estimate_noise
from recon.points import points_of
from recon.prune import visible
from recon.refine import Fit, Round, refine
from recon.refit import View, color_limits, every_view, refit_colors, splat_weights, views_of
from recon.scene import Scene4D
from recon.settings import ReconSettings
from recon.splats import Splats, concatenate_splats, scene_of
from recon.split import MOVING, STATIC, split

STATE_VERSION = 1
FILL_COARSER = 2.0
_BEFORE_COLORS = ("check", "depth", "split", "static", "fill", "motion")
_FIT = "fit."
_SPLAT_FIELDS = tuple(field.name for field in fields(Splats))


class Reconstruction:
    """One clip on its way to a scene.

    `advance` runs one stage; `state_bytes` between stages is all that `resume` needs to go on, in another
    process, to the same scene: bit for bit on one machine, but for the refinement where seconds decide how long it is.

    Attributes:
        clip, settings: what is reconstructed, and how.
        stages_done: how many stages have run.
    """

    def __init__(self, clip: Clip, settings: ReconSettings) -> None:
        self.clip = clip
        self.settings = settings
        self.stages_done = 0
        self._arrays: dict[str, np.ndarray] = {}
        self._views: list[View] | None = None
        self._stages = (
            *_BEFORE_COLORS,
            *("colors",) * settings.color_rounds,
            *("refine",) * settings.refine_rounds,
            "prune",
        )

    @property
    def stages_total(self) -> int:
        """How many stages there are, the colour rounds counted one by one."""
        return len(self._stages)

    @property
    def stage_name(self) -> str:
        """The next stage's name; "done" when there is none."""
        return "done" if self.done else self._stages[self.stages_done]

    @property
    def done(self) -> bool:
        """True when every stage has run."""
        return self.stages_done == len(self._stages)

    def advance(self) -> None:
        """Run the next stage; does nothing when all are done.

        Raises:
            Unreconstructable: the clip's cameras contradict its depth.
        """
        if self.done:
            return
        getattr(self, f"_{self.stage_name}")()
        self.stages_done += 1

    def finish(self) -> Scene4D:
        """The scene, after all stages that are left have run."""
        while not self.done:
            self.advance()
        return scene_of(self._splats(), self.clip.duration_s)

    def state_bytes(self) -> bytes:
        """Everything that the stages so far have made, as bytes for `resume`."""
        header = {"version": STATE_VERSION, "stages_done": self.stages_done, "job": _fingerprint(self)}
        buffer = io.BytesIO()
        np.savez(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **self._arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def resume(cls, clip: Clip, settings: ReconSettings, state: bytes) -> Reconstruction:
        """The reconstruction that gave `state`, ready for its next stage.

        Raises:
            UnreadableScene: the state is cut short, of another version, or of another clip or settings.
        """
        job = cls(clip, settings)
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
                header = json.loads(bytes(arrays["header"]).decode())
                job._arrays = {name: arrays[name] for name in arrays.files if name != "header"}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UnreadableScene(f"reconstruction state is not readable ({error}); start again") from error
        expected = {"version": STATE_VERSION, "job": _fingerprint(job)}
        got = {name: header.get(name) for name in expected}
        if got != expected:
            raise UnreadableScene(f"reconstruction state is of another job: expected {expected}, got {got}")
        job.stages_done = int(header["stages_done"])
        return job

    def _check(self) -> None:
        check_clip(self.clip)
        noise = estimate_noise(self.clip)
        self._arrays["noise"] = np.array([noise.sigma, noise.pixel_sigma, noise.drift_sigma])

    def _depth(self) -> None:
        self._arrays["depth"] = fuse_depth(self.clip, self._noise)
        self._arrays["untrusted"] = untrusted(self._arrays["depth"], self._noise)

    def _split(self) -> None:
        depth = self._arrays["depth"]
        points = points_of(self.clip.frames, depth, self.clip.cameras)
        self._arrays["kinds"] = split(points, depth, self._arrays.pop("untrusted"), self.clip.cameras, self._noise)

    def _static(self) -> None:
        points = points_of(self.clip.frames, self._arrays["depth"], self.clip.cameras)
        self._store([merge(points[self._arrays["kinds"].ravel() == STATIC], self.settings)], filled=False)

    def _fill(self) -> None:
        static = self._arrays["kinds"] == STATIC
        seen = Seen(self.clip.frames, self._arrays["depth"], static, self.clip.cameras)
        points = fill_points(seen, self._noise, self.settings)
        if points is not None:
            self._store([merge(points, self.settings.coarser(FILL_COARSER))], filled=True)

    def _motion(self) -> None:
        moving = self._arrays["kinds"].ravel() == MOVING
        if moving.any():
            points = points_of(self.clip.frames, self._arrays["depth"], self.clip.cameras)[moving]
            self._store(moving_splats(points, self.clip, self.settings), filled=False)
        for name in ("depth", "kinds"):
            del self._arrays[name]

    def _colors(self) -> None:
        splats = self._splats()
        if len(splats):
            measured = self._arrays.setdefault("measured", splats.colors)
            limits = color_limits(measured, np.isinf(splats.time_widths))
            steps = self.settings.color_steps
            self._arrays["colors"] = refit_colors(splats.colors, self._seen_views(splats), steps, limits)

    def _refine(self) -> None:
        """One round; between rounds the fit's numbers and moments are the state, after the last one the splats are."""
        settings, rounds = self.settings, self.settings.refine_rounds
        number = self.stages_done - (len(self._stages) - 1 - rounds)
        held = {name.removeprefix(_FIT): self._arrays[name] for name in self._arrays if name.startswith(_FIT)}
        fit = Fit.restored(held) if held else Fit(self._splats(), self._arrays["filled"])
        steps = settings.refine_steps // rounds + (number < settings.refine_steps % rounds)
        seconds = 0.0 if settings.refine_steps else settings.budget_s(self.clip.depth.size) / rounds
        refine(fit, self.clip, Round(number, number / rounds, (number + 1) / rounds, seconds, steps), settings.threads)
        if number + 1 < rounds:
            self._arrays.update({_FIT + name: array for name, array in fit.arrays().items()})
            return
        for name in held:
            del self._arrays[_FIT + name]
        splats = fit.splats()
        self._arrays.update({name: getattr(splats, name) for name in _SPLAT_FIELDS}, filled=fit.filled)
        self._views = None

    def _prune(self) -> None:
        splats = self._splats()
        if len(splats):
            whole = self._views is not None and len(self._views) == len(self.clip)
            views = self._views if whole else every_view(scene_of(splats, self.clip.duration_s), self.clip)
            weights = splat_weights(views or [], len(splats))
            self._keep(visible(splats, weights, self._arrays["filled"]))
        self._arrays.pop("measured", None)
        self._views = None

    @property
    def _noise(self) -> DepthNoise:
        return DepthNoise(*map(float, self._arrays["noise"]))

    def _splats(self) -> Splats:
        return Splats(*(self._arrays[name] for name in _SPLAT_FIELDS))

    def _store(self, parts: list[Splats], filled: bool) -> None:
        """Add `parts` to the splats made so far."""
        parts = [self._splats(), *parts] if "means" in self._arrays else parts
        before = self._arrays.get("filled", np.zeros(0, bool))
        splats = concatenate_splats(parts)
        self._arrays.update({name: getattr(splats, name) for name in _SPLAT_FIELDS})
        self._arrays["filled"] = np.concatenate([before, np.full(len(splats) - len(before), filled)])

    def _keep(self, keep: np.ndarray) -> None:
        for name in (*_SPLAT_FIELDS, "filled"):
            self._arrays[name] = self._arrays[name][keep]

    def _seen_views(self, splats: Splats) -> list[View]:
        """What the frames are made of; geometry is fixed while colours are refitted, so it is made once."""
        if self._views is None:
            self._views = views_of(scene_of(splats, self.clip.duration_s), self.clip, self.settings.max_blends)
        return self._views


def reconstruct(clip: Clip, settings: ReconSettings) -> Scene4D:
    """The Scene4D of `clip`.

    Raises:
        Unreconstructable: the clip's cameras contradict its depth; the message names the frames.
    """
    return Reconstruction(clip, settings).finish()


def _fingerprint(job: Reconstruction) -> str:
    """SHA-256 (hex) of the clip and settings, so that a state is never resumed with others."""
    hasher = hashlib.sha256(json.dumps(_plain(job.settings), sort_keys=True).encode())
    for part in (job.clip.frames, job.clip.depth, job.clip.times):
        hasher.update(np.ascontiguousarray(part).tobytes())
    hasher.update(job.clip.cameras.digest().encode())
    return hasher.hexdigest()


def _plain(settings: ReconSettings) -> dict[str, Any]:
    return asdict(settings)
