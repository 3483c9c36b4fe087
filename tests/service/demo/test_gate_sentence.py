from __future__ import annotations

from typing import Any

import pytest

from service.demo.report import gate_sentence


def gate(shown: str, handovers: list[dict[str, Any]] | None = None, **work: str) -> dict[str, Any]:
    """A gate of a report that opened at 4 s and showed one quality."""
    return {
        "opened_s": 4.0,
        "shown_at_opening": {"quality": shown, "stall_ms": 0.0, "hit": True},
        "shown": [{"quality": shown, "at_s": 4.0, "stall_ms": 0.0}],
        "handovers": handovers or [],
        "work": {quality: {"state": state} for quality, state in work.items()},
    }


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (gate("FULL", DRAFT="DONE", FULL="DONE"), "; no handover was needed."),
        (gate("FULL", FULL="RUNNING"), "; no handover was needed."),
        (gate("DRAFT", DRAFT="DONE"), "; no handover was needed."),
        (gate("PLACEHOLDER", DRAFT="RUNNING", FULL="QUEUED"), " before the end (DRAFT and FULL not done)."),
        (gate("DRAFT", DRAFT="DONE", FULL="QUEUED"), "; nothing better came before the end (FULL not done)."),
        (gate("PLACEHOLDER"), "; nothing better came before the end."),
        (
            gate("PLACEHOLDER", [{"from": "PLACEHOLDER", "to": "DRAFT", "at_s": 6.5}], DRAFT="DONE"),
            "; handovers: PLACEHOLDER to DRAFT 2.5 s later.",
        ),
    ],
)
def test_why_there_was_no_handover_is_said_as_it_is(said: dict[str, Any], end: str) -> None:
    sentence = gate_sentence(said)
    assert sentence.startswith("opened at 4.0 s, showed ") and sentence.endswith(end)


def test_gates_that_stayed_closed_or_empty_say_so() -> None:
    assert gate_sentence({"opened_s": None}) == "never opened."
    assert (
        gate_sentence({"opened_s": 2.0, "shown_at_opening": None}) == "opened at 2.0 s, and nothing was ready for it."
    )
