"""What captions say comes back, in both languages."""

from clips.dungeon.caption import caption_info
from clips.dungeon.scene import sample_room
from clips.dungeon.vocabulary import VOCABULARIES, Language
from model.prompt import parse_prompt

ROOMS = 2000


def test_captions_of_two_thousand_rooms_come_back_with_exactly_their_slots() -> None:
    right = dict.fromkeys(Language, 0)
    same = 0
    for seed in range(ROOMS):
        room = sample_room(seed)
        found = {}
        for language in Language:
            info = caption_info(room, language=language)
            parsed = parse_prompt(info.text)
            found[language] = {slot: value for slot, value in parsed.values.items() if value is not None}
            is_right = found[language] == {slot: room.slots[slot] for slot in info.slots}
            right[language] += is_right and not parsed.unknown_terms
        same += found[Language.ENGLISH] == found[Language.CHINESE]
    print(f"\ncome back whole: {right}; parallel captions with the same slots: {same} of {ROOMS}")
    assert min(right.values()) >= 0.99 * ROOMS
    assert same >= 0.98 * ROOMS


def test_every_word_of_the_vocabulary_can_mean_its_value() -> None:
    from model.prompt.lexicon import lexicon

    known = lexicon()
    for language, vocabulary in VOCABULARIES.items():
        table = known.english if language is Language.ENGLISH else known.chinese
        for slot, values in vocabulary.items():
            for value, words in values.items():
                for word in (*words.exact, *words.spoken, *words.heard, *words.hints):
                    senses = {(sense.slot, sense.value) for sense in table[word.replace("-", " ")].senses}
                    assert (slot, value) in senses, word
                    assert len({slot for slot, _ in senses}) == len(senses), f"{word}: two values of one slot"


def test_every_canonical_word_by_itself_says_its_value() -> None:
    # A ceiling's word that walls have too is said of walls where no noun says otherwise.
    for language, vocabulary in VOCABULARIES.items():
        for slot, values in vocabulary.items():
            for value, words in values.items():
                if slot == "ceiling":
                    noun = " ceiling" if language is Language.ENGLISH else "天花板"
                elif slot == "floor":
                    noun = " floor" if language is Language.ENGLISH else "地面"
                else:
                    noun = ""
                parsed = parse_prompt(words.exact[0] + noun)
                assert parsed.values[slot] == value, words.exact[0]
                assert parsed.unknown_terms == []
