"""`narthex prompt explain`: what it prints and returns."""

import json
import subprocess
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from clips.dungeon.attributes import SLOTS
from model.errors import InvalidSpec
from model.prompt import parse_prompt
from model.prompt.slots import MOST_UNKNOWN_TERMS
from service.cli.app import COMMANDS, _say
from service.cli.prompt import SLOT_STYLES, UNKNOWN_STYLE, _highlighted, prompt_app


def call(*arguments: str):
    return CliRunner().invoke(prompt_app, [*arguments], env={"COLUMNS": "120"})


def test_the_table_shows_value_confidence_and_words_of_every_slot() -> None:
    result = call("explain", "a granite room, torchlihgt, 蓝色的球")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["wall"] == ["stone", "0.90", "granite"]
    assert rows["light"] == ["torchlight", "0.60", "torchlihgt"]
    assert rows["color"] == ["blue", "1.00", "蓝色"]
    assert rows["floor"] == ["(not", "said)"]
    assert set(SLOTS) <= set(rows)
    assert "every word was understood" in result.stdout


def test_what_is_not_understood_is_told_with_what_may_have_been_meant() -> None:
    result = call("explain", "a huge orb and a shaftt of crystl on glass [red]")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "did you mean grass" in lines["glass"]
    assert "known, but said of something else" in lines["huge"]
    assert "[red]" in result.stdout, "brackets are no markup"


def test_json_has_everything() -> None:
    prompt = "no barrel,  a dragn in a glass room"
    result = call("explain", prompt, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["prompt"] == prompt
    assert list(report["slots"]) == list(SLOTS)
    assert report["slots"]["prop"] == {"value": "none", "confidence": 0.7, "words": ["no barrel"], "spans": [[0, 9]]}
    assert [entry["term"] for entry in report["unknown_terms"]] == parse_prompt(prompt).unknown_terms
    assert report["unknown_terms"][1]["did_you_mean"][0] == "grass"


def test_the_prompt_is_shown_with_its_words_in_the_colours_of_their_slots() -> None:
    prompt = "a red orb and a dragon"
    shown = _highlighted(prompt, parse_prompt(prompt))
    assert shown.plain == prompt
    styles = {prompt[span.start : span.end]: span.style for span in shown.spans}
    assert styles == {"red": SLOT_STYLES["color"], "orb": SLOT_STYLES["shape"], "dragon": UNKNOWN_STYLE}
    assert set(SLOT_STYLES) == set(SLOTS)
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as capture:
        console.print(shown)
    assert "\x1b[" in capture.get()


def test_control_characters_do_not_reach_the_terminal() -> None:
    result = call("explain", "a \x1b[31mred\x07 orb")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "got 0"),
        ("  ", "got 2"),
        ("\u200b\u200d\ufeff", "a character that can be seen, got 3 that cannot"),
        ("x" * 4001, "1 to 4000 characters, got 4001"),
        ("\udce9", "unpaired surrogate"),
    ],
)
def test_prompts_that_no_segment_can_have_are_wrong_use(prompt: str, message: str, capsys) -> None:
    result = call("explain", prompt)
    assert isinstance(result.exception, InvalidSpec)
    assert message in str(result.exception)
    assert _say(result.exception) == 2
    assert message in capsys.readouterr().err


def test_a_prompt_that_says_nothing_is_not_called_understood() -> None:
    result = call("explain", "... the")
    assert "nothing in it says what the room looks like" in result.stdout
    assert "every word was understood" not in result.stdout


def test_of_very_many_unknown_words_the_first_are_listed_and_the_rest_counted() -> None:
    prompt = " ".join(f"q{chr(97 + k // 20)}{chr(97 + k % 20)}x" for k in range(MOST_UNKNOWN_TERMS + 36))
    assert "and 36 more, not listed" in call("explain", prompt).stdout
    report = json.loads(call("explain", prompt, "--json").stdout)
    assert (len(report["unknown_terms"]), report["unknown_left_out"]) == (MOST_UNKNOWN_TERMS, 36)


def test_the_command_is_reachable_and_loads_no_torch() -> None:
    assert COMMANDS["prompt"].attribute == "prompt_app"
    code = (
        "import sys\nfrom service.cli.app import main\n"
        "try:\n    main(['prompt', 'explain', 'a red orb', '--json'])\n"
        "except SystemExit as done:\n    assert not done.code\n"
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["slots"]["shape"]["value"] == "orb"


def test_help_has_examples() -> None:
    assert "Examples:" in call("explain", "--help").stdout
    assert call().exit_code == 2
