"""Footage that was captured in another engine's axes trains the networks of this house."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clips.camera_path import CameraPath
from clips.clip import Clip
from clips.dungeon.attributes import SLOTS
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.fitting import Fit
from clips.footage.footage import Footage
from clips.footage.importing import captures_in, import_captures
from model.control import CONTROL_NONE, CONTROL_OBJECTS
from model.dit import Dit, DitConfig
from model.errors import ModelError
from model.rgbd import pack_rgbd
from model.train.dit import WINDOW, DitPolicy, DitTask
from model.train.footage_clips import FolderClips, FootageStore, check_grid, split_held_out
from model.train.latents import LatentCoder, LatentStore
from model.train.loop import Training, TrainingPlan
from model.train.vae import train_vae
from model.vae import Vae, VaeConfig
from tests.clips.footage.engine_captures import engine_clip

FRAMES, WIDTH, HEIGHT, CLIPS = 17, 48, 32, 4
SLOT_TABLE = tuple((name, tuple(map(str, words))) for name, words in SLOTS.items())


def corridor(seed: int) -> Footage:
    """A tiled wall that a camera nears, twice as large as training wants it."""
    rng = np.random.default_rng(seed)
    cameras = CameraPath(distance_m=0.8).cameras(FRAMES, 2 * WIDTH, 2 * HEIGHT)
    depth = np.empty((FRAMES, 2 * HEIGHT, 2 * WIDTH), dtype=np.float32)
    depth[:] = (4.0 - cameras.positions[:, 2])[:, None, None]
    tiles = np.kron(rng.integers(40, 220, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    frames = np.repeat(tiles[None], FRAMES, axis=0)
    return Footage(Clip(frames, depth, cameras, np.arange(FRAMES) / 8.0))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips captured in Unity's axes, one of them bad, brought to the size of training."""
    folder = tmp_path_factory.mktemp("footage")
    for index in range(CLIPS + 1):
        size = {"width": 2 * WIDTH, "height": 2 * HEIGHT}
        engine_clip(folder / "raw", "unity", corridor(index), True, f"hall-{index}", **size)
    (folder / "raw" / "hall-2" / "depth.npy").unlink()
    (folder / "raw" / "hall-1" / "slots.json").write_text(json.dumps({"light": "ember", "shape": "cube"}))
    (folder / "raw" / "hall-0" / "caption.txt").write_text("a blue cube in moonlight")
    np.save(folder / "raw" / "hall-0" / "objects_depth.npy", corridor(0).clip.depth)
    done = import_captures(captures_in(folder / "raw", None), folder / "set", Fit(WIDTH, HEIGHT, FRAMES, 8.0))
    assert len(done.written) == CLIPS and [skip.name for skip in done.skipped] == ["hall-2"]
    return folder / "set"


def test_an_imported_folder_is_a_source_of_clips(imported: Path) -> None:
    source = FolderClips(imported, FRAMES)
    assert source.names == ("hall-0", "hall-1", "hall-3", "hall-4") and source.size == (FRAMES, HEIGHT, WIDTH)
    np.testing.assert_allclose(source.clip(3).clip.cameras.viewmats, corridor(4).clip.cameras.viewmats, atol=1e-9)
    np.testing.assert_allclose(source.clip(3).clip.depth, corridor(4).clip.depth[:, ::2, ::2], rtol=1e-6)


def test_slots_are_written_ones_or_what_the_caption_says(imported: Path) -> None:
    source = FolderClips(imported, FRAMES)
    assert source.clip(0).slots == {"light": "moonlight", "color": "blue", "shape": "cube"}
    assert source.clip(1).slots == {"light": "ember", "shape": "cube"}, "the caption (a red orb) is not asked"


def test_bad_and_short_clips_are_named_and_the_rest_is_used(imported: Path, tmp_path: Path) -> None:
    folder = ClipFolder.create(tmp_path / "set", ClipFolder.open(imported).info)
    footage = ClipFolder.open(imported).read("hall-0")
    for name in ("a", "b", "c"):
        folder.write(name, footage)
    folder.write("short", footage.at(np.arange(5)))
    Image.new("RGB", (9, 9)).save(tmp_path / "set" / "b" / "frames" / "000003.png")
    source = FolderClips(tmp_path / "set", FRAMES)
    assert source.names == ("a", "c")
    problems = {skip.name: skip.problem for skip in source.skipped}
    assert "clip b: frames/: mixed sizes" in problems["b"]
    assert problems["short"] == "clip short: has 5 frames, 17 are needed"
    assert len(FolderClips(tmp_path / "set", 5)) == 3


def test_the_key_follows_the_content(imported: Path, tmp_path: Path) -> None:
    folder = ClipFolder.create(tmp_path / "set", ClipFolder.open(imported).info)
    footage = ClipFolder.open(imported).read("hall-0")
    folder.write("a", footage)
    first = FolderClips(tmp_path / "set", FRAMES).key()
    assert FolderClips(tmp_path / "set", FRAMES).key() == first
    (tmp_path / "set" / "a" / "slots.json").write_text('{"light": "ember"}')
    assert FolderClips(tmp_path / "set", FRAMES).key() != first


def test_folders_that_cannot_train_say_why(imported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none of its 4 clips can be used; the first: clip hall-0: has 17 frames, 33"):
        FolderClips(imported, 33)
    with pytest.raises(ModelError, match="clips need at least 1 frame, got 0"):
        FolderClips(imported, 0)
    info = ClipFolder.open(imported).info.model_copy(update={"width": None, "height": None})
    (tmp_path / "dataset.json").write_text(info.text())
    with pytest.raises(ModelError, match="may differ in size; fit them with `narthex data import` first"):
        FolderClips(tmp_path, FRAMES)


def test_a_vae_trains_on_imported_footage(imported: Path, tmp_path: Path) -> None:
    source = FolderClips(imported, FRAMES)
    store = FootageStore(tmp_path / "clips", source)
    config = VaeConfig(
        latent_channels=6, width=16, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8
    )
    plan = TrainingPlan(tmp_path / "vae", steps=3, warmup_steps=1)
    figures = train_vae(plan, (store, store), False, CLIPS, config)
    assert figures["steps"] == 3 and (tmp_path / "vae" / "vae.safetensors").exists()
    wanted = source.clip(1).clip
    assert torch.allclose(store.rgbd(1), pack_rgbd(wanted.frames, wanted.depth), atol=2e-3)
    with pytest.raises(ModelError, match="holds other clips"):
        FootageStore(tmp_path / "clips", FolderClips(imported, 9))


def test_a_transformer_trains_on_imported_footage(imported: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = Vae(
        VaeConfig(
            latent_channels=6, width=16, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8
        )
    ).eval()
    store = LatentStore(tmp_path / "latents", FolderClips(imported, FRAMES), LatentCoder(vae, "test", SLOT_TABLE))
    windows = store.windows([0, 1], [0, 0], [CONTROL_OBJECTS, CONTROL_OBJECTS], WINDOW)
    kinds = windows.condition.control_kind.tolist()
    assert kinds == [CONTROL_OBJECTS, CONTROL_NONE], "a clip without a blockout trains without control"
    size = (WINDOW, HEIGHT // 8, WIDTH // 8)
    config = DitConfig(latent_channels=6, latent_size=size, width=32, depth=1, heads=2, patch=2, slots=SLOT_TABLE)
    network = Dit(config)
    average = copy.deepcopy(network)
    task = DitTask(network, average, store, store, DitPolicy(few_step_share=0.0), torch.ones(6))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    training = Training(task, TrainingPlan(tmp_path / "dit", steps=3, warmup_steps=1, log_every=1), average, False)
    training.run()
    lines = [json.loads(line) for line in (tmp_path / "dit" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3] and all(line["loss"] > 0 for line in lines)
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert any(moved)


def numbered(folder: Path, clips: Mapping[str, str | None]) -> FolderClips:
    """A source of short clips by name, each with the capture that it was cut from."""
    made = ClipFolder.create(folder, our_dataset("numbered", WIDTH, HEIGHT, 8.0))
    short = corridor(0).clip
    rows = slice(0, 2 * HEIGHT, 2)
    cameras = CameraPath(distance_m=0.8).cameras(FRAMES, WIDTH, HEIGHT)
    clip = Clip(short.frames[:, rows, ::2].copy(), short.depth[:, rows, ::2].copy(), cameras, short.times)
    one = Footage(clip).at(np.arange(1))
    for name, capture in clips.items():
        made.write(name, one if capture is None else replace(one, source={"capture": capture}))
    return FolderClips(folder, 1)


def test_a_tenth_is_held_out_by_name_and_no_clip_is_on_both_sides(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a", {f"clip-{index:02d}": None for index in range(25)})
    train, held_out = split_held_out(source)
    assert (len(train), len(held_out)) == (23, 2)
    assert sorted((*train.names, *held_out.names)) == list(source.names)
    (tmp_path / "a").rename(tmp_path / "b")
    again = split_held_out(FolderClips(tmp_path / "b", 1))
    assert [part.names for part in again] == [train.names, held_out.names]
    assert train.key() != held_out.key() != source.key()
    assert [len(part) for part in split_held_out(source, 20)] == [5, 20]
    assert held_out.names[0] in split_held_out(source, 20)[1].names, "more held out keeps those that were"


def test_clips_of_one_capture_stay_on_one_side(tmp_path: Path) -> None:
    clips = {f"{capture}-{part:02d}": capture for capture in ("hall", "yard", "crypt") for part in range(4)}
    train, held_out = split_held_out(numbered(tmp_path / "a", clips), 4)
    assert len(held_out) == 4 and len({clips[name] for name in held_out.names}) == 1
    assert not {clips[name] for name in held_out.names} & {clips[name] for name in train.names}
    fewest, least = split_held_out(FolderClips(tmp_path / "a", 1), 1)
    assert (len(fewest), len(least)) == (8, 4), "a capture is never cut, even where it is more than was asked for"
    alone = {f"hall-{part:02d}": "hall" for part in range(6)}
    assert [len(part) for part in split_held_out(numbered(tmp_path / "b", alone))] == [5, 1]


@pytest.mark.parametrize("count", [2, 3, 0])
def test_holding_out_everything_is_refused(tmp_path: Path, count: int) -> None:
    source = numbered(tmp_path / "a", {"a": None, "b": None})
    with pytest.raises(ModelError, match=f"2 usable clips, and {count} of them held out leave none to train on"):
        split_held_out(source, count)
    with pytest.raises(ModelError, match="1 usable clips"):
        split_held_out(source.only(["a"]))


def test_grids_that_the_networks_cannot_take_are_refused(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a", {"a": None})
    check_grid(source, 16, 4, 1)
    with pytest.raises(ModelError, match=r"clips are 48x32, the networks take multiples of 20 pixels.*--size 40x20`"):
        check_grid(source, 20, 4, 1)
    with pytest.raises(ModelError, match=r"clips of 1 frames: the networks take 5, 9, 13, \.\.\. frames"):
        check_grid(source, 16, 4, 5)
