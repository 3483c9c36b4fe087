"""The prompt front end: free text in English or Chinese to the slots that the transformer was trained on.

Dictionaries and grammar instead of embeddings: those rate "red orb" and "blue orb" as nearly equal (facts.md).
text -> `tokens` -> `terms` (words that are known, longest first) -> `negation` -> `binding` (which noun a word is said
of) -> `parse` (one value for each slot).
"""

from model.prompt.parse import parse_prompt
from model.prompt.slots import PromptSlots

__all__ = ["PromptSlots", "parse_prompt"]
