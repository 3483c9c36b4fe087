"""Networks that grow: what was trained stays what it was, and what is new tells of what it lost."""

from dataclasses import replace

import pytest
import torch

from model.dit import Condition, Dit, DitConfig
from model.errors import ModelError
from model.pca import whitened_pca
from model.train.growth import grown_dit, grown_vae
from model.vae import Vae, VaeConfig

SMALL = VaeConfig(6, width=16, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8)
SLOTS = (("light", ("torchlight", "moonlight")), ("shape", ("orb", "cube", "cone")))
CONFIG = DitConfig(latent_channels=6, latent_size=(2, 4, 6), width=32, depth=2, heads=2, patch=2, slots=SLOTS)

SMALLER = [{"latent_channels": 4}, {"decoder_blocks": 0}, {"encoder_blocks": 2}, {"width": 32}, {"detail_width": 16}]


def _clips() -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    coarse = torch.randn(8, 4, 9, 8, 12, generator=random)
    return torch.nn.functional.interpolate(coarse, size=(9, 32, 48), mode="trilinear", align_corners=False)


@pytest.fixture(scope="module")
def trained() -> Vae:
    torch.manual_seed(0)
    vae = Vae(SMALL)
    vae.start_from_pca(_clips())
    for weight in vae.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    return vae


@torch.no_grad()
def test_first_latents_of_a_grown_vae_are_those_of_the_narrower_one(trained: Vae) -> None:
    clips = _clips()
    trained.set_whitening(trained.encode_raw(clips))
    wider = grown_vae(trained, replace(SMALL, latent_channels=10, decoder_blocks=3), clips)
    before, after = trained.encode(clips), wider.encode(clips)
    assert after.shape[1] == 10
    assert torch.allclose(after[:, :6], before, atol=1e-5)
    cells = after.movedim(1, -1).flatten(0, -2)
    covariance = torch.cov(cells.T)
    assert torch.allclose(covariance[6:, 6:], torch.eye(4), atol=1e-2)
    assert covariance[6:, :6].abs().max() < 1e-2


@torch.no_grad()
def test_a_grown_vae_puts_back_the_principal_components_of_what_the_narrower_one_lost(trained: Vae) -> None:
    clips = _clips()
    wider = grown_vae(trained, replace(SMALL, latent_channels=10, decoder_blocks=2), clips)
    decoded = trained.decode_raw(trained.encode_raw(clips))
    parts = []
    for lost, kept in zip(trained.to_patches(clips - decoded), trained.to_patches(decoded), strict=True):
        basis = whitened_pca(lost.flatten(0, -2), 4)
        parts.append(kept + lost @ basis.analysis.T @ basis.synthesis.T)
    expected = trained.from_patches(*parts)
    assert torch.allclose(wider.decode_raw(wider.encode_raw(clips)), expected, atol=2e-4)
    assert torch.allclose(wider.decode(wider.encode(clips)), expected, atol=2e-4)
    assert (expected - clips).square().mean() < 0.9 * (decoded - clips).square().mean()


@torch.no_grad()
def test_a_vae_grown_by_nothing_does_what_it_did(trained: Vae) -> None:
    clips = _clips()
    same = grown_vae(trained, SMALL, clips)
    assert torch.equal(same.decode(same.encode(clips)), trained.decode(trained.encode(clips)))


@pytest.mark.parametrize(
    "change",
    [{"latent_channels": 4}, {"decoder_blocks": 0}, {"encoder_blocks": 2}, {"width": 32}, {"detail_width": 16}],
)
def test_a_vae_that_is_no_grown_one_is_refused(trained: Vae, change: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="another architecture"):
        grown_vae(trained, replace(SMALL, **change), _clips())


@torch.no_grad()
def test_a_grown_transformer_predicts_the_same_for_the_first_channels_whatever_the_others_are() -> None:
    torch.manual_seed(1)
    trained = Dit(CONFIG)
    for weight in trained.parameters():
        weight.add_(torch.randn_like(weight), alpha=0.05)
    wider = grown_dit(trained.eval(), replace(CONFIG, latent_channels=9)).eval()
    told = Condition.plain(torch.zeros(1, 2, dtype=torch.int64), torch.randn(1, 12, 2, 4, 6))
    latents, sigmas = torch.randn(1, 9, 2, 4, 6), torch.tensor([0.6])
    flow = wider(latents, sigmas, told)
    assert torch.allclose(flow[:, :6], trained(latents[:, :6], sigmas, told), atol=1e-5)
    assert torch.equal(wider.start_of(torch.ones_like(latents))[0, :, 0, 0, 0], torch.tensor([1.0] * 6 + [0.0] * 3))
    alone = (2 * 0.6 - 1) / (0.4**2 + 0.6**2)
    assert torch.allclose(flow[:, 6:], alone * latents[:, 6:], atol=1e-6)


@pytest.mark.parametrize("change", [{"latent_channels": 4}, {"depth": 3}, {"slots": SLOTS[:1]}])
def test_a_transformer_that_is_no_grown_one_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="another architecture"):
        grown_dit(Dit(CONFIG), replace(CONFIG, **change))  # type: ignore[arg-type]
