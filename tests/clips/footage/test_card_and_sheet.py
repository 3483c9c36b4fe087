"""Cards count what is there; sheets show it; colours of flow mean directions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from clips.cameras import Cameras, intrinsics, look_at
from clips.dungeon.caption import CaptionInfo, CaptionLength, caption_info
from clips.dungeon.scene import HELD_OUT_PAIRS, sample_room
from clips.dungeon.vocabulary import Language
from clips.errors import InvalidClip
from clips.footage.card import (
    CardCounts,
    CardFacts,
    card_text,
    counts_of_seeds,
    counts_of_summary,
    sentences_in,
    words_in,
)
from clips.footage.clip_folder import SkippedClip
from clips.footage.dungeon_footage import MAX_SEED, DungeonRecipe, dungeon_room
from clips.footage.sheet import camera_flow, clip_sheet, flow_to_color, overview_sheet
from clips.footage.summary import SummaryMaker, clip_row
from tests.clips.footage.footage_samples import make_footage

FACTS = CardFacts("Test", "about", "Apache-2.0", "4 frames", {}, ("Nothing.",), "narthex data card", None)


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        ("orb", 1, 1),
        ("A red orb.", 3, 1),
        ("It's dark. The orb half-hides; a crate stands.", 8, 2),
        ("石墙的房间，红球在跳。", 9, 1),
        ("火把照着。红球在滚！", 8, 2),
        ("Look! An orb", 3, 2),
    ],
)
def test_words_and_sentences_are_counted_in_both_languages(text: str, words: int, sentences: int) -> None:
    assert (words_in(text), sentences_in(text)) == (words, sentences)


def test_counts_of_seeds_are_those_of_the_rooms() -> None:
    counts = counts_of_seeds(DungeonRecipe(), range(20, 60))
    rooms = [sample_room(seed) for seed in range(20, 60)]
    assert counts.clips == 40
    assert counts.slots["wall"] == Counter(str(room.wall) for room in rooms)
    infos = [caption_info(room) for room in rooms]
    assert counts.kinds == Counter(str(info.length) for info in infos)
    assert counts.named["color"] == sum("color" in info.slots for info in infos)
    assert counts.synonyms["wall"] == sum("wall" in info.synonyms for info in infos) > 0
    assert counts.firsts == Counter(info.order[0] for info in infos)
    assert counts.orders.total() == sum(len(info.order) > 1 for info in infos)
    both = [info.order for info in infos if {"wall", "shape"} <= set(info.order)]
    wall_first = sum(order.index("wall") < order.index("shape") for order in both)
    assert (counts.before["wall", "shape"], counts.before["shape", "wall"]) == (wall_first, len(both) - wall_first)
    assert 0 < wall_first < len(both)
    assert sum(counts.languages.values()) == 40 and set(counts.languages) == {"en", "zh"}
    assert sum(counts.pairs.values()) == 0, "no training room has a held-out pair"


def test_rooms_of_pairs_have_their_pair() -> None:
    counts = counts_of_seeds(DungeonRecipe(pairs=True), range(2 * len(HELD_OUT_PAIRS)))
    assert [counts.pairs[index] for index in range(len(HELD_OUT_PAIRS))] == [2] * len(HELD_OUT_PAIRS)


def test_shares_of_a_card_add_up_and_unknown_is_said() -> None:
    counts = CardCounts()
    for light in ("ember", "ember", "daylight"):
        counts.add({"light": light}, "pan", {"en": ("an orb", "a red orb. It rolls.")})
    counts.add({}, "still", {})
    text = card_text(FACTS, counts)
    lights = "torchlight 0.0 %, moonlight 0.0 %, daylight 25.0 %, ember 50.0 %, witchlight 0.0 %, (not said) 25.0 %"
    assert f"| light | {lights} |" in text
    assert "| pan | 3 | 75.0 % |" in text and "| still | 1 | 25.0 % |" in text
    assert "| English | 6 | 100.0 % |" in text
    assert "| 1 | 50.0 % |\n| 2 | 50.0 % |" in text, "sentences"
    assert "- clips: 4\n" in text and "- captions: 6" in text


def test_a_card_says_synonyms_and_word_order_in_shares() -> None:
    counts = CardCounts()
    slots = ("wall", "shape")
    for order, synonyms in ((slots, ("wall",)), (slots, ()), (slots[::-1], ("wall", "shape")), (("shape",), ())):
        counts.add({}, "pan", {"en": ("an orb",)})
        info = CaptionInfo("an orb", Language.ENGLISH, CaptionLength.PHRASE, 0, tuple(sorted(order)), order, synonyms)
        counts.add_wording(info)
    text = card_text(FACTS, counts)
    assert "of all that is named 42.9 % by a synonym." in text
    assert "| wall | 75.0 % | 66.7 % |" in text and "| shape | 100.0 % | 25.0 % |" in text
    assert "75.0 % of the captions name several attributes, in 2 different orders." in text
    assert "| wall | 50.0 % |" in text, "named first"
    assert "| wall, shape | 75.0 % | 66.7 % | 33.3 % |" in text
    assert "| light, wall | 0.0 % | 0.0 % | 0.0 % |" in text, "never named together"


def test_a_card_of_nothing_is_a_card() -> None:
    text = card_text(FACTS, CardCounts())
    assert "- clips: 0\n" in text and "## Captions" not in text


def test_a_summary_counts_usable_clips_and_names_the_others() -> None:
    maker = SummaryMaker()
    maker.add("a", make_footage())
    maker.add("b", make_footage(slots=None, source={}))
    maker.add("c", SkippedClip("c", "broken"))
    summary = maker.done()
    assert [row.name for row in summary.rows] == ["a", "b"] and summary.skipped[0].problem == "broken"
    assert summary.slot_counts("color") == {"red": 1, "(not said)": 1}
    assert summary.count("camera") == {"shake": 1, "moves and turns": 1}
    counts = counts_of_summary(summary)
    assert counts.languages == {"en": 4, "zh": 2}


def test_a_row_measures_path_turn_and_depth() -> None:
    positions = [np.array([0.0, -1.5, z]) for z in (0.0, 0.1, 0.3)]
    ahead = [np.array([0.0, 0.0, 1.0])] * 2 + [np.array([1.0, 0.0, 1.0])]
    targets = [position + step for position, step in zip(positions, ahead, strict=True)]
    viewmats = np.stack([look_at(p, t) for p, t in zip(positions, targets, strict=True)])
    K = intrinsics(10, 6, 70.0)
    footage = make_footage(frames=3, source={})
    clip = footage.clip
    object.__setattr__(clip, "cameras", Cameras(viewmats, np.repeat(K[None], 3, axis=0), 10, 6))
    row = clip_row("x", footage)
    assert row.travelled_m == pytest.approx(0.3) and row.turned_deg == pytest.approx(45.0)
    assert row.depth_m[0] == clip.depth.min() and row.depth_m[2] == clip.depth.max()
    assert row.moving == pytest.approx(clip.motion_mask.mean())


def test_hues_of_flow_are_directions() -> None:
    right, down, left, up, still = flow_to_color(
        np.array([[[[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0], [0.0, -5.0], [0.0, 0.0]]]]), largest_px=5.0
    )[0, 0].tolist()
    assert right == [255, 0, 0] and left == [0, 255, 255] and still == [255, 255, 255]
    assert (down == [128, 255, 0] and up == [127, 0, 255]) or up == [128, 0, 255]


def test_flow_of_a_camera_that_nears_a_wall_spreads_from_the_middle() -> None:
    """A wall 4 m ahead; the camera moves 0.5 m: a point at u goes to cx + (u - cx) * 4 / 3.5."""
    viewmats = np.stack([look_at(np.array([0, -1.5, z]), np.array([0, -1.5, 9.0])) for z in (0.0, 0.5)])
    K = intrinsics(10, 6, 70.0)
    cameras = Cameras(viewmats, np.repeat(K[None], 2, axis=0), 10, 6)
    flow = camera_flow(np.full((2, 6, 10), 4.0, np.float32), cameras)
    u = np.arange(10) + 0.5 - 5.0
    np.testing.assert_allclose(flow[0, 2, :, 0], u * (4 / 3.5 - 1), atol=1e-5)
    assert flow.shape == (1, 6, 10, 2) and flow.dtype == np.float32


def test_sheets_have_a_row_for_everything_that_is_known() -> None:
    full, plain = make_footage(), make_footage(object_mask=None, room_depth=None, objects_depth=None, flow=None)
    assert clip_sheet("a", full).shape[0] > clip_sheet("a", plain).shape[0]
    single = make_footage(frames=1, flow=None)
    assert clip_sheet("one", single).ndim == 3
    chinese = make_footage(captions={"zh": ("红色的球",)})
    assert clip_sheet("zh", chinese).shape == clip_sheet("en", full).shape
    assert overview_sheet([("a", full)] * 8, columns=6).shape[0] > overview_sheet([("a", full)] * 6, columns=6).shape[0]


@pytest.mark.parametrize("fields", [{"frames": 0}, {"width": 4}, {"fps": 0.0}, {"path_frames": 18}, {"height": 9999}])
def test_recipes_of_nothing_are_refused(fields: dict) -> None:
    with pytest.raises(InvalidClip, match=f"{next(iter(fields))}: got {next(iter(fields.values()))}, expected"):
        DungeonRecipe(**fields)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(InvalidClip, match=f"seed: got {seed}, expected 0 to"):
        dungeon_room(DungeonRecipe(), seed)
