"""Files that are no adapters are named, with what is wrong and what to do."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.errors import UnreadableCheckpoint
from model.lora_file import load_lora

HEADER = {
    "schema_version": 1,
    "kind": "lora",
    "base_revision": "0123456789ab",
    "rank": 2,
    "alpha": 4.0,
    "targets": ["blocks.*"],
    "recipe": {"clips": 20},
}


def _file(folder: Path, header: str) -> Path:
    path = folder / "style.safetensors"
    tensors = {"blocks.0.lora_down": torch.ones(2, 6).half(), "blocks.0.lora_up": torch.ones(6, 2).half()}
    save_file(tensors, path, {"narthex": header})
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(UnreadableCheckpoint) as refused:
        load_lora(path)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value)


def test_the_header_that_is_changed_below_is_right(tmp_path: Path) -> None:
    assert load_lora(_file(tmp_path, json.dumps(HEADER))).config.rank == 2


@pytest.mark.parametrize(
    ("field", "written", "message"),
    [
        ("rank", "Infinity", "rank: got inf, expected a whole number"),
        ("rank", "NaN", "rank: got nan, expected a whole number"),
        ("rank", "2.5", "rank: got 2.5, expected a whole number"),
        ("rank", "true", "rank: got True, expected a whole number"),
        ("rank", "0", "rank must be within"),
        ("alpha", "1" + "0" * 400, "too large"),
        ("alpha", "Infinity", "alpha must be within"),
        ("alpha", "null", "alpha: got None, expected a number"),
        ("targets", '"blocks.*"', "targets: got blocks.*, expected a list of name patterns"),
        ("targets", "[7]", "targets: got [7], expected a list of name patterns"),
        ("base_revision", "[]", "base_revision: got [], expected text"),
        ("recipe", '[["clips", 20]]', "expected an object"),
    ],
)
def test_numbers_and_kinds_of_no_adapter_are_named(tmp_path: Path, field: str, written: str, message: str) -> None:
    rest = {name: value for name, value in HEADER.items() if name != field}
    said = _refusal(_file(tmp_path, f'{{"{field}": {written}, {json.dumps(rest)[1:]}'))
    assert "makes no adapter" in said
    assert message in said
    assert said.endswith("or make one with `narthex train lora`")


@pytest.mark.parametrize("header", ["[" * 100_000, "[1]", "7", "{"])
def test_damaged_headers_are_named(tmp_path: Path, header: str) -> None:
    assert "its metadata is damaged" in _refusal(_file(tmp_path, header))


def test_a_folder_and_a_missing_file_are_named_as_such(tmp_path: Path) -> None:
    assert f"{tmp_path}: is no file; copy it anew" in _refusal(tmp_path)
    assert "none.safetensors: no such file; copy it anew" in _refusal(tmp_path / "none.safetensors")
