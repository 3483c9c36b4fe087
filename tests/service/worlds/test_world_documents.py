"""What docs/worlds.md and docs/traces.md show is what the code takes."""

import json
import re
from pathlib import Path

from google.protobuf.json_format import ParseDict
from narthex.v1 import event_pb2

from service.worlds import limits
from service.worlds.document import CameraPart, ContentPart, DefaultsPart, TaskPart
from service.worlds.graybox import GrayboxPart, KeyPart, ObjectPart
from service.worlds.yaml_file import parse_world

DOCS = Path(__file__).parents[3] / "docs"


def blocks(name, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_world_in_the_document_is_a_world():
    source, content = blocks("worlds.md", "yaml")
    world = parse_world(source.encode())
    assert [task for chain in world.chains.values() for task in chain.tasks] == ["find_red_key", "carry_red_key"]
    steered = source[: source.index("    content:")] + "".join(f"    {line}\n" for line in content.splitlines())
    graybox = parse_world(steered.encode()).gates["red_gate"].content.control.graybox
    assert [len(proxy.times) for proxy in graybox.proxies] == [1, 3]


def test_every_field_stands_in_the_document():
    text = (DOCS / "worlds.md").read_text(encoding="utf-8")
    for model in (TaskPart, ContentPart, DefaultsPart, CameraPart, GrayboxPart, ObjectPart, KeyPart):
        for field in model.model_fields:
            shown = (f"`{field}`", f"`content.{field}`", f"{field}: ")
            assert any(form in text for form in shown) or field == "title", field
    assert f"{limits.MAX_VALUES:,} values" in text and f"{limits.MAX_DEPTH} levels" in text


def test_the_events_in_the_document_are_events():
    first, *events = [json.loads(line) for block in blocks("traces.md", "json") for line in block.splitlines()]
    assert list(first) == ["world"]
    offsets = [event.pop("offset_s") for event in events]
    assert offsets == sorted(offsets)
    kinds = [ParseDict(event, event_pb2.Event()).WhichOneof("kind") for event in events]
    assert kinds[0] == "chain_accepted" and None not in kinds and len(kinds) == 6
