from pathlib import Path

import numpy as np
import pytest
import torch

from clips.dungeon.attributes import SLOTS
from model.checkpoint import load_checkpoint
from model.errors import InvalidSpec, UnreadableCheckpoint
from model.measure.judge import (
    JUDGED_SLOTS,
    Judge,
    JudgeConfig,
    judged_frames,
    load_judge,
    save_judge,
    to_input,
)

TABLE = tuple((name, tuple(map(str, SLOTS[name]))) for name in JUDGED_SLOTS)
CONFIG = JudgeConfig(width=8, fine_blocks=1, coarse_blocks=1, hidden=12, slots=TABLE)


@pytest.fixture(scope="module")
def judge() -> Judge:
    torch.manual_seed(3)
    return Judge(CONFIG).eval()


def _clips(count: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 9, 16, 24, 3), dtype=np.uint8))


def test_every_slot_gets_a_word_of_its_own_and_every_pixel_a_verdict(judge: Judge) -> None:
    words = judge.words(_clips())
    assert [list(found) for found in words] == [list(JUDGED_SLOTS)] * 3
    assert all(found[slot] in [str(value) for value in SLOTS[slot]] for found in words for slot in JUDGED_SLOTS)
    masks = judge.object_masks(_clips()[0])
    assert (masks.shape, masks.dtype) == ((9, 16, 24), np.bool_)


def test_a_clip_is_judged_alone(judge: Judge) -> None:
    clips = _clips(5)
    assert judge.words(clips, batch=2) == judge.words(clips) == [judge.words([clip])[0] for clip in clips]


def test_frames_are_judged_in_any_order(judge: Judge) -> None:
    frames = to_input(_clips()[0][None])
    turned = frames[:, [2, 0, 1, *range(3, 9)]]
    for ours, theirs in zip(judge(frames).words, judge(turned).words, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_pixel_of_the_mask_is_where_its_colour_is(judge: Judge) -> None:
    frames = torch.zeros(1, 1, 3, 32, 48)
    changed = frames.clone()
    changed[..., 8:12, 40:44] = 1.0
    with torch.no_grad():
        moved = (judge(changed).object_pixels - judge(frames).object_pixels).abs()[0, 0]
    row, column = divmod(int(moved.argmax()), 48)
    assert 6 <= row < 14
    assert 38 <= column < 46


def test_judged_frames_reach_from_first_to_last() -> None:
    assert judged_frames(17) == [0, 4, 8, 12, 16]
    assert judged_frames(33) == [0, 8, 16, 24, 32]
    assert judged_frames(3) == [0, 1, 2]


def test_a_judge_is_written_and_read_back(judge: Judge, tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    save_judge(judge, {"clips": 7}, path)
    read = load_judge(path)
    assert read.config == CONFIG
    assert load_checkpoint(path, "judge").recipe == {"clips": 7}
    frames = to_input(_clips()[0][None])
    for ours, theirs in zip(judge(frames).words, read(frames).words, strict=True):
        assert torch.allclose(ours, theirs, atol=0.02)


def test_damaged_and_foreign_files_are_refused_by_name(judge: Judge, tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    save_judge(judge, {}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableCheckpoint, match=r"judge\.safetensors"):
        load_judge(path)
    with torch.no_grad():
        judge.heads[0].bias[0] = float("nan")
        save_judge(judge, {}, path)
        judge.heads[0].bias[0] = 0.0
    with pytest.raises(UnreadableCheckpoint, match="finite"):
        load_judge(path)
    path.write_bytes(whole.replace(b'\\"hidden\\": 12', b'\\"hidden\\": 13'))
    with pytest.raises(UnreadableCheckpoint, match="configuration"):
        load_judge(path)


def test_a_judge_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="shape and prop"):
        JudgeConfig(8, 1, 1, 8, TABLE[:2])
    with pytest.raises(InvalidSpec, match="positive"):
        JudgeConfig(0, 1, 1, 8, TABLE)
