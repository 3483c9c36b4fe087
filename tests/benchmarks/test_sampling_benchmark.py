"""The samplers' benchmark runs, and the page that quotes it has a snippet that runs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks import sampling
from model.interpolant import GVP

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "EVALUATIONS", (2, 4))


@pytest.mark.usefixtures("quick")
def test_json_has_a_finite_figure_for_every_path_sampler_and_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = tmp_path / "made" / "errors.png"
    arguments = ["sampling", "--json", "--check", "--samples", "500", "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert sampling.main() == 0
    captured = capsys.readouterr()
    figures = json.loads(captured.out)
    assert len(figures) == 1 + 3 * 12 * 2
    assert all(math.isfinite(figure) and figure > 0 for figure in figures.values())
    assert {"direct", "linear_euler_2", "vp_sde_heun_kl_optimal_4"} <= figures.keys()
    assert "no aims are set" in captured.err
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("quick")
def test_the_table_has_a_row_for_every_sampler(capsys: pytest.CaptureFixture[str]) -> None:
    sampling.print_tables({"gvp": sampling.measure(GVP, 500)}, 0.5)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + 2 + 12
    assert rows[3].split()[0] == "euler"


def test_the_snippet_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "sampling.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    exec(compile(code, "docs/sampling.md", "exec"), {"__name__": "snippet"})
    heun, sde, last = capsys.readouterr().out.splitlines()
    for line in (heun, sde):
        mean, deviation = map(float, line.split())
        assert abs(mean - 2.0) < 0.03
        assert abs(deviation - 0.5) < 0.03
    assert last.startswith("True tensor(")
