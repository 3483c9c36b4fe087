"""Adapters are trained on tiny networks: a base that knows plain rooms by name only, and rooms in a new palette."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clips.clip import Clip
from clips.dungeon.render import render_sample
from clips.footage.footage import Footage
from model.dit import Condition, Dit, DitConfig, slot_indices
from model.errors import ModelError
from model.interpolant import interpolate, velocity
from model.lora import LoraConfig, wearing
from model.lora_file import load_lora
from model.measure.scenes import ClipSize
from model.rays import plucker_rays
from model.rgbd import pack_rgbd
from model.train.data import slot_table
from model.train.depth_metric import depth_loss, depth_metric
from model.train.latents import LatentCoder, LatentStore
from model.train.loop import TrainingPlan
from model.train.lora import BestAdapter, LoraData, LoraPolicy, LoraTask, adapter_path, train_lora
from model.train.low_rank import LowRankLayers
from model.train.style_clips import PriorClips, StyleClips
from model.vae import Vae, VaeConfig

SIZE = ClipSize(frames=9, width=48, height=32)
VAE = VaeConfig(6, width=16, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8)
DIT = DitConfig(latent_channels=6, latent_size=(3, 4, 6), width=32, depth=2, heads=2, patch=2, slots=slot_table())
CONFIG = LoraConfig(rank=4, alpha=8.0)
POLICY = LoraPolicy(style_rows=4, prior_rows=2, map_share=0.3, map_rows=1)
REVISION = "0123456789ab"


def _styled(seed: int) -> Footage:
    sample = render_sample(seed, frames=9, width=48, height=32)
    clip = sample.clip
    # A negative: no rendered room has these colours, the depth is as it was.
    restyled = Clip(255 - clip.frames, clip.depth, clip.cameras, clip.times, clip.caption, clip.motion_mask)
    return Footage(restyled, slots=sample.room.slots)


@pytest.fixture(scope="module")
def vae() -> Vae:
    torch.manual_seed(1)
    vae = Vae(VAE)
    clips = torch.stack([_packed(_styled(seed)) for seed in range(6)])
    vae.start_from_pca(torch.cat([clips, clips * torch.tensor([-1.0, -1.0, -1.0, 1.0]).view(1, 4, 1, 1, 1)]))
    with torch.no_grad():
        vae.set_whitening(torch.cat([vae.encode_raw(clip[None]) for clip in clips]))
    return vae.eval().requires_grad_(False)


def _packed(footage: Footage) -> Tensor:
    return pack_rgbd(footage.clip.frames, footage.clip.depth)


@pytest.fixture(scope="module")
def style() -> StyleClips:
    return StyleClips(tuple(_styled(100 + seed) for seed in range(12)), 12, 0, ())


@pytest.fixture(scope="module")
def base(vae: Vae) -> Dit:
    """A transformer that knows plain rooms a little."""
    torch.manual_seed(2)
    dit = Dit(DIT)
    samples = [render_sample(200 + seed, frames=9, width=48, height=32) for seed in range(12)]
    with torch.no_grad():
        latents = torch.stack([vae.encode(_packed(Footage(sample.clip))[None])[0] for sample in samples])
    rays = torch.stack([plucker_rays(sample.clip.cameras, 4, 8) for sample in samples])
    slots = torch.stack([slot_indices(slot_table(), sample.room.slots) for sample in samples])
    condition = Condition.plain(slots, rays)
    optimizer = torch.optim.Adam(dit.parameters(), lr=5e-3)
    for _ in range(120):
        noise, sigmas = torch.randn(latents.shape), torch.rand(len(latents))
        error = dit(interpolate(latents, noise, sigmas), sigmas, condition) - velocity(latents, noise)
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    return dit.eval().requires_grad_(False)


@pytest.fixture
def data(vae: Vae, base: Dit, style: StyleClips, tmp_path: Path) -> LoraData:
    coder = LatentCoder(vae, "vae", slot_table())
    prior = PriorClips(tuple(dict(piece.slots or {}) for piece in style.pieces[:4]), SIZE)
    stores = LatentStore(tmp_path / "style", style, coder), LatentStore(tmp_path / "prior", prior, coder)
    return LoraData(base, REVISION, *stores, {"clips": style.clips})


def _plan(out: Path, **changes: object) -> TrainingPlan:
    fields = {"steps": 12, "peak_rate": 0.01, "warmup_steps": 2, "average_decay": 0.9, "log_every": 1, "save_every": 3}
    return TrainingPlan(out, **{**fields, "look_every": 6, **changes})


def _log(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "trained_s"} for line in lines]


def _bytes(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def _inputs(batch: int = 2) -> tuple[Tensor, Tensor, Condition]:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(batch, 6, 3, 4, 6, generator=random)
    slots = torch.ones(batch, len(slot_table()), dtype=torch.int64)
    rays = torch.randn(batch, 12, 3, 4, 6, generator=random)
    return latents, torch.full((batch,), 0.5), Condition.plain(slots, rays)


def test_a_style_is_learned_and_the_base_stays_as_it_was(data: LoraData, tmp_path: Path) -> None:
    before = _bytes(data.dit)
    lora, figures = train_lora(_plan(tmp_path / "out", steps=120, look_every=120), data, CONFIG, POLICY, resume=False)
    assert figures["val_loss"] < 0.9 * figures["base_val_loss"]
    log = _log(tmp_path / "out")
    first, last = (np.mean([line["style_loss"] for line in part]) for part in (log[:20], log[-20:]))
    assert last < 0.9 * first
    assert _bytes(data.dit) == before
    assert not any(parameter.requires_grad for parameter in data.dit.parameters())
    assert (lora.base_revision, lora.recipe["clips"], lora.recipe["steps"]) == (REVISION, 12, 120)
    assert lora.recipe["val_loss"] == pytest.approx(figures["val_loss"], abs=1e-4)
    assert (tmp_path / "out/look-000120.png").read_bytes().startswith(b"\x89PNG")


def test_the_file_does_what_the_training_measured(data: LoraData, tmp_path: Path) -> None:
    """Merged weights of the written adapter give what the layers beside the network gave, to fp16's rounding."""
    lora, _ = train_lora(_plan(tmp_path / "out", steps=20), data, CONFIG, POLICY, resume=False)
    layers = LowRankLayers(data.dit, CONFIG)
    with torch.no_grad():
        for name, part in layers.parts.items():
            part.down.copy_(lora.factors[name.replace("/", ".")][0])
            part.up.copy_(lora.factors[name.replace("/", ".")][1])
        plain = data.dit(*_inputs())
        with layers.beside(data.dit):
            beside = data.dit(*_inputs())
        with wearing(data.dit, {"style": (load_lora(adapter_path(tmp_path / "out")), 1.0)}, REVISION):
            merged = data.dit(*_inputs())
        assert torch.equal(data.dit(*_inputs()), plain)
    assert (beside - plain).abs().max() > 1e-2
    assert torch.allclose(beside, merged, atol=2e-3)


def test_new_layers_change_nothing_and_leave_no_hook(data: LoraData) -> None:
    layers = LowRankLayers(data.dit, CONFIG)
    with torch.no_grad():
        plain = data.dit(*_inputs())
        with pytest.raises(KeyboardInterrupt), layers.beside(data.dit):
            assert torch.equal(data.dit(*_inputs()), plain)
            raise KeyboardInterrupt
    assert not any(module._forward_hooks for module in data.dit.modules())


def test_a_killed_training_resumes_to_the_same_curve(
    data: LoraData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = train_lora(_plan(tmp_path / "whole"), data, CONFIG, POLICY, resume=False)
    original = LoraTask.loss
    for killed_at in (2, 10):
        calls = iter(range(100))

        def killed(self: LoraTask, *arguments: object, last: int = killed_at, calls: object = calls) -> object:
            if next(calls) == last:
                raise KeyboardInterrupt
            return original(self, *arguments)

        out = tmp_path / f"killed-{killed_at}"
        monkeypatch.setattr(LoraTask, "loss", killed)
        with pytest.raises(KeyboardInterrupt):
            train_lora(_plan(out), data, CONFIG, POLICY, resume=False)
        assert not data.dit.training
        monkeypatch.setattr(LoraTask, "loss", original)
        again, _ = train_lora(_plan(out), data, CONFIG, POLICY, resume=True)
        assert _log(out) == _log(tmp_path / "whole")
        for name in whole.factors:
            assert all(torch.equal(a, b) for a, b in zip(whole.factors[name], again.factors[name], strict=True))


def test_a_folder_that_trains_another_adapter_is_refused(data: LoraData, tmp_path: Path) -> None:
    train_lora(_plan(tmp_path / "out", steps=2), data, CONFIG, POLICY, resume=False)
    with pytest.raises(ModelError, match="trains another adapter: config is"):
        train_lora(_plan(tmp_path / "out", steps=2), data, replace(CONFIG, rank=5), POLICY, resume=True)
    with pytest.raises(ModelError, match="trains another adapter: base is"):
        other = replace(data, base_revision="ffffffffffff")
        train_lora(_plan(tmp_path / "out", steps=2), other, CONFIG, POLICY, resume=True)


def test_the_adapter_of_the_lowest_validation_loss_is_kept(
    data: LoraData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripted losses: of the base, at steps 3, 6, 9 and 12 as the training looks, and after it."""
    losses = iter([0.9, 0.6, 0.5, 0.7, 0.8, 0.8])
    seen: list[dict[str, Tensor]] = []

    def scripted(self: LoraTask, network: nn.Module) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"val_loss": next(losses), "val_prior": 0.25}

    monkeypatch.setattr(LoraTask, "validate", scripted)
    out = tmp_path / "out"
    lora, figures = train_lora(_plan(out, look_every=3), data, CONFIG, POLICY, resume=False)
    assert (figures["kept_step"], figures["val_loss"], figures["base_val_loss"]) == (6.0, 0.5, 0.9)
    assert (lora.recipe["steps"], lora.recipe["kept_step"], lora.recipe["val_loss"]) == (12, 6, 0.5)
    for name, (down, up) in load_lora(adapter_path(out)).factors.items():
        part = f"parts.{name.replace('.', '/')}"
        for factor, kept in (("down", down), ("up", up)):
            assert torch.equal(kept, seen[2][f"{part}.{factor}"].half().float())
            assert not torch.equal(kept, seen[-1][f"{part}.{factor}"].half().float())


def test_a_worse_adapter_than_the_kept_one_is_not_kept(data: LoraData, tmp_path: Path) -> None:
    layers = LowRankLayers(data.dit, CONFIG)
    best = BestAdapter(tmp_path / "best.safetensors", REVISION)
    assert best.val_loss == float("inf")
    for step, loss in ((5, 0.5), (10, 0.6), (15, 0.5)):
        best.offer(layers, step, {"val_loss": loss, "val_prior": 0.1})
    assert load_lora(best.path).recipe == {"kept_step": 5, "val_loss": 0.5, "val_prior": 0.1}
    best.offer(layers, 20, {"val_loss": 0.4, "val_prior": 0.1})
    assert best.val_loss == 0.4


def test_the_prior_is_held_in_depth_alone(vae: Vae) -> None:
    """An error along latents that decode to colour alone costs little beside one that decodes to depth."""
    metric = depth_metric(vae, DIT.latent_size)
    assert metric.shape == (2, 6, 6)
    assert torch.allclose(metric.diagonal(dim1=1, dim2=2).mean(1), torch.ones(2))
    given = torch.zeros(1, 3, dtype=torch.bool)
    values, vectors = torch.linalg.eigh(metric[1])
    assert values[0] < 0.05 * values[-1]

    def loss_along(vector: Tensor) -> float:
        error = torch.zeros(1, 6, 3, 4, 6)
        error[:, :, 1:] = vector.view(1, 6, 1, 1, 1)
        return float(depth_loss(error, given, metric))

    assert loss_along(vectors[:, 0]) < 0.05 * loss_along(vectors[:, -1])
    error = torch.randn(1, 6, 3, 4, 6)
    first_alone = torch.tensor([[False, True, True]])
    assert depth_loss(error, first_alone, metric) == pytest.approx(
        float((torch.einsum("chw,cd,dhw->hw", error[0, :, 0], metric[0], error[0, :, 0]) / 6).mean()), rel=1e-5
    )


def test_training_without_a_prior_asks_for_none(data: LoraData, tmp_path: Path) -> None:
    train_lora(_plan(tmp_path / "out", steps=3), data, CONFIG, replace(POLICY, prior_rows=0), resume=False)
    assert all("prior_depth_loss" not in line for line in _log(tmp_path / "out"))


@pytest.mark.parametrize(
    "fields",
    [
        {"style_rows": 0},
        {"prior_rows": -1},
        {"map_rows": 9},
        {"map_share": 1.5},
        {"held_out": 1},
        {"prior_weight": -1.0},
    ],
)
def test_policies_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="lora training"):
        LoraPolicy(**fields)
