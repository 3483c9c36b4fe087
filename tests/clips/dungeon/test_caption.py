"""Captions: what they name, how long they are, in which language, and that both languages say the same."""

import re
from collections import Counter

import pytest

from clips.dungeon import caption_templates
from clips.dungeon.attributes import SLOTS, Prop
from clips.dungeon.caption import (
    LANGUAGE_SHARES,
    LENGTH_SHARES,
    CaptionLength,
    caption,
    caption_info,
)
from clips.dungeon.caption_grammar import fix_articles, participle, third_person
from clips.dungeon.caption_templates import Template
from clips.dungeon.scene import RoomSpec, sample_room
from clips.dungeon.vocabulary import VOCABULARIES, Language

TEMPLATES = [
    template
    for found in vars(caption_templates).values()
    if isinstance(found, tuple)
    for template in found
    if isinstance(template, Template)
]
NAMES = {"floors": "floor", "ceilings": "ceiling", "moves": "motion", "moving": "motion", "nothing": "prop"}


def _slots(text: str) -> set[str]:
    return {NAMES.get(name, name) for name in re.findall(r"\{(\w+)\}", text)}


def test_both_languages_of_a_template_name_the_same_slots_and_may_leave_out_the_same() -> None:
    assert len(TEMPLATES) >= 30
    for template in TEMPLATES:
        options = [
            sorted(tuple(sorted(_slots(option))) for option in re.findall(r"\[([^\]]*)\]", text))
            for text in (template.english, template.chinese)
        ]
        assert options[0] == options[1], template
        assert _slots(template.english) == _slots(template.chinese), template
        assert ("{nothing}" in template.english) == ("{nothing}" in template.chinese), template


def test_a_wording_decides_a_caption_and_by_default_the_caption_seed_does() -> None:
    room = sample_room(1, caption_seed=7)
    assert caption(room) == caption(room, 7) == caption_info(room).text == caption(sample_room(1, caption_seed=7))
    assert len({caption(room, wording) for wording in range(100)}) > 80


def test_captions_are_drawn_from_the_documented_shares() -> None:
    infos = [caption_info(sample_room(1), wording) for wording in range(4000)]
    languages = Counter(info.language for info in infos)
    lengths = Counter(info.length for info in infos)
    assert sum(LANGUAGE_SHARES.values()) == pytest.approx(1.0)
    assert sum(LENGTH_SHARES.values()) == pytest.approx(1.0)
    for counts, shares in ((languages, LANGUAGE_SHARES), (lengths, LENGTH_SHARES)):
        for kind, share in shares.items():
            assert counts[kind] / len(infos) == pytest.approx(share, abs=0.03), kind


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("length", CaptionLength)
def test_what_a_caption_names_stands_in_it(language: Language, length: CaptionLength) -> None:
    counts = Counter()
    for seed in range(150):
        room = sample_room(seed)
        info = caption_info(room, language=language, length=length)
        assert (info.language, info.length) == (language, length)
        assert not re.search(r"[\[\]{}()|]|  ", info.text), info.text
        assert any("\u4e00" <= sign <= "\u9fff" for sign in info.text) == (language is Language.CHINESE)
        for slot in info.slots:
            # Inflected words keep their first letters: hop, hopping; beam, beamed.
            stems = [word[:3].rstrip("e") for word in VOCABULARIES[language][slot][room.slots[slot]].captions]
            assert any(stem in info.text.casefold() for stem in stems), f"{info.text}: {slot}"
        assert re.search(r"\ba [aeiou]|\ban [^aeiou]", info.text) is None, info.text
        ends = len(re.findall(r"[.。]", info.text))
        assert info.sentences == ends
        counts[info.sentences] += 1
    expected = {
        CaptionLength.WORD: {0},
        CaptionLength.PHRASE: {0},
        CaptionLength.SENTENCE: {1},
        CaptionLength.TWO_SENTENCES: {2},
        CaptionLength.MORE_SENTENCES: {3, 4},
    }
    assert set(counts) == expected[length]


def test_short_captions_name_few_slots_and_every_slot_is_named_by_some() -> None:
    named: dict[CaptionLength, list[int]] = {length: [] for length in CaptionLength}
    seen: set[str] = set()
    for seed in range(400):
        info = caption_info(sample_room(seed))
        named[info.length].append(len(info.slots))
        seen |= set(info.slots)
        assert list(info.slots) == [slot for slot in SLOTS if slot in info.slots]
    assert set(named[CaptionLength.WORD]) == {1}
    assert max(named[CaptionLength.PHRASE]) <= 5
    assert max(named[CaptionLength.SENTENCE]) >= 7
    assert seen == set(SLOTS)


@pytest.mark.parametrize("language", list(Language))
def test_order_and_synonyms_are_those_of_the_text(language: Language) -> None:
    room = sample_room(2, prop=Prop.CRATE)
    for wording in range(60):
        info = caption_info(room, wording, language, CaptionLength.WORD)
        (slot,) = info.order
        if slot != "motion":
            canonical = VOCABULARIES[language][slot][room.slots[slot]].captions[0]
            assert (slot in info.synonyms) == (info.text != canonical)
    seen = {caption_info(room, wording, language).order for wording in range(200)}
    assert len({tuple(sorted(order)) for order in seen}) < len(seen), "the same slots in several orders"
    for wording in range(200):
        info = caption_info(room, wording, language)
        assert sorted(info.order) == sorted(info.slots) and set(info.synonyms) <= set(info.slots)
        places = [_place(info.text.lower(), room, slot, language) for slot in info.order if slot in ("color", "shape")]
        assert places == sorted(places)


def _place(text: str, room: RoomSpec, slot: str, language: Language) -> int:
    """Where a caption first has one of the words of a slot."""
    words = VOCABULARIES[language][slot][room.slots[slot]].captions
    return min(text.find(word) for word in words if word in text)


def test_a_room_without_a_prop_says_so_or_is_silent_of_it() -> None:
    room = sample_room(3, prop=Prop.NONE)
    infos = [caption_info(room, wording, Language.ENGLISH) for wording in range(300)]
    said = [info.text for info in infos if "prop" in info.slots]
    others = {
        word for prop in Prop if prop is not Prop.NONE for word in VOCABULARIES[Language.ENGLISH]["prop"][prop].captions
    }
    assert said and len(said) < len(infos)
    assert all("no prop" in text.lower() or "nothing else" in text.lower() for text in said)
    assert not [info.text for info in infos if any(f" {word}" in info.text for word in others)]


def test_english_forms() -> None:
    assert [third_person(verb) for verb in ("tip over", "hover")] == ["tips over", "hovers"]
    verbs = ("hop", "lie still", "glide", "orbit", "tip over")
    made = ["hopping", "lying still", "gliding", "orbiting"]
    assert [participle(verb) for verb in verbs[:4]] == made
    assert fix_articles("a oak floor, A orb and a cube") == "an oak floor, An orb and a cube"


def test_the_vocabulary_has_every_value_in_both_languages() -> None:
    for language in Language:
        for slot, values in SLOTS.items():
            for value in values:
                words = VOCABULARIES[language][slot][str(value)]
                everything = [*words.exact, *words.spoken, *words.heard, *words.hints]
                assert words.exact and len(everything) == len(set(everything)), f"{language} {slot} {value}"
                assert words.captions[0] == words.exact[0]
