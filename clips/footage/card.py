"""A dataset card in Markdown: what is in a data set, counted, and what is held out of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clips.dungeon.attributes import SLOTS
from clips.dungeon.caption import CaptionInfo, CaptionLength, caption_info
from clips.dungeon.scene import HELD_OUT_PAIRS
from clips.footage.dungeon_footage import DungeonRecipe, dungeon_captions, dungeon_room
from clips.footage.summary import UNKNOWN, Summary

LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}
# By words; a Chinese character counts as one.
CAPTION_LENGTHS = ((1, 3), (4, 8), (9, 16), (17, 32), (33, 64), (65, None))
ORDERED_PAIRS = (("light", "wall"), ("wall", "floor"), ("wall", "shape"), ("light", "shape"), ("color", "shape"))
"""Attributes of which a card says which one captions name first: the light and the room, and the object."""

_WORD = re.compile(r"[一-鿿]|[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?。！？]+(?:\s|$|(?=[一-鿿]))")


@dataclass
class CardCounts:
    """Counts over the clips of a data set, added one by one.

    Attributes:
        clips: how many.
        slots: clips by word, for each slot.
        cameras: clips by kind of camera path.
        languages, lengths, sentences: captions by language tag, by words in them, by sentences.
        kinds: captions by the kind that the renderer drew them as ("phrase"); empty where nobody knows.
        named: captions that name each slot; empty where nobody knows.
        synonyms: those of `named` that say it by a synonym instead of the canonical word.
        firsts: captions by the slot that they name first.
        before: captions by (slot, other slot), for ORDERED_PAIRS both ways round: the first is named before the other.
        orders: captions that name several slots, by these in their order.
        pairs: clips that have each of `scene.HELD_OUT_PAIRS`, by index.
    """

    clips: int = 0
    slots: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SLOTS})
    cameras: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    sentences: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    synonyms: Counter[str] = field(default_factory=Counter)
    firsts: Counter[str] = field(default_factory=Counter)
    before: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders: Counter[tuple[str, ...]] = field(default_factory=Counter)
    pairs: Counter[int] = field(default_factory=Counter)

    def add(self, slots: dict[str, str], camera: str, captions: dict[str, tuple[str, ...]]) -> None:
        """Count one clip."""
        self.clips += 1
        for name, counter in self.slots.items():
            counter[slots.get(name, UNKNOWN)] += 1
        self.cameras[camera] += 1
        for index, pair in enumerate(HELD_OUT_PAIRS):
            self.pairs[index] += all(slots.get(name) == word for name, word in pair)
        for language, texts in captions.items():
            for text in texts:
                self.languages[language] += 1
                self.lengths[words_in(text)] += 1
                self.sentences[sentences_in(text)] += 1

    def add_wording(self, info: CaptionInfo) -> None:
        """Count what a caption of the renderer's names, by which words and in which order."""
        self.kinds[str(info.length)] += 1
        self.named.update(info.slots)
        self.synonyms.update(info.synonyms)
        self.firsts.update(info.order[:1])
        if len(info.order) > 1:
            self.orders[info.order] += 1
        places = {slot: place for place, slot in enumerate(info.order)}
        for one, other in ORDERED_PAIRS:
            if one in places and other in places:
                self.before[(one, other) if places[one] < places[other] else (other, one)] += 1


@dataclass(frozen=True)
class CardFacts:
    """What a card says besides its counts.

    Attributes:
        name, about, licence: of the data set; an empty one is left out.
        size: width x height, frames and frame rate, in words.
        recipe: what decides the clips, by name.
        domain: what is held out, sentence by sentence.
        command: that makes the card anew.
        picture: path of a contact sheet beside the card, and what it shows; None without one.
        skipped: clips that could not be used.
    """

    name: str
    about: str
    licence: str
    size: str
    recipe: dict[str, str]
    domain: tuple[str, ...]
    command: str
    picture: tuple[str, str] | None
    skipped: int = 0


def counts_of_seeds(
    recipe: DungeonRecipe, seeds: Iterable[int], on_progress: Callable[[int], None] | None = None
) -> CardCounts:
    """Counts of what the renderer would make of `seeds`: exact, and nothing is rendered for them."""
    counts = CardCounts()
    for seed in seeds:
        room, path, _ = dungeon_room(recipe, seed)
        info = caption_info(room)
        counts.add(room.slots, str(path.kind), dungeon_captions(info))
        counts.add_wording(info)
        if on_progress is not None:
            on_progress(counts.clips)
    return counts


def counts_of_summary(summary: Summary) -> CardCounts:
    """Counts of the clips of a folder."""
    counts = CardCounts()
    for row in summary.rows:
        counts.add(row.slots, row.camera, row.captions)
    return counts


def card_text(facts: CardFacts, counts: CardCounts) -> str:
    """The card, in Markdown; ends with a newline."""
    parts = [f"# {facts.name}", facts.about, _at_a_glance(facts, counts)]
    if facts.picture is not None:
        parts.append(f"![{facts.picture[1]}]({facts.picture[0]})\n\n{facts.picture[1]}")
    if facts.recipe:
        rows = [[name, value] for name, value in facts.recipe.items()]
        parts.append("## What decides the clips\n\n" + _table(["what", "value"], rows))
    parts.append("## Attributes\n\nShare of the clips with each value.\n\n" + _attributes(counts))
    parts.append("## Cameras\n\n" + _shares("camera path", counts.cameras, counts.clips))
    if counts.languages:
        parts.append("## Captions\n\n" + _captions(counts))
    parts.append("## Held out\n\n" + "\n\n".join([*facts.domain, _pairs(counts)]))
    parts.append(f"## Made by\n\n```\n{facts.command}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def words_in(text: str) -> int:
    """How many words a caption has; each Chinese character counts as one."""
    return len(_WORD.findall(text))


def sentences_in(text: str) -> int:
    """How many sentences a caption has, at least one."""
    return max(
        1, len(_SENTENCE.findall(text.strip() if text.strip().endswith(tuple(".!?。！？")) else f"{text.strip()}."))
    )


def share(count: int, total: int) -> str:
    """A share as the card writes it: per cent with one decimal."""
    return f"{100.0 * count / max(total, 1):.1f} %"


def _at_a_glance(facts: CardFacts, counts: CardCounts) -> str:
    lines = [f"- clips: {counts.clips:,}", f"- each: {facts.size}"]
    if facts.skipped:
        lines.append(f"- clips that could not be used: {facts.skipped}")
    if counts.languages:
        lines.append(f"- captions: {sum(counts.languages.values()):,}")
    if facts.licence:
        lines.append(f"- licence: {facts.licence}")
    return "\n".join(lines)


def _attributes(counts: CardCounts) -> str:
    rows = []
    for name, counter in counts.slots.items():
        words = [*(str(word) for word in SLOTS[name]), *([UNKNOWN] if counter[UNKNOWN] else [])]
        rows.append([name, ", ".join(f"{word} {share(counter[word], counts.clips)}" for word in words)])
    return _table(["attribute", "values"], rows)


def _captions(counts: CardCounts) -> str:
    total = sum(counts.languages.values())
    languages = Counter({LANGUAGE_NAMES.get(name, name): count for name, count in counts.languages.items()})
    lengths = []
    for low, high in CAPTION_LENGTHS:
        count = sum(n for words, n in counts.lengths.items() if words >= low and (high is None or words <= high))
        lengths.append([f"{low} to {high}" if high is not None else f"{low} and more", share(count, total)])
    parts = [_shares("language", languages, total)]
    if counts.kinds:
        kinds = [[str(kind), share(counts.kinds[str(kind)], total)] for kind in CaptionLength]
        parts.append(_table(["form", "share of captions"], kinds))
    else:
        sentences = [[str(number), share(count, total)] for number, count in sorted(counts.sentences.items())]
        parts.append(_table(["sentences", "share of captions"], sentences))
    parts.append(_table(["words (a Chinese character is one)", "share of captions"], lengths))
    if counts.named:
        parts += [*_wording(counts, total), *_order(counts, total)]
    return "\n\n".join(parts)


def _wording(counts: CardCounts, total: int) -> list[str]:
    """Which attributes captions name, and how often by a synonym."""
    rows = [
        [name, share(counts.named[name], total), share(counts.synonyms[name], counts.named[name])] for name in SLOTS
    ]
    said, by_synonym = counts.named.total(), counts.synonyms.total()
    return [
        "A caption names some of the attributes, each by its canonical word or by a synonym: of all that is named "
        f"{share(by_synonym, said)} by a synonym.",
        _table(["attribute", "named in", "of these by a synonym"], rows),
    ]


def _order(counts: CardCounts, total: int) -> list[str]:
    """In which order captions name the attributes."""
    several = counts.orders.total()
    rows = []
    for one, other in ORDERED_PAIRS:
        ahead, behind = counts.before[one, other], counts.before[other, one]
        both = ahead + behind
        rows.append([f"{one}, {other}", share(both, total), share(ahead, both), share(behind, both)])
    firsts = [[name, share(counts.firsts[name], total)] for name in SLOTS]
    return [
        f"Word order: {share(several, total)} of the captions name several attributes, in {len(counts.orders):,} "
        "different orders.",
        _table(["named first of all", "share of captions"], firsts),
        _table(["of two attributes", "both named in", "first one first", "second one first"], rows),
    ]


def _pairs(counts: CardCounts) -> str:
    rows = []
    for index, ((first, a), (second, b)) in enumerate(HELD_OUT_PAIRS):
        rows.append([f"{first} {a}", f"{second} {b}", str(counts.pairs[index])])
    return _table(["pair never seen together in training", "", "clips here"], rows)


def _shares(what: str, counter: Counter[str], total: int) -> str:
    rows = [[name, f"{count:,}", share(count, total)] for name, count in counter.most_common()]
    return _table([what, "count", "share"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
