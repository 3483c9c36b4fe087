import pytest

from model.prompt.lexicon import lexicon
from model.prompt.spelling import Spelling, forms
from model.prompt.suggest import is_known, suggestions
from model.prompt.traditional import SIMPLIFIED


def test_forms_undo_inflections() -> None:
    assert {"roll", "rolling"} <= set(forms("rolling"))
    assert "bounce" in forms("bouncing")
    assert "hop" in forms("hopping")
    assert "ivy" in forms("ivies")
    assert forms("orb") == ["orb"]
    assert "cone" not in forms("cons") and forms("hoping") == ["hoping"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("crysatl", "crystal"),
        ("barel", "barrel"),
        ("barrrel", "barrel"),
        ("torchligt", "torchlight"),
        ("moonlightt", "moonlight"),
        ("bleu", "blue"),
        ("obelsiks", "obelisk"),
    ],
)
def test_slips_of_the_pen_are_corrected(slip: str, meant: str) -> None:
    assert lexicon().corrected(slip) == meant


@pytest.mark.parametrize(
    "word",
    [
        "glass",
        "barren",
        "casts",
        "steel",
        "either",
        "offers",
        "arrow",
        "three",
        "plans",
        "watch",
        "shady",
        "dragon",
        "rube",
        "x" * 30,
        "кубб",
    ],
)
def test_other_words_are_left_alone(word: str) -> None:
    assert lexicon().corrected(word) is None


def test_two_meanings_for_one_slip_are_no_correction() -> None:
    assert Spelling(["planar", "planer"]).corrected("planr") == ["planar", "planer"]
    assert Spelling(["cat"]).corrected("catt") == []


def test_suggestions_are_near_known_words() -> None:
    assert suggestions("glass")[0] == "grass"
    assert suggestions("Marbelle") != []
    assert suggestions("marble") == [] and is_known("marble")
    assert suggestions("zyzzyva") == suggestions("дракон") == []
    assert all("\u4e00" <= word[0] <= "\u9fff" for word in suggestions("方尖塔"))
    assert "方尖碑" in suggestions("方尖塔")


def test_traditional_characters_map_one_for_one_and_only_once() -> None:
    assert all(len(simplified) == 1 for simplified in SIMPLIFIED.values())
    assert not [sign for sign in SIMPLIFIED.values() if SIMPLIFIED.get(ord(sign), sign) != sign]
    assert "牆磚燈綠".translate(SIMPLIFIED) == "墙砖灯绿"
