import pytest
import torch

from model.dit import UNKNOWN, Dit, DitConfig, _rotary_turns, _rotate, slot_indices
from model.errors import InvalidSpec

SLOTS = (("light", ("torch", "moon")), ("color", ("red", "green", "blue")))
CONFIG = DitConfig(latent_channels=3, latent_size=(2, 4, 6), width=32, depth=2, heads=2, patch=2, slots=SLOTS)


def _inputs(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(batch, 3, 2, 4, 6, generator=random)
    rays = torch.randn(batch, 12, 2, 4, 6, generator=random)
    return latents, torch.tensor([0.2, 0.9])[:batch], torch.tensor([[1, 2], [2, 0]])[:batch], rays


def _shaken(config: DitConfig = CONFIG) -> Dit:
    torch.manual_seed(3)
    dit = Dit(config).eval()
    with torch.no_grad():
        for parameter in dit.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return dit


def test_a_new_network_predicts_zero_and_its_blocks_are_the_identity() -> None:
    dit = Dit(CONFIG)
    assert torch.count_nonzero(dit(*_inputs())) == 0
    tokens, condition = torch.randn(2, 14, 32), torch.randn(2, 32)
    assert torch.equal(dit.blocks[0](tokens, condition, (dit.turn_cos, dit.turn_sin)), tokens)


def test_velocity_has_the_shape_of_the_latents_and_depends_on_everything() -> None:
    dit = _shaken()
    latents, sigmas, slots, rays = _inputs()
    with torch.no_grad():
        base = dit(latents, sigmas, slots, rays)
        assert base.shape == latents.shape
        others = [
            dit(latents + 0.1, sigmas, slots, rays),
            dit(latents, sigmas * 0.5, slots, rays),
            dit(latents, sigmas, torch.full_like(slots, UNKNOWN), rays),
            dit(latents, sigmas, slots, rays.flip(-1)),
        ]
    for other in others:
        assert (other - base).abs().max() > 1e-4


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    dit = _shaken()
    latents, sigmas, slots, rays = _inputs()
    with torch.no_grad():
        both = dit(latents, sigmas, slots, rays)
        for i in range(2):
            one = slice(i, i + 1)
            assert torch.allclose(dit(latents[one], sigmas[one], slots[one], rays[one]), both[one], atol=1e-5)


def test_tokens_and_back_is_the_identity() -> None:
    dit = Dit(CONFIG)
    latents = _inputs()[0]
    assert torch.equal(dit._untokens(dit._tokens(latents)), latents)


def test_rotary_products_depend_on_offsets_alone() -> None:
    config = DitConfig(latent_channels=3, latent_size=(3, 8, 10), width=64, depth=1, heads=2, patch=2, slots=SLOTS)
    turns = _rotary_turns(config)
    random = torch.Generator().manual_seed(1)
    query, key = torch.randn(32, generator=random), torch.randn(32, generator=random)
    count = 3 * 4 * 5 + len(SLOTS)
    queries, keys = _rotate(query.expand(count, 32), turns), _rotate(key.expand(count, 32), turns)
    products = (queries @ keys.T)[:60, :60].reshape(3, 4, 5, 3, 4, 5)
    assert torch.allclose(products[0, 0, 0, 1, 2, 3], products[1, 1, 1, 2, 3, 4], atol=1e-4)
    assert not torch.isclose(products[0, 0, 0, 1, 2, 3], products[0, 0, 0, 1, 2, 2], atol=1e-4)
    assert torch.allclose(queries[60:], query.expand(2, 32))


def test_slot_indices_keep_order_and_mark_what_is_not_said() -> None:
    assert slot_indices(SLOTS, {"color": "blue", "light": "torch"}).tolist() == [1, 3]
    assert slot_indices(SLOTS, {"color": None, "light": "neon"}).tolist() == [UNKNOWN, UNKNOWN]
    assert slot_indices(SLOTS, {}).tolist() == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("change", [{"heads": 3}, {"heads": 4}, {"patch": 3}, {"slots": ()}])
def test_configurations_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    fields = {**CONFIG.__dict__, **change}
    with pytest.raises(InvalidSpec, match="dit"):
        DitConfig(**fields)
