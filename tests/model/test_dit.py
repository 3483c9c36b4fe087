import math
from dataclasses import replace

import pytest
import torch

from model.dit import UNKNOWN, Condition, Dit, DitConfig, _rotary_turns, gaussian_velocity, slot_indices
from model.dit_block import turned
from model.errors import InvalidSpec

SLOTS = (("light", ("torch", "moon")), ("color", ("red", "green", "blue")))
CONFIG = DitConfig(latent_channels=3, latent_size=(2, 4, 6), width=32, depth=3, heads=2, patch=2, slots=SLOTS)
SIGMAS = torch.tensor([0.2, 0.9])


def _latents() -> torch.Tensor:
    return torch.randn(2, 3, 2, 4, 6, generator=torch.Generator().manual_seed(0))


def _condition() -> Condition:
    random = torch.Generator().manual_seed(1)
    return Condition(
        slots=torch.tensor([[1, 2], [2, 0]]),
        rays=torch.randn(2, 12, 2, 4, 6, generator=random),
        control=torch.randn(2, 64, 2, 4, 6, generator=random),
        control_kind=torch.tensor([2, 1]),
        starts=torch.tensor([True, False]),
    )


def _shaken(*but: str, config: DitConfig = CONFIG) -> Dit:
    """A network with every weight moved, except those whose names begin with one of `but`."""
    torch.manual_seed(3)
    dit = Dit(config).eval()
    with torch.no_grad():
        for name, parameter in dit.named_parameters():
            if not name.startswith(but):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return dit


def test_a_new_network_carries_its_input_alone_and_its_blocks_are_the_identity() -> None:
    dit = Dit(CONFIG)
    share = (2 * SIGMAS - 1) / ((1 - SIGMAS) ** 2 + SIGMAS**2)
    assert torch.allclose(dit(_latents(), SIGMAS, _condition()), share.view(2, 1, 1, 1, 1) * _latents(), atol=1e-6)
    tokens, told = torch.randn(2, 2, 6, 32), torch.randn(2, 2, 32)
    slots = torch.randn(2, 2, 2, 16), torch.randn(2, 2, 2, 16)
    assert torch.equal(dit.eval().blocks[0](tokens, told, slots, dit.turns), tokens)


@torch.no_grad()
def test_velocity_has_the_shape_of_the_latents_and_depends_on_everything() -> None:
    dit, latents, told = _shaken(), _latents(), _condition()
    base = dit(latents, SIGMAS, told)
    assert base.shape == latents.shape
    assert told.control is not None
    for other in (
        dit(latents + 0.1, SIGMAS, told),
        dit(latents, SIGMAS * 0.5, told),
        dit(latents, SIGMAS, told, SIGMAS * 0.5),
        dit(latents, SIGMAS, told.without_slots()),
        dit(latents, SIGMAS, replace(told, rays=told.rays.flip(-1))),
        dit(latents, SIGMAS, replace(told, control=told.control.flip(-1))),
        dit(latents, SIGMAS, replace(told, control_kind=torch.tensor([1, 2]))),
        dit(latents, SIGMAS, replace(told, starts=~told.starts)),
    ):
        assert (other - base).flatten(1).abs().amax(1).min() > 1e-4


@torch.no_grad()
def test_samples_of_a_batch_do_not_see_each_other() -> None:
    dit, latents, told = _shaken(), _latents(), _condition()
    both = dit(latents, SIGMAS, told)
    for i in range(2):
        one = slice(i, i + 1)
        assert torch.allclose(dit(latents[one], SIGMAS[one], told.rows(one)), both[one], atol=1e-5)


@torch.no_grad()
def test_one_sigma_is_the_same_sigma_for_every_frame() -> None:
    dit, latents, told = _shaken(), _latents(), _condition()
    each = SIGMAS[:, None].expand(2, 2)
    assert torch.equal(dit(latents, each, told), dit(latents, SIGMAS, told))
    clean_first = each.clone()
    clean_first[:, 0] = 0.0
    assert (dit(latents, clean_first, told) - dit(latents, SIGMAS, told))[:, :, 1].abs().max() > 1e-4


@torch.no_grad()
def test_before_training_control_changes_nothing_whatever_the_other_weights_are() -> None:
    dit, latents, told = _shaken("control_out"), _latents(), _condition()
    assert told.control is not None
    assert torch.equal(dit(latents, SIGMAS, told), dit(latents, SIGMAS, replace(told, control=None)))
    trained = _shaken()
    assert not torch.equal(trained(latents, SIGMAS, told), trained(latents, SIGMAS, replace(told, control=None)))


@torch.no_grad()
def test_a_clip_without_control_does_not_look_at_its_row() -> None:
    dit, latents = _shaken(), _latents()
    told = replace(_condition(), control_kind=torch.tensor([0, 1]))
    assert told.control is not None
    other = replace(told, control=told.control + torch.tensor([9.0, 0.0]).view(2, 1, 1, 1, 1))
    assert torch.equal(dit(latents, SIGMAS, told), dit(latents, SIGMAS, other))
    nothing = replace(told, control_kind=torch.zeros(2, dtype=torch.int64))
    plain = Condition.plain(told.slots, told.rays)
    without = dit(latents, SIGMAS, replace(nothing, starts=plain.starts))
    assert torch.equal(without, dit(latents, SIGMAS, plain))


@torch.no_grad()
def test_before_training_the_length_of_a_step_is_ignored() -> None:
    dit, latents, told = _shaken("embed_interval.2"), _latents(), _condition()
    dit.carry.zero_()
    assert torch.equal(dit(latents, SIGMAS, told), dit(latents, SIGMAS, told, torch.zeros(2)))
    trained = _shaken()
    assert torch.equal(trained(latents, SIGMAS, told), trained(latents, SIGMAS, told, SIGMAS))


@pytest.mark.parametrize(("sigma", "sigma_next"), [(1.0, 0.0), (0.9, 0.2), (0.5, 0.5), (0.3, 0.3 - 1e-6)])
def test_what_is_carried_brings_white_noise_to_where_it_belongs(sigma: float, sigma_next: float) -> None:
    share = gaussian_velocity(
        torch.tensor([[sigma]], dtype=torch.float64), torch.tensor([[sigma_next]], dtype=torch.float64)
    ).item()
    deviation, after = math.hypot(1 - sigma, sigma), math.hypot(1 - sigma_next, sigma_next)
    assert deviation * (1 - share * (sigma - sigma_next)) == pytest.approx(after, abs=1e-12)
    if sigma == sigma_next:  # the slope of the deviation, as a difference quotient
        far = math.hypot(1 - sigma - 1e-6, sigma + 1e-6)
        assert share * deviation == pytest.approx((far - deviation) / 1e-6, abs=1e-5)


def test_samples_start_from_noise_at_the_temperature_of_each_channel() -> None:
    dit, noise = Dit(CONFIG), _latents()
    assert torch.equal(dit.start_of(noise), noise)
    dit.temperature[1] = 0.25
    started = dit.start_of(noise)
    assert torch.equal(started[:, ::2], noise[:, ::2])
    assert torch.equal(started[:, 1], 0.25 * noise[:, 1])
    assert "temperature" in dit.state_dict()


def test_tokens_and_back_is_the_identity() -> None:
    dit = Dit(CONFIG)
    latents = _latents()
    assert torch.equal(dit._untokens(dit._tokens(latents, torch.float32)), latents)


def test_rotary_products_depend_on_offsets_alone() -> None:
    config = DitConfig(latent_channels=3, latent_size=(3, 8, 10), width=64, depth=1, heads=2, patch=2, slots=SLOTS)
    turns = _rotary_turns(config)
    random = torch.Generator().manual_seed(1)
    query, key = torch.randn(32, generator=random), torch.randn(32, generator=random)
    queries, keys = turned(query.expand(60, 32), turns), turned(key.expand(60, 32), turns)
    products = (queries @ keys.T).reshape(3, 4, 5, 3, 4, 5)
    assert torch.allclose(products[0, 0, 0, 1, 2, 3], products[1, 1, 1, 2, 3, 4], atol=1e-4)
    assert not torch.isclose(products[0, 0, 0, 1, 2, 3], products[0, 0, 0, 1, 2, 2], atol=1e-4)


def test_conditions_join_select_and_fall_silent() -> None:
    told = _condition()
    joined = told.without_slots().joined(told)
    assert len(joined) == 4
    assert joined.slots.tolist() == [[UNKNOWN] * 2, [UNKNOWN] * 2, [1, 2], [2, 0]]
    back = joined.rows(slice(2, 4))
    for name in ("slots", "rays", "control", "control_kind", "starts"):
        assert torch.equal(getattr(back, name), getattr(told, name))
    with pytest.raises(InvalidSpec, match="both have control"):
        told.joined(replace(told, control=None))


def test_slot_indices_keep_order_and_mark_what_is_not_said() -> None:
    assert slot_indices(SLOTS, {"color": "blue", "light": "torch"}).tolist() == [1, 3]
    assert slot_indices(SLOTS, {"color": None, "light": "neon"}).tolist() == [UNKNOWN, UNKNOWN]
    assert slot_indices(SLOTS, {}).tolist() == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("change", [{"heads": 3}, {"heads": 4}, {"patch": 3}, {"slots": ()}])
def test_configurations_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    fields = {**CONFIG.__dict__, **change}
    with pytest.raises(InvalidSpec, match="dit"):
        DitConfig(**fields)
