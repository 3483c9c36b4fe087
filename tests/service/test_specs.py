"""Specs and the model's revision: what the server knows of the model without loading it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clips.camera_path import CameraPath
from model.errors import UnreadableCheckpoint
from model.revision import DIT_FILE, VAE_FILE, ModelInfo, read_model_info, weights_revision
from model.spec_control import NO_CONTROL, Control, ControlKind
from service.errors import InvalidInput
from service.quality import Quality
from service.specs import segment_spec
from service.worlds.world import Content, Variation, VariationKind

CONTENT = Content(
    prompt="a brick room in daylight",
    seed=5,
    variation=Variation(VariationKind.SHARED),
    frames=17,
    fps=8.0,
    camera_path=CameraPath(),
    width_px=96,
    height_px=64,
    control=NO_CONTROL,
    placeholder=None,
    qualities=(Quality.DRAFT, Quality.FULL),
)
MODEL = ModelInfo("0123456789ab", draft_steps=3, full_steps=18, guidance=2.5)


def test_a_spec_says_everything_that_the_content_and_the_model_say():
    draft, full = (segment_spec(CONTENT, 9, quality, MODEL) for quality in (Quality.DRAFT, Quality.FULL))
    assert (draft.prompt, draft.seed, draft.fps, draft.guidance) == (CONTENT.prompt, 9, 8.0, 2.5)
    assert (draft.steps, full.steps) == (3, 18)
    assert (len(draft.cameras), draft.cameras.width, draft.cameras.height) == (17, 96, 64)
    assert draft.model_revision == "0123456789ab"
    assert len({draft.key(), full.key(), segment_spec(CONTENT, 10, Quality.DRAFT, MODEL).key()}) == 3
    assert segment_spec(CONTENT, 9, Quality.DRAFT, MODEL).key() == draft.key()


def test_what_steers_the_content_is_part_of_the_spec():
    layout = replace(CONTENT, control=Control(ControlKind.LAYOUT))
    spec = segment_spec(layout, 9, Quality.FULL, MODEL)
    assert spec.control == layout.control
    assert spec.key() != segment_spec(CONTENT, 9, Quality.FULL, MODEL).key()


def test_no_model_makes_placeholders():
    with pytest.raises(InvalidInput, match="got PLACEHOLDER"):
        segment_spec(CONTENT, 9, Quality.PLACEHOLDER, MODEL)


def test_the_revision_is_that_of_the_weights_bytes(tmp_path: Path):
    (tmp_path / VAE_FILE).write_bytes(b"vae" * 1_000_000)
    (tmp_path / DIT_FILE).write_bytes(b"dit")
    (tmp_path / "notes.txt").write_text("not weights")
    expected = hashlib.sha256(b"vae" * 1_000_000 + b"dit").hexdigest()[:12]
    assert weights_revision(tmp_path) == expected
    assert read_model_info(tmp_path, 2, 9, 1.5) == ModelInfo(expected, 2, 9, 1.5)
    (tmp_path / DIT_FILE).write_bytes(b"dit2")
    assert weights_revision(tmp_path) != expected


def test_missing_weights_are_an_error_that_names_the_file(tmp_path: Path):
    (tmp_path / VAE_FILE).write_bytes(b"vae")
    with pytest.raises(UnreadableCheckpoint, match=DIT_FILE):
        read_model_info(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"revision": ""},
        {"draft_steps": 0},
        {"draft_steps": 21, "full_steps": 20},
        {"full_steps": 1001},
        {"guidance": float("nan")},
        {"guidance": -0.1},
        {"guidance": 21.0},
    ],
)
def test_impossible_models_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        ModelInfo(**{"revision": "r", **values})


def test_the_server_side_loads_neither_torch_nor_numba():
    code = (
        "import sys, service.sessions.director, service.specs\n"
        "heavy = {'torch', 'numba', 'model.generate', 'recon', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
