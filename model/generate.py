"""Generation: a SegmentSpec becomes a Clip, a few denoising steps at a time, and may be put down and taken up.

Every pixel and every depth comes from the networks; the dungeon renderer is not part of this path
(test_generating_path_imports_no_renderer). A segment longer than what the transformer makes at once is made in
windows: the last latent frame of one is given, clean, as the first of the next. Up to MAP_STEPS steps are the flow
map's; more follow the guided equation.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from clips.clip import Clip
from model.checkpoint import load_dit, load_vae
from model.control import control_features
from model.dit import Condition, Dit, slot_indices
from model.errors import ModelError, UnreadableCheckpoint, UnsupportedSpec
from model.guidance import guided_map, guided_velocity
from model.lora import WornLoras
from model.prompt import PromptSlots, parse_prompt
from model.rays import plucker_rays
from model.revision import DIT_FILE, GUIDANCE_INTERVAL, MAP_STEPS, VAE_FILE, default_weights, file_revision
from model.rgbd import pack_rgbd, unpack_rgbd
from model.sampler import frame_grid, sample_euler, sample_map, seeded_noise, sigma_grid, step_noise
from model.spec import SegmentSpec
from model.spec_control import FirstFrame
from model.steering import Steering, steering_of
from model.supported import SupportedSize, size_of
from model.vae import Vae

SIGMA_SHIFT = 2.0


class Generator:
    """Networks ready to generate; make it with `Generator.load`."""

    def __init__(self, vae: Vae, dit: Dit, revision: str, device: str = "cpu") -> None:
        if dit.config.latent_channels != vae.config.latent_channels:
            raise UnreadableCheckpoint(
                f"VAE and transformer disagree: {vae.config.latent_channels} and {dit.config.latent_channels} channels"
            )
        self.device = torch.device(device)
        self.vae, self.dit = vae.to(self.device), dit.to(self.device)
        self._worn = WornLoras(self.dit, revision)

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
    def revision(self) -> str:
        """What these weights are known by, with the adapters that they wear; a spec must name it."""
        return self._worn.revision

    @property
    def loras(self) -> WornLoras:
        """The adapters that the transformer wears: put them on and take them off between generations."""
        return self._worn

    @property
    def supported(self) -> SupportedSize:
        """The size that these weights make."""
        return size_of(self.dit.config.latent_size, self.vae.config.group_frames, self.vae.config.patch_px)

    def begin(self, spec: SegmentSpec) -> Generation:
        """A generation of `spec` at its first step.

        Raises:
            UnsupportedSpec: another size, length or revision than this model's; the message names what it makes.
            InvalidSpec: a camera stands outside the spec's own blockout or in one of its solids, or too far from the
                gate (`model.reach`).
        """
        check_supported(self, spec)
        latents = self._noise(spec)
        if spec.first_frame is not None:
            latents[:, :, :1] = self._encoded(spec.first_frame)
        return Generation(self, spec, latents.to(self.device), 0)

    def resume(self, spec: SegmentSpec, state: bytes) -> Generation:
        """The generation that `Generation.state_bytes` put down; it goes on bit for bit as if never stopped.

        Raises:
            UnsupportedSpec, InvalidSpec: as `begin`.
            ModelError: the state is damaged, or belongs to another spec.
        """
        check_supported(self, spec)
        latents, steps_done = _read_state(state, spec, self.windows_of(spec) * spec.steps)
        if tuple(latents.shape) != (1, *self._latent_shape(spec)) or not torch.isfinite(latents).all():
            raise ModelError(f"generation state: latents of shape {tuple(latents.shape)} do not fit this model")
        return Generation(self, spec, latents.to(self.device), steps_done)

    def windows_of(self, spec: SegmentSpec) -> int:
        """How many windows a segment of this length is made in."""
        return (len(spec.cameras) - 1) // (self.supported.frames - 1)

    def _latent_shape(self, spec: SegmentSpec) -> tuple[int, int, int, int]:
        time, rows, columns = self.dit.config.latent_size
        return self.dit.config.latent_channels, 1 + self.windows_of(spec) * (time - 1), rows, columns

    def _noise(self, spec: SegmentSpec) -> Float[Tensor, "1 C t h w"]:
        """The noise of all windows: the first is the seed's own, so that a short segment is a long one's beginning."""
        channels, _, rows, columns = self._latent_shape(spec)
        time = self.dit.config.latent_size[0]
        parts = [seeded_noise([spec.seed], (channels, time, rows, columns))]
        for window in range(1, self.windows_of(spec)):
            parts.append(step_noise([spec.seed], window, (channels, time - 1, rows, columns)))
        return self.dit.start_of(torch.cat(parts, dim=2))

    @torch.inference_mode()
    def _encoded(self, first: FirstFrame) -> Float[Tensor, "1 C 1 h w"]:
        packed = pack_rgbd(first.frame[None], first.depth[None])[None]
        return self.vae.encode(packed.to(self.device)).cpu()


class Generation:
    """One segment on its way from noise to a clip.

    Attributes:
        prompt: how the prompt was understood, with the terms that were not.
        steering: what control it is made with; `Steering.to_json` is the record of it.
        steps_done, steps_total: denoising steps, of all windows.
    """

    def __init__(self, generator: Generator, spec: SegmentSpec, latents: Tensor, steps_done: int) -> None:
        self.spec = spec
        self.prompt: PromptSlots = parse_prompt(spec.prompt)
        self.steering: Steering = steering_of(spec, self.prompt.values)
        self.steps_done, self.steps_total = steps_done, spec.steps * generator.windows_of(spec)
        self._generator, self._latents = generator, latents
        self._sigmas = sigma_grid(spec.steps, SIGMA_SHIFT).to(generator.device)
        self._whole = self._condition()

    @property
    def done(self) -> bool:
        """True once every denoising step is made and `finish` may be called."""
        return self.steps_done >= self.steps_total

    @property
    def uses_flow_map(self) -> bool:
        """Whether it is made by the flow map."""
        return self.spec.steps <= MAP_STEPS

    @torch.inference_mode()
    def advance(self, steps: int) -> None:
        """Make up to `steps` more denoising steps; fewer where fewer are left.

        Raises:
            ModelError: steps is negative.
        """
        if steps < 0:
            raise ModelError(f"steps to advance must not be negative, got {steps}")
        last = min(self.steps_done + steps, self.steps_total)
        while self.steps_done < last:
            window, first = divmod(self.steps_done, self.spec.steps)
            stop = min(self.spec.steps, first + last - self.steps_done)
            self._advance(window, first, stop)
            self.steps_done += stop - first

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
        """Frames (T, H, W, 3) that the present step foresees: of the windows begun so far, decoded."""
        if self.done:
            return self._decode(self._latents)[0]
        window, step = divmod(self.steps_done, self.spec.steps)
        foreseen = self._sampled(window, torch.stack([self._sigmas[step], self._sigmas[-1]]))
        return self._decode(torch.cat([self._latents[:, :, : self._span(window).start], foreseen], dim=2))[0]

    def state_bytes(self) -> bytes:
        """Everything that `Generator.resume` needs besides the spec."""
        header = {"spec_key": self.spec.key(), "steps_done": str(self.steps_done)}
        return save({"latents": self._latents.cpu().contiguous()}, {"state": json.dumps(header)})

    def _advance(self, window: int, first: int, stop: int) -> None:
        """Steps `first` to `stop` of a window."""
        made, span = self._sampled(window, self._sigmas[first : stop + 1]), self._span(window)
        self._latents = torch.cat([self._latents[:, :, : span.start], made, self._latents[:, :, span.stop :]], dim=2)

    def _sampled(self, window: int, sigmas: Float[Tensor, " K"]) -> Float[Tensor, "1 C t h w"]:
        """A window's latents at sigmas[-1], from what they are now at sigmas[0]."""
        dit, condition, state = self._generator.dit, self._windowed(window), self._latents[:, :, self._span(window)]
        levels = frame_grid(sigmas, self._given(window))
        if self.uses_flow_map:
            return sample_map(guided_map(dit, condition, self.spec.steps, self.spec.guidance), state, levels)
        return sample_euler(guided_velocity(dit, condition, self.spec.guidance, GUIDANCE_INTERVAL), state, levels)

    def _condition(self) -> Condition:
        """What the network is told of the whole segment, (1, ..., t of all windows, h, w)."""
        generator, config, spec = self._generator, self._generator.vae.config, self.spec
        said = {**self.prompt.values, **self.steering.words}
        rays = plucker_rays(spec.cameras, config.group_frames, config.patch_px)[None]
        control = None
        if self.steering.depth is not None:
            control = control_features(self.steering.depth, config.group_frames, config.patch_px)[None]
        slots = slot_indices(generator.dit.config.slots, said)[None]
        kinds = torch.tensor([self.steering.network_kind])
        return Condition(slots, rays, control, kinds, torch.ones(1, dtype=torch.bool)).to(generator.device)

    def _span(self, window: int) -> slice:
        length = self._generator.dit.config.latent_size[0]
        return slice(window * (length - 1), window * (length - 1) + length)

    def _windowed(self, window: int) -> Condition:
        """What the network is told of one window."""
        whole, span = self._whole, self._span(window)
        control = None if whole.control is None else whole.control[:, :, span]
        starts = torch.full_like(whole.starts, window == 0)
        return Condition(whole.slots, whole.rays[:, :, span], control, whole.control_kind, starts)

    def _given(self, window: int) -> Bool[Tensor, "1 t"]:
        """The latent frames of a window that are given: of a later one the first, which the one before it made."""
        given = torch.zeros(1, self._generator.dit.config.latent_size[0], dtype=torch.bool)
        given[:, 0] = window > 0 or self.spec.first_frame is not None
        return given.to(self._generator.device)

    @torch.inference_mode()
    def _decode(self, latents: Float[Tensor, "1 C t h w"]) -> tuple[np.ndarray, np.ndarray]:
        # A window at a time, so that a long segment needs no more memory than a short one.
        memory, parts = None, []
        for part in torch.split(latents, self._generator.dit.config.latent_size[0], dim=2):
            rgbd, memory = self._generator.vae.decode_chunk(part, memory)
            parts.append(unpack_rgbd(rgbd[0].float().cpu()))
        frames, depths = zip(*parts, strict=True)
        return np.concatenate(frames), np.concatenate(depths)


def check_supported(generator: Generator, spec: SegmentSpec) -> None:
    """Raises UnsupportedSpec where a spec wants another size, length or revision than the generator makes."""
    made, frames, cameras = generator.supported, len(spec.cameras), spec.cameras
    if frames not in made.frame_counts or (cameras.width, cameras.height) != (made.width, made.height):
        raise UnsupportedSpec(
            f"this model makes segments of {made.lengths} frames of {made.width}x{made.height}, "
            f"got a spec of {frames} frames of {cameras.width}x{cameras.height}"
        )
    if spec.model_revision != generator.revision:
        raise UnsupportedSpec(f"these weights are revision {generator.revision}, the spec wants {spec.model_revision}")


def _read_state(state: bytes, spec: SegmentSpec, steps_total: int) -> tuple[Tensor, int]:
    try:
        latents = load(state)["latents"]
        length = int.from_bytes(state[:8], "little")
        header = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["state"])
        steps_done = int(header["steps_done"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"generation state is damaged ({error})") from error
    if header.get("spec_key") != spec.key():
        raise ModelError(f"generation state belongs to spec {header.get('spec_key')}, got spec {spec.key()}")
    if not 0 <= steps_done <= steps_total:
        raise ModelError(f"generation state: steps_done must be within [0, {steps_total}], got {steps_done}")
    return latents, steps_done
