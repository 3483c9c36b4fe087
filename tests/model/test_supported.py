"""What some weights make, as the headers of their files say it."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.checkpoint import save_checkpoint
from model.dit import Dit
from model.generate import Generator
from model.revision import DIT_FILE, VAE_FILE, default_weights, read_model_info
from model.supported import SupportedSize, supported_size
from model.vae import Vae
from service.worlds.limits import SHIPPED


def test_the_shipped_weights_make_what_worlds_may_ask_for():
    folder = default_weights()
    assert supported_size(folder / VAE_FILE, folder / DIT_FILE) == SHIPPED == SupportedSize(17, 96, 64)
    assert read_model_info(folder).made == SHIPPED
    assert (SHIPPED.frame_counts, SHIPPED.lengths, str(SHIPPED)) == ((17, 33), "17 or 33", "17 frames of 96x64")


def test_headers_say_what_the_loaded_networks_make(tmp_path: Path, small_vae: Vae, small_dit: Dit):
    save_checkpoint(small_vae, {}, tmp_path / VAE_FILE)
    save_checkpoint(small_dit, {}, tmp_path / DIT_FILE)
    made = Generator.load(tmp_path).supported
    assert supported_size(tmp_path / VAE_FILE, tmp_path / DIT_FILE) == made != SHIPPED


VAE, DIT = {"group_frames": 4, "patch_px": 8}, {"latent_size": [5, 8, 12]}


def _written(path: Path, header: str) -> Path:
    save_file({"w": np.zeros(1, np.float32)}, path, {"narthex": header})
    return path


@pytest.mark.parametrize(
    "dit",
    [
        {},
        {"latent_size": [5, 8]},
        {"latent_size": 5},
        {"latent_size": [1, 8, 12]},
        {"latent_size": [5, -8, 12]},
        {"latent_size": [5, float("inf"), 12]},
        {"latent_size": [5, None, 12]},
        {"latent_size": ["x", 8, 12]},
    ],
)
def test_what_headers_do_not_say_is_not_known(tmp_path: Path, dit: dict):
    vae = _written(tmp_path / VAE_FILE, json.dumps({"config": VAE}))
    right = _written(tmp_path / "right", json.dumps({"config": DIT}))
    assert supported_size(vae, right) == SHIPPED
    assert supported_size(vae, _written(tmp_path / DIT_FILE, json.dumps({"config": dit}))) is None


def test_files_of_something_else_are_not_known(tmp_path: Path):
    vae = _written(tmp_path / VAE_FILE, json.dumps({"config": VAE}))
    other, plain, cut = tmp_path / "other", tmp_path / "plain", tmp_path / "cut"
    save_file({"w": np.zeros(1, np.float32)}, other)
    plain.write_bytes(b"dit")
    cut.write_bytes(vae.read_bytes()[:40])
    for file in (other, plain, cut, tmp_path, tmp_path / "none", _written(tmp_path / "list", "[1]")):
        assert supported_size(vae, file) is None


@pytest.mark.parametrize("size", [(1, 96, 64), (17, 0, 64), (17, 96, -1)])
def test_a_size_of_nothing_is_refused(size: tuple[int, int, int]):
    with pytest.raises(ValueError, match="got"):
        SupportedSize(*size)
