"""`narthex prompt`: how the embedded model understands a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from service.cli.settings_options import AsJson

if TYPE_CHECKING:
    from model.prompt import PromptSlots

prompt_app = typer.Typer(no_args_is_help=True, add_completion=False)

SLOT_STYLES = {
    "light": "bold yellow",
    "wall": "bold cyan",
    "floor": "bold green",
    "ceiling": "bold blue",
    "size": "bold white",
    "color": "bold magenta",
    "shape": "bold bright_magenta",
    "motion": "bold bright_blue",
    "prop": "bold bright_green",
}
UNKNOWN_STYLE = "red underline"
NOT_SAID = "(not said)"
NOT_USED = "known, but said of something else, ruled out, or against another word"

_SHOWN = {sign: 0xFFFD for sign in (*range(32), 127, *range(128, 160)) if chr(sign) not in "\t\n"}
"""Control characters of a prompt must not reach a terminal; one character for one, so that spans stay right."""


@prompt_app.callback()
def _group() -> None:
    """What the embedded model understands of a prompt in English or Chinese.

    Examples:

        narthex prompt explain "a mossy room in moonlight with a red orb"
    """


@prompt_app.command("explain")
def explain(
    prompt: Annotated[str, typer.Argument(help="What lies behind the gate.", metavar="PROMPT")],
    as_json: AsJson = False,
) -> None:
    """Show which slots a prompt fills, how surely and by which words, and what of it is not understood.

    A slot that is not said is left to the model. Exit codes: 0 shown, 2 when no segment can have this prompt (empty,
    nothing in it that can be seen, or longer than 4,000 characters).

    Examples:

        narthex prompt explain "no torches, moonlight instead; a huge orb in a small room"

        narthex prompt explain "砖墙，月光，红色的球在滚动" --json

        narthex prompt explain "a dragon on a glass flor"
    """
    from model.prompt import parse_prompt
    from model.spec import check_prompt

    check_prompt(prompt)
    parsed = parse_prompt(prompt)
    if as_json:
        typer.echo(json.dumps(_report(prompt, parsed)))
    else:
        Console().print(
            Group(_table(prompt, parsed), Padding(_highlighted(prompt, parsed), (0, 0, 1, 2)), _unknown(parsed))
        )


def _report(prompt: str, parsed: PromptSlots) -> dict[str, Any]:
    from model.prompt.suggest import suggestions

    return {
        "prompt": prompt,
        "slots": {
            slot: {
                "value": value,
                "confidence": parsed.confidences[slot],
                "words": _words(prompt, parsed.spans[slot]),
                "spans": [list(span) for span in parsed.spans[slot]],
            }
            for slot, value in parsed.values.items()
        },
        "unknown_terms": [{"term": term, "did_you_mean": suggestions(term)} for term in parsed.unknown_terms],
        "unknown_left_out": parsed.unknown_left_out,
    }


def _words(prompt: str, spans: Iterable[tuple[int, int]]) -> list[str]:
    return [" ".join(prompt[start:stop].split()) for start, stop in spans]


def _table(prompt: str, parsed: PromptSlots) -> Table:
    table = Table("slot", "value", "confidence", "said by", box=SIMPLE)
    for slot, value in parsed.values.items():
        if value is None:
            table.add_row(Text(slot), Text(NOT_SAID, "dim"))
            continue
        words = ", ".join(dict.fromkeys(_words(prompt.translate(_SHOWN), parsed.spans[slot])))
        style = SLOT_STYLES[slot]
        table.add_row(Text(slot), Text(value, style), Text(f"{parsed.confidences[slot]:.2f}"), Text(words, style))
    return table


def _highlighted(prompt: str, parsed: PromptSlots) -> Text:
    """The prompt with the words of each slot in the slot's colour, and unknown ones underlined."""
    text = Text(prompt.translate(_SHOWN))
    for slot, spans in parsed.spans.items():
        for start, stop in spans:
            text.stylize(SLOT_STYLES[slot], start, stop)
    for start, stop in parsed.unknown_spans:
        text.stylize(UNKNOWN_STYLE, start, stop)
    return text


def _unknown(parsed: PromptSlots) -> Text:
    from model.prompt.suggest import is_known, suggestions

    if not parsed.unknown_terms:
        says_something = any(value is not None for value in parsed.values.values())
        return Text(
            "  every word was understood" if says_something else "  nothing in it says what the room looks like"
        )
    lines = Text("  not understood, or not something that this model can paint so:")
    for term in parsed.unknown_terms:
        lines.append("\n    ").append(term.translate(_SHOWN), UNKNOWN_STYLE)
        near = suggestions(term)
        if near:
            lines.append(f"   did you mean {', '.join(near)}?")
        elif is_known(term):
            lines.append(f"   {NOT_USED}")
    if parsed.unknown_left_out:
        lines.append(f"\n    and {parsed.unknown_left_out:,} more, not listed")
    return lines
