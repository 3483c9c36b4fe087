"""Seeds by variation: who shares what."""

import dataclasses

import pytest

from service.prefetch.variation import content_seed, pool_seeds, stable_hash
from service.worlds.world import Variation, VariationKind
from service.worlds.yaml_file import parse_world

WORLD = parse_world(b"""
world: w
chains: {c: {tasks: {t: {p50_s: 1, p90_s: 2}}}}
gates: {g: {chain: c, content: {prompt: x, seed: 7}}}
""")
CONTENT = WORLD.gates["g"].content


def content(kind, size=8, seed=7):
    return dataclasses.replace(CONTENT, variation=Variation(kind, size), seed=seed)


def seeds(of, count=200, world="w", gate="g", player=None):
    return [content_seed(of, world, gate, f"session-{number}", player) for number in range(count)]


def test_shared_is_one_seed_for_all():
    assert set(seeds(content(VariationKind.SHARED))) == {7} == set(pool_seeds(content(VariationKind.SHARED)))


def test_a_pool_is_used_whole_and_evenly():
    of = content(VariationKind.POOL)
    found = seeds(of, 4000)
    assert set(found) == set(pool_seeds(of)) == set(range(7, 15))
    assert max(map(found.count, set(found))) < 1.3 * 4000 / 8
    assert set(seeds(content(VariationKind.POOL, size=1))) == {7}


def test_a_pool_goes_round_at_the_greatest_seed():
    assert pool_seeds(content(VariationKind.POOL, 3, 2**63 - 2)) == (2**63 - 2, 2**63 - 1, 0)
    assert all(0 <= seed < 2**63 for seed in seeds(content(VariationKind.POOL, 8, 2**63 - 1)))


@pytest.mark.parametrize("kind", [VariationKind.SESSION, VariationKind.PLAYER])
def test_every_session_has_its_own(kind):
    found = seeds(content(kind))
    assert len(set(found)) == 200
    assert all(0 <= seed < 2**63 for seed in found)
    assert pool_seeds(content(kind)) == ()
    assert content_seed(content(kind), "w", "g", "s") != content_seed(content(kind), "w", "other", "s")
    assert content_seed(content(kind), "w", "g", "s") != content_seed(content(kind, seed=8), "w", "g", "s")


def test_a_player_sees_the_same_in_every_session():
    of = content(VariationKind.PLAYER)
    assert len(set(seeds(of, player="ada"))) == 1
    assert seeds(of, 1, player="ada") != seeds(of, 1, player="bob")


def test_the_hash_is_the_same_for_ever_and_tells_where_parts_end():
    assert stable_hash("a", "bc") == 4589064456534337473
    assert stable_hash("a", "bc") != stable_hash("ab", "c")
    assert stable_hash("\ud800") >= 0
