"""PromptSlots: what a prompt says, how surely, and where it says it."""

from __future__ import annotations

from dataclasses import dataclass, field

from clips.dungeon.attributes import SLOTS

Span = tuple[int, int]
"""Start and stop of some characters of the prompt."""

MOST_UNKNOWN_TERMS = 64
"""Unknown terms that are told one by one; a prompt that means something to this model has a few."""


def _no_confidences() -> dict[str, float]:
    return dict.fromkeys(SLOTS, 0.0)


def _no_spans() -> dict[str, tuple[Span, ...]]:
    return dict.fromkeys(SLOTS, ())


@dataclass(frozen=True)
class PromptSlots:
    """What a prompt says.

    Attributes:
        values: canonical word of every slot of `clips.dungeon.attributes.SLOTS`; None where nothing is said.
        unknown_terms: words of the prompt that were not used, lower-case, each once, in their order: unknown, or said
            of something that this model cannot paint so (a colour of the walls), or against another word of the same
            slot, or ruled out with nothing in their place ("no torches"). At most MOST_UNKNOWN_TERMS, the first.
        confidences: how sure the value of every slot is, in [0, 1]; 0 where nothing is said (`parse` has the rule).
        spans: the characters of the prompt that say each slot's value, in their order; none where nothing is said.
        unknown_spans: the characters of the unknown terms, in their order, repeated ones too, all of them.
        unknown_left_out: how many more unknown terms there were.
    """

    values: dict[str, str | None]
    unknown_terms: list[str]
    confidences: dict[str, float] = field(default_factory=_no_confidences)
    spans: dict[str, tuple[Span, ...]] = field(default_factory=_no_spans)
    unknown_spans: tuple[Span, ...] = ()
    unknown_left_out: int = 0

    def told_terms(self) -> list[str]:
        """The unknown terms for a list that has no place for a count: one more entry says how many are not in it."""
        more = [f"(and {self.unknown_left_out} more)"] if self.unknown_left_out else []
        return [*self.unknown_terms, *more]
