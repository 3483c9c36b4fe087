"""Generation: a SegmentSpec becomes a Clip, a few denoising steps at a time, and may be put down and taken up.

Every pixel and every depth comes from the networks; the dungeon renderer is not part of this path
(test_generating_path_imports_no_renderer).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from clips.clip import Clip
from model.checkpoint import load_dit, load_vae
from model.dit import Dit, slot_indices
from model.errors import ModelError, UnreadableCheckpoint, UnsupportedSpec
from model.guidance import guided_velocity
from model.prompt import PromptSlots, parse_prompt
from model.rays import plucker_rays
from model.revision import DIT_FILE, VAE_FILE, default_weights, file_revision
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, seeded_noise, sigma_grid
from model.spec import SegmentSpec
from model.vae import Vae

SIGMA_SHIFT = 2.0


@dataclass(frozen=True)
class SupportedSize:
    """The one segment size that a model makes."""

    frames: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width}x{self.height}"


class Generator:
    """Networks ready to generate; make it with `Generator.load`."""

    def __init__(self, vae: Vae, dit: Dit, revision: str, device: str = "cpu") -> None:
        if dit.config.latent_channels != vae.config.latent_channels:
            raise UnreadableCheckpoint(
                f"VAE and transformer disagree: {vae.config.latent_channels} and {dit.config.latent_channels} channels"
            )
        self.revision = revision
        self.device = torch.device(device)
        self.vae, self.dit = vae.to(self.device), dit.to(self.device)

    @classmethod
    def load(cls, weights_dir: Path | None = None, device: str = "cpu") -> Generator:
        """A generator from `vae.safetensors` and `dit.safetensors` of a folder (None: the shipped weights).

        Raises:
            UnreadableCheckpoint: a file is missing, cut short, of another version or kind, or holds NaN.
        """
        folder = default_weights() if weights_dir is None else weights_dir
        vae_path, dit_path = folder / VAE_FILE, folder / DIT_FILE
        revision = file_revision(vae_path, dit_path)
        return cls(load_vae(vae_path), load_dit(dit_path), revision, device)

    @property
    def supported(self) -> SupportedSize:
        """The one size that these weights make."""
        time, rows, columns = self.dit.config.latent_size
        config = self.vae.config
        return SupportedSize(1 + (time - 1) * config.group_frames, columns * config.patch_px, rows * config.patch_px)

    def begin(self, spec: SegmentSpec) -> Generation:
        """A generation of `spec` at its first step.

        Raises:
            UnsupportedSpec: another size, length or revision than this model's; the message names what it makes.
        """
        noise = seeded_noise([spec.seed], self._latent_shape())
        return Generation(self, spec, noise.to(self.device), 0)

    def resume(self, spec: SegmentSpec, state: bytes) -> Generation:
        """The generation that `Generation.state_bytes` put down; it goes on bit for bit as if never stopped.

        Raises:
            UnsupportedSpec: as `begin`.
            ModelError: the state is damaged, or belongs to another spec.
        """
        latents, steps_done = _read_state(state, spec)
        if tuple(latents.shape) != (1, *self._latent_shape()) or not torch.isfinite(latents).all():
            raise ModelError(f"generation state: latents of shape {tuple(latents.shape)} do not fit this model")
        return Generation(self, spec, latents.to(self.device), steps_done)

    def _latent_shape(self) -> tuple[int, int, int, int]:
        return (self.dit.config.latent_channels, *self.dit.config.latent_size)


class Generation:
    """One segment on its way from noise to a clip.

    Attributes:
        prompt: how the prompt was understood, with the terms that were not.
        steps_done, steps_total: denoising steps.
    """

    def __init__(self, generator: Generator, spec: SegmentSpec, latents: Tensor, steps_done: int) -> None:
        _check_supported(generator, spec)
        self.spec = spec
        self.prompt: PromptSlots = parse_prompt(spec.prompt)
        self.steps_done, self.steps_total = steps_done, spec.steps
        self._generator, self._latents = generator, latents
        self._sigmas = sigma_grid(spec.steps, SIGMA_SHIFT).to(generator.device)
        config = generator.vae.config
        rays = plucker_rays(spec.cameras, config.group_frames, config.patch_px)[None].to(generator.device)
        slots = slot_indices(generator.dit.config.slots, self.prompt.values)[None].to(generator.device)
        self._velocity = guided_velocity(generator.dit, slots, rays, spec.guidance)

    @property
    def done(self) -> bool:
        """True once every denoising step is made and `finish` may be called."""
        return self.steps_done >= self.steps_total

    @torch.inference_mode()
    def advance(self, steps: int) -> None:
        """Make up to `steps` more denoising steps; fewer where fewer are left.

        Raises:
            ModelError: steps is negative.
        """
        if steps < 0:
            raise ModelError(f"steps to advance must not be negative, got {steps}")
        stop = min(self.steps_done + steps, self.steps_total)
        self._latents = sample_euler(self._velocity, self._latents, self._sigmas[self.steps_done : stop + 1])
        self.steps_done = stop

    def finish(self) -> Clip:
        """The clip: decoded frames and metric depth with the spec's exact cameras, times from 0 on.

        Raises:
            ModelError: denoising steps are left.
        """
        if not self.done:
            raise ModelError(f"generation has made {self.steps_done} of {self.steps_total} steps; finish it first")
        frames, depth = self._decode(self._latents)
        times = np.arange(len(self.spec.cameras), dtype=np.float64) / self.spec.fps
        return Clip(frames, depth, self.spec.cameras, times, self.spec.prompt)

    @torch.inference_mode()
    def preview(self) -> UInt8[np.ndarray, "T H W 3"]:
        """Frames (T, H, W, 3) of the clip that the present step foresees: x - sigma * velocity, decoded."""
        sigma = self._sigmas[self.steps_done : self.steps_done + 1]
        foreseen = self._latents
        if not self.done:
            foreseen = foreseen - sigma * self._velocity(foreseen, sigma)
        return self._decode(foreseen)[0]

    def state_bytes(self) -> bytes:
        """Everything that `Generator.resume` needs besides the spec."""
        header = {"spec_key": self.spec.key(), "steps_done": str(self.steps_done)}
        return save({"latents": self._latents.cpu().contiguous()}, {"state": json.dumps(header)})

    @torch.inference_mode()
    def _decode(self, latents: Float[Tensor, "1 C t h w"]) -> tuple[np.ndarray, np.ndarray]:
        frames, depth = unpack_rgbd(self._generator.vae.decode(latents)[0].float().cpu())
        return frames, depth


def _check_supported(generator: Generator, spec: SegmentSpec) -> None:
    wanted = SupportedSize(len(spec.cameras), spec.cameras.width, spec.cameras.height)
    if wanted != generator.supported:
        raise UnsupportedSpec(f"this model makes segments of {generator.supported}, got a spec of {wanted}")
    if spec.model_revision != generator.revision:
        raise UnsupportedSpec(f"these weights are revision {generator.revision}, the spec wants {spec.model_revision}")


def _read_state(state: bytes, spec: SegmentSpec) -> tuple[Tensor, int]:
    try:
        latents = load(state)["latents"]
        length = int.from_bytes(state[:8], "little")
        header = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["state"])
        steps_done = int(header["steps_done"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"generation state is damaged ({error})") from error
    if header.get("spec_key") != spec.key():
        raise ModelError(f"generation state belongs to spec {header.get('spec_key')}, got spec {spec.key()}")
    if not 0 <= steps_done <= spec.steps:
        raise ModelError(f"generation state: steps_done must be within [0, {spec.steps}], got {steps_done}")
    return latents, steps_done
