"""Documents name files, commands and options that are there."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from service.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "model/weights/MODEL_CARD.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
CODE_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
OURS = ("benchmarks", "clips", "examples", "model", "recon", "service")


def test_the_documents_are_found() -> None:
    assert {"README.md", "docs/embedded-model.md", "docs/experiments/002-embedded-model.md"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if link.startswith(("http://", "https://")):
            continue
        if not target.exists() or (heading and heading not in _headings(target)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_their_options_exist(name: str) -> None:
    problems = [problem for line in _commands(ROOT / name) if (problem := _problem(line))]
    assert problems == []


@pytest.mark.parametrize("name", NAMES)
def test_modules_and_scripts_that_are_run_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    modules = {found for found in re.findall(r"python -m ([\w.]+)", text) if found.split(".")[0] in OURS}
    scripts = set(re.findall(r"python (scripts/[\w./]+\.py)", text))
    missing = [module for module in sorted(modules) if importlib.util.find_spec(module) is None]
    assert missing + [script for script in sorted(scripts) if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("docs/experiments")])
def test_files_of_the_source_that_are_named_exist(name: str) -> None:
    text = CODE_BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))
    named = set(re.findall(rf"`((?:{'|'.join(OURS)}|scripts|tests)/[\w./-]+\.\w+)`", text))
    gone = set(re.findall(r"`([\w/]+\.py)` (?:became|is gone)", text))
    assert [path for path in sorted(named) if not (ROOT / path).exists() and path not in gone] == []


def test_the_python_of_the_embedded_model_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/embedded-model.md").read_text("utf-8"), re.DOTALL)
    exec(compile(code, "docs/embedded-model.md", "exec"), {"__name__": "snippet"})
    shape, _, depth_m = capsys.readouterr().out.rpartition(" ")
    assert shape == "(17, 64, 96, 3)"
    assert 1.0 < float(depth_m) <= 50.0


def test_a_wrong_command_would_be_seen() -> None:
    assert _problem("narthex generate --prompt x --out y") is None
    assert _problem("narthex generate --bogus x") is not None
    assert _problem("narthex train nothing") is not None
    assert _problem("narthex fly") is not None


def _commands(document: Path) -> Iterator[str]:
    """Every line of a document that begins with narthex, outside of a sentence."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [*CODE_BLOCK.findall(text), *re.findall(r"^ {4}(.+)$", text, re.MULTILINE)]
    for block in blocks:
        for line in block.splitlines():
            command = re.sub(r"^\s*(?:\$ )?", "", line).split(" #")[0].rstrip(" &")
            if command.startswith("narthex ") and not command.startswith("narthex COMMAND"):
                yield command.split(" > ")[0]


def _problem(line: str) -> str | None:
    """What is wrong with a command line; None where its command and options exist."""
    _, name, *rest = shlex.split(line)
    if name.startswith("--"):
        return None
    if name not in COMMANDS:
        return f"{line}: no command {name}"
    command = _command(name)
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        found = command.commands.get(rest.pop(0))
        if found is None:
            return f"{line}: no such command"
        command = found
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known | {"--help"}]
    return f"{line}: no option {unknown[0]}" if unknown else None


@cache
def _command(name: str) -> Any:
    entry = COMMANDS[name]
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        return get_command(found)
    app = typer.Typer(add_completion=False)
    app.command(name)(found)
    return get_command(app)


@cache
def _headings(document: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
