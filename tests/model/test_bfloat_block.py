"""What training computes in bfloat16 against what everything else computes: the same function, rounded."""

from dataclasses import replace

import pytest
import torch

from model import bfloat_block
from model.dit import Condition, Dit, DitConfig
from model.dit_block import PLAIN

SLOTS = (("light", ("torch", "moon")), ("color", ("red", "green", "blue")))
CONFIG = DitConfig(latent_channels=4, latent_size=(3, 4, 6), width=64, depth=3, heads=2, patch=2, slots=SLOTS)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _dit(kind: torch.dtype) -> Dit:
    torch.manual_seed(5)
    dit = Dit(CONFIG)
    with torch.no_grad():
        for name, parameter in dit.named_parameters():
            if name == "carry":  # not a product
                continue
            parameter.add_(0.1 * torch.randn_like(parameter))
    dit._products = lambda: kind  # type: ignore[method-assign]
    return dit


def _far(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach().float() - theirs.detach()).norm() / theirs.detach().norm())


def test_rough_products_agree_with_exact_ones() -> None:
    latents, sigmas = _random(3, 4, 3, 4, 6), torch.rand((3, 3), generator=torch.Generator().manual_seed(2))
    told = Condition(
        torch.tensor([[1, 2], [2, 0], [0, 0]]),
        _random(3, 12, 3, 4, 6, seed=1),
        _random(3, 64, 3, 4, 6, seed=2),
        torch.tensor([0, 1, 2]),
        torch.tensor([True, False, True]),
    )
    exact, rough = _dit(torch.float32), _dit(torch.bfloat16)
    wanted, got = (dit(latents, sigmas, told, sigmas * 0.5) for dit in (exact, rough))
    assert got.dtype == torch.float32
    assert _far(got, wanted) < 0.02
    for velocity in (wanted, got):
        (velocity * _random(*latents.shape, seed=9)).sum().backward()
    for (name, ours), theirs in zip(rough.named_parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None, name
        assert _far(ours.grad, theirs.grad) < 0.06, name
    with torch.no_grad():
        assert _far(rough(latents, sigmas, replace(told, control=None)), wanted) > 0.02


def test_without_bfloat_hardware_training_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.dit.trains_in_bfloat16", lambda: False)
    torch.manual_seed(5)
    dit = Dit(CONFIG).train()
    assert dit._products() is torch.float32
    monkeypatch.setattr("model.dit.trains_in_bfloat16", lambda: True)
    assert dit._products() is torch.bfloat16
    assert dit.eval()._products() is torch.float32
    with dit.rough_products():
        assert dit._products() is torch.bfloat16
    assert dit._products() is torch.float32


@pytest.mark.parametrize("name", ["modulated_norm", "gated_add", "squared_relu", "attend"])
def test_each_step_and_its_gradient_are_those_of_plain_pytorch(name: str) -> None:
    tokens, row = _random(2, 3, 5, 64), _random(2, 3, 1, 64, seed=1)
    wide = {"modulated_norm": (0, 1, 2), "gated_add": (0, 1), "squared_relu": (), "attend": (3,)}[name]
    arguments = {
        "modulated_norm": [tokens, row, _random(2, 3, 1, 64, seed=2)],
        "gated_add": [tokens, row, _random(2, 3, 5, 64, seed=3)],
        "squared_relu": [tokens],
        "attend": [
            _random(2, 15, 4, 2, 32),
            _random(2, 2, 7, 32, seed=4),
            _random(2, 2, 7, 32, seed=5),
            1.0 + 0.3 * _random(2, 2, seed=6),
        ],
    }[name]
    arguments = [part.bfloat16().float() for part in arguments]
    theirs = [part.clone().requires_grad_() for part in arguments]
    ours = [
        part.clone().requires_grad_() if k in wide else part.bfloat16().requires_grad_()
        for k, part in enumerate(arguments)
    ]
    angles = _random(15, 16, seed=7)
    turns = torch.stack([angles.cos(), angles.sin()])
    results = []
    for steps, given in ((PLAIN, theirs), (bfloat_block, ours)):
        if name == "attend":
            results.append(steps.attend(given[0], (given[1], given[2]), given[3], turns))
        else:
            results.append(getattr(steps, name)(*given))
    assert _far(results[1], results[0]) < 0.01
    gradient = _random(*results[0].shape, seed=8).bfloat16().float()
    results[0].backward(gradient)
    results[1].backward(gradient.to(results[1].dtype))
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None and other.grad is not None
        assert one.grad.dtype == one.dtype
        assert _far(one.grad, other.grad) < 0.015


def test_weights_of_far_apart_scores_are_a_choice_and_sum_to_one() -> None:
    from model import bfloat_kernels as kernels

    scores = torch.tensor([0.0, -1.0, -5.0, -90.0, 3.0]).bfloat16().view(1, 1, 1, 5)
    weights = torch.empty_like(scores)
    kernels.softmax_forward(*map(bfloat_block._array, (scores, torch.ones(1), weights)))
    assert torch.allclose(weights.float(), scores.float().softmax(-1), atol=4e-3)
    assert weights.float().sum() == pytest.approx(1.0, abs=1e-2)
