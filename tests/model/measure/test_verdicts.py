from dataclasses import replace

import numpy as np
import pytest

from clips.camera_path import PathKind
from model.measure.accuracy import Accuracy
from model.measure.figures import control_gain, lowest_right, step_figures, way_figures
from model.measure.generation import MadeClip
from model.measure.scenes import LAST_FRAMES, ClipSize, Scene, SceneKind, make_scene
from model.measure.verdicts import (
    FAR_M,
    Verdict,
    attribute_accuracy,
    blob_accuracy,
    judge_clips,
    last_prop_accuracy,
    mean_far_share,
    mean_overlap,
)
from model.measure.ways import Gathered, real_clips

SLOTS = ("light", "wall", "floor", "ceiling", "size", "color", "shape", "prop")


class Told:
    """A judge that says what it was told to say, and sees the masks that it was given."""

    def __init__(self, words: list[dict[str, str]], masks: list[np.ndarray]) -> None:
        self._words, self._masks = words, iter(masks)

    def words(self, clips: list[np.ndarray]) -> list[dict[str, str]]:
        return [{slot: words[slot] for slot in SLOTS} for words in self._words]

    def object_masks(self, clip: np.ndarray) -> np.ndarray:
        return next(self._masks)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    found = (make_scene(SceneKind.HELD_OUT, index, ClipSize(9, 48, 32)) for index in range(30))
    return [one for one in found if one.object_moves and one.sample.path.kind is PathKind.ORBIT][:2]


def test_real_clips_are_right_in_everything(scenes: list[Scene]) -> None:
    judge = Told([scene.words for scene in scenes], [scene.object_mask for scene in scenes])
    gathered = Gathered(judge_clips(judge, scenes, real_clips(scenes)), [0.0])  # type: ignore[arg-type]
    figures, accuracies = way_figures(gathered)
    assert lowest_right(figures) == figures["object_iou"] == figures["single_blob"] == 1.0
    assert accuracies["light_right"] == Accuracy(2, 2)
    assert figures["room_depth_error"] < 0.002
    assert figures["warp_error"] < 0.5 * figures["warp_frozen"]
    assert figures["far_depth"] == 0.0
    assert accuracies["prop_last"] == Accuracy(*[sum(scene.prop_seen_last for scene in scenes)] * 2)


def test_wrong_words_split_objects_and_far_walls_are_counted(scenes: list[Scene]) -> None:
    scene = scenes[0]
    wrong = {**scene.words, "color": "other"}
    split = scene.object_mask.copy()
    split[:, :, ::2] = False
    split[:, 0, :12] = True
    made = MadeClip(scene.frames, scene.depth * 1.2)
    verdict = judge_clips(Told([wrong], [split]), [scene], [made])[0]  # type: ignore[arg-type]
    assert [slot for slot, right in verdict.right.items() if not right] == ["color"]
    assert verdict.overlap < 0.6
    assert not verdict.single_blob
    assert verdict.room_error == pytest.approx(0.2, abs=0.002)
    assert attribute_accuracy([verdict, verdict])["color"] == Accuracy(0, 2)


class ToldByLength(Told):
    """Says other words of the last frames than of the whole clip."""

    def __init__(self, words: dict[str, str], last: dict[str, str], mask: np.ndarray) -> None:
        super().__init__([words], [mask])
        self._last, self.asked = last, list[int]()

    def words(self, clips: list[np.ndarray]) -> list[dict[str, str]]:
        self.asked.append(len(clips[0]))
        return [self._last] if len(clips[0]) == LAST_FRAMES else super().words(clips)


@pytest.mark.parametrize(("seen", "expected"), [(True, Accuracy(0, 1)), (False, Accuracy(0, 0))])
def test_a_prop_that_is_gone_at_the_end_is_told(scenes: list[Scene], seen: bool, expected: Accuracy) -> None:
    scene = replace(scenes[0], prop_seen=True, prop_seen_last=seen)
    judge = ToldByLength(scene.words, {**scene.words, "prop": "other"}, scene.object_mask)
    verdicts = judge_clips(judge, [scene], real_clips([scene]))  # type: ignore[arg-type]
    assert judge.asked == [9, LAST_FRAMES]
    assert last_prop_accuracy(verdicts) == expected
    assert attribute_accuracy(verdicts)["prop"] == Accuracy(1, 1)


def test_pixels_beyond_every_room_are_counted(scenes: list[Scene]) -> None:
    scene = scenes[0]
    speckled = scene.depth.copy()
    speckled[3, 5, 7], speckled[3, 5, 8], speckled[4, 0, 0] = FAR_M + 0.1, 50.0, FAR_M
    judge = Told([scene.words], [scene.object_mask])
    verdicts = judge_clips(judge, [scene], [MadeClip(scene.frames, speckled)])  # type: ignore[arg-type]
    assert mean_far_share(verdicts) == pytest.approx(2 / scene.depth.size)
    assert np.isnan(mean_far_share([Verdict({}, 0.2, False, False, None, 0.1)]))


def test_no_real_scene_reaches_so_far() -> None:
    kinds = [SceneKind.HELD_OUT, SceneKind.PATHS]
    assert max(float(make_scene(kind, k, ClipSize(9, 48, 32)).depth.max()) for kind in kinds for k in range(20)) < FAR_M


def test_objects_that_stand_still_say_nothing_of_blobs() -> None:
    still = Verdict({}, 0.2, False, False, None, 0.1)
    moving = Verdict({}, 0.8, True, True, None, 0.1)
    assert blob_accuracy([still, moving]) == Accuracy(1, 1)
    assert mean_overlap([still, moving]) == 0.8


def test_few_steps_are_held_to_what_they_lose_at_most() -> None:
    many = {f"{slot}_right": 0.9 for slot in SLOTS} | {"flip": 0.2, "room_depth_error": 0.1}
    few = many | {"shape_right": 0.81, "color_right": 0.95, "flip": 0.25, "room_depth_error": 0.06}
    found = step_figures(few, many)
    assert found["attribute_loss"] == pytest.approx(0.09)
    assert found["attribute_share"] == pytest.approx(0.9)
    assert found["flip_ratio"] == pytest.approx(1.25)
    assert control_gain(few, many) == pytest.approx(0.4)
    assert np.isnan(step_figures(few | {"wall_right": float("nan")}, many)["attribute_loss"])
