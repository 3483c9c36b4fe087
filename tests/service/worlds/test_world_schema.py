"""The JSON Schema for editors: committed, up to date, and of the same mind as the check."""

import json
from pathlib import Path

import pytest

from service.worlds.document import WorldDocument, json_schema
from service.worlds.yaml_text import read_yaml

ROOT = Path(__file__).parents[3]


def test_the_committed_schema_is_the_one_that_the_models_give():
    committed = (ROOT / "docs" / "world.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == json_schema(), "run: narthex world schema > docs/world.schema.json"
    assert committed == json.dumps(json_schema(), indent=2) + "\n"


def test_every_field_that_people_write_is_described():
    silent = []
    for name, part in json_schema()["$defs"].items():
        fields = part.get("properties", {})
        silent += [f"{name}.{field}" for field, about in fields.items() if not _says_something(about)]
    assert not [field for field in silent if field.split(".")[1] not in ("tasks", "content", "all", "any")]


def _says_something(about):
    return "description" in about or any(map(_says_something, about.get("anyOf", ()))) or "$ref" in about


def test_unknown_fields_are_errors_in_editors_too():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.yaml")), ids=lambda path: path.name)
def test_examples_point_editors_to_the_schema(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("$schema=")[2]).resolve() == ROOT / "docs" / "world.schema.json"
    assert WorldDocument.model_validate(read_yaml(path.read_bytes()).value).gates
