import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_checkpoint, load_dit
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.dit import UNKNOWN, Condition, Dit, DitConfig
from model.errors import ModelError
from model.train.data import slot_table
from model.train.dit import DitData, DitPolicy, DitTask, drop_slots, picture_weights, train_dit, weighted_loss
from model.train.latents import LatentStore, Windows
from model.train.loop import TrainingPlan
from model.vae import Vae

CONFIG = DitConfig(latent_channels=6, latent_size=(3, 4, 6), width=32, depth=2, heads=2, patch=2, slots=slot_table())
POLICY = DitPolicy(pool_start=2, pool_rate=0.5, few_step_share=0.5)


def _plan(out: Path, steps: int = 6, save_every: int = 3) -> TrainingPlan:
    return TrainingPlan(out, steps=steps, warmup_steps=2, log_every=1, save_every=save_every, look_every=4)


def _train(store: LatentStore, out: Path, resume: bool = False, **changes: object) -> dict[str, float]:
    return train_dit(_plan(out), DitData(store, store, {"clips": 3}), POLICY, CONFIG, resume, **changes)


def _state(out: Path) -> dict[str, torch.Tensor]:
    held = torch.load(out / "state.pt", weights_only=True)
    return {**held["network"], **{f"average.{name}": value for name, value in held["average"].items()}}


def test_a_killed_training_goes_on_bit_for_bit_through_the_few_step_phase(
    small_store: LatentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = _train(small_store, tmp_path / "whole")
    plain = DitTask.loss
    calls: list[int] = []

    def dies(self: DitTask, random: torch.Generator, moment: object) -> object:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return plain(self, random, moment)  # type: ignore[arg-type]

    monkeypatch.setattr(DitTask, "loss", dies)
    with pytest.raises(KeyboardInterrupt):
        _train(small_store, tmp_path / "killed")
    monkeypatch.setattr(DitTask, "loss", plain)
    again = _train(small_store, tmp_path / "killed", resume=True)
    whole, killed = _state(tmp_path / "whole"), _state(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert {**again, "trained_s": 0.0} == {**figures, "trained_s": 0.0}
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    for lines in logs:
        for line in lines:
            del line["trained_s"]
    assert logs[0] == logs[1]
    assert ["map_loss" in line for line in logs[0]] == [False] * 3 + [True] * 3
    assert {"val_none", "val_room", "val_objects", "val_loss"} <= set(logs[0][3])
    assert (tmp_path / "whole" / "look-000004.png").read_bytes().startswith(b"\x89PNG")
    recipe = load_checkpoint(tmp_path / "whole" / "dit.safetensors", "dit").recipe
    assert recipe["clips"] == 3 and recipe["steps"] == 6 and "val_objects" in recipe


def test_training_starts_from_weights_where_asked(small_store: LatentStore, tmp_path: Path) -> None:
    _train(small_store, tmp_path / "first")
    weights = tmp_path / "first" / "dit.safetensors"
    plan = replace(_plan(tmp_path / "second", steps=1), peak_rate=1e-12)
    train_dit(plan, DitData(small_store, small_store, {}), POLICY, CONFIG, False, weights)
    ours, theirs = load_dit(tmp_path / "second" / "dit.safetensors"), load_dit(weights)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    other = replace(CONFIG, depth=1)
    with pytest.raises(ModelError, match="another architecture"):
        train_dit(_plan(tmp_path / "third"), DitData(small_store, small_store, {}), POLICY, other, False, weights)


def test_a_pool_grows_by_steps_alone_and_no_clip_outside_it_is_drawn(small_store: LatentStore) -> None:
    assert [POLICY.pool(step, 3) for step in (0, 1, 2, 9)] == [2, 2, 3, 3]
    assert [DitPolicy(few_step_share=0.25).teaches_map(share) for share in (0.0, 0.74, 0.76)] == [False, False, True]
    assert not DitPolicy(few_step_share=0.0).teaches_map(1.0)
    task = DitTask(Dit(CONFIG), Dit(CONFIG), small_store, small_store, DitPolicy(pool_start=1), torch.ones(6))
    only = small_store.windows([0], [0], [0], 5)
    windows = task.draw(torch.Generator().manual_seed(0), 0)
    starts = windows.condition.starts
    assert starts.any() and not starts.all()
    assert torch.equal(windows.latents[starts], only.latents[:, :, :3].expand(int(starts.sum()), -1, -1, -1, -1))
    for index in torch.nonzero(~starts)[:, 0]:
        spans = [only.latents[0, :, first : first + 3] for first in (1, 2)]
        assert any(torch.equal(windows.latents[index], span) for span in spans)
    again = task.draw(torch.Generator().manual_seed(0), 0)
    assert torch.equal(again.condition.control_kind, windows.condition.control_kind)


@pytest.mark.parametrize("fields", [{"pool_start": 0}, {"pool_rate": -1.0}, {"few_step_share": 1.1}])
def test_policies_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="out of range"):
        DitPolicy(**fields)  # type: ignore[arg-type]


def test_slots_are_dropped_one_by_one_and_all_at_once() -> None:
    slots = torch.ones(4000, 9, dtype=torch.int64)
    dropped = drop_slots(slots, torch.Generator().manual_seed(0)) == UNKNOWN
    assert 0.08 < float(dropped.all(1).float().mean()) < 0.12
    assert 0.08 < float(dropped[~dropped.all(1)].float().mean()) < 0.12


def test_the_object_weighs_three_times_and_given_frames_nothing() -> None:
    coverage = torch.zeros(1, 2, 2, 2)
    coverage[0, 1, 0, 0] = 1.0
    told = Condition.plain(torch.ones(1, 2, dtype=torch.int64), torch.zeros(1, 12, 2, 2, 2))
    windows = Windows(torch.zeros(1, 3, 2, 2, 2), told, coverage)
    channels, none = torch.tensor([2.0, 0.5, 0.5]), torch.zeros(1, 2, dtype=torch.bool)
    even = torch.ones(1, 3, 2, 2, 2)
    assert weighted_loss(even, windows, none, channels) == pytest.approx(1.0)
    at_object = torch.zeros_like(even)
    at_object[0, :, 1, 0, 0] = 1.0
    assert weighted_loss(at_object, windows, none, channels) == pytest.approx(3.0 / 10.0)
    first_given = torch.tensor([[True, False]])
    assert weighted_loss(at_object, windows, first_given, channels) == pytest.approx(3.0 / 6.0)
    in_first = torch.zeros_like(even)
    in_first[:, :, 0] = 5.0
    assert weighted_loss(in_first, windows, first_given, channels) == 0.0


def test_channels_weigh_by_what_they_change_in_the_picture(small_vae: Vae, small_store: LatentStore) -> None:
    latents = small_store.windows([0, 1], [0, 0], [CONTROL_OBJECTS] * 2, 3).latents
    weights = picture_weights(small_vae, latents)
    assert weights.mean() == pytest.approx(1.0)
    assert weights.min() > 0.0
    uneven = copy.deepcopy(small_vae)
    uneven.unwhiten[:, 0] = 0.0
    uneven.unwhiten[:, 1] *= 4.0
    changed = picture_weights(uneven, latents)
    assert changed[0] == 0.0
    # The root of the change in squared error grows about as the nudge does: fourfold, beside the other channels.
    assert 3.0 < float(changed[1] / changed[2] / (weights[1] / weights[2])) < 5.0


def test_windows_are_drawn_with_the_shares_of_the_recipe(small_store: LatentStore) -> None:
    task = DitTask(Dit(CONFIG), Dit(CONFIG), small_store, small_store, POLICY, torch.ones(6))
    random = torch.Generator().manual_seed(0)
    drawn = [task.draw(random, 9).condition for _ in range(100)]
    kinds = torch.cat([told.control_kind for told in drawn])
    for kind, share in ((CONTROL_OBJECTS, 0.45), (CONTROL_ROOM, 0.3), (CONTROL_NONE, 0.25)):
        assert float((kinds == kind).float().mean()) == pytest.approx(share, abs=0.05)
    assert float(torch.cat([told.starts for told in drawn]).float().mean()) == pytest.approx(0.6, abs=0.05)
    slots = torch.cat([told.slots for told in drawn])
    always = (torch.from_numpy(small_store.slots[:]) != UNKNOWN).all(0)
    silent = (slots == UNKNOWN).all(1).float().mean()
    assert always.sum() > 3
    assert float(silent) == pytest.approx(0.1, abs=0.03)
    assert float((slots[:, always] == UNKNOWN).float().mean()) == pytest.approx(0.1 + 0.9 * 0.1, abs=0.03)
