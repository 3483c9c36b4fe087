"""Do prompts that say the same in two languages reach the model as the same slots?"""

from __future__ import annotations

from collections.abc import Iterable

from model.measure.accuracy import Accuracy
from model.prompt import parse_prompt


def same_slots(pairs: Iterable[tuple[str, str]]) -> Accuracy:
    """How often both prompts of a pair give a slot one value, over the slots that either of them fills.

    A slot that neither fills is no agreement: nothing was said.
    """
    verdicts = []
    for first, second in pairs:
        ours, theirs = parse_prompt(first).values, parse_prompt(second).values
        verdicts += [ours[slot] == theirs[slot] for slot in ours if ours[slot] is not None or theirs[slot] is not None]
    return Accuracy.of(verdicts)
