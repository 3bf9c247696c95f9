from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from unetplus_bench.postprocessing import JOIN_BORDERS, best_of, candidates, joining, merit, scored
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import Postprocessing


def test_the_articles_threshold_is_among_the_candidates() -> None:
    assert Postprocessing(threshold=0.5) in candidates()
    assert len({choice.model_dump_json() for choice in candidates()}) == len(candidates())


def test_the_threshold_that_parts_two_nuclei_has_the_greater_merit() -> None:
    truth = np.zeros((20, 30), np.int32)
    truth[5:15, 3:14], truth[5:15, 16:27] = 1, 2
    probability = np.where(truth > 0, 0.9, 0.0).astype(np.float32)
    probability[5:15, 14:16] = 0.6
    low, high = Postprocessing(threshold=0.5), Postprocessing(threshold=0.7)
    merits = {choice.threshold: merit(scores) for choice, scores in scored([(probability, truth)], [low, high])}
    assert merits[0.7] == 1.0
    assert merits[0.5] < 0.6


def test_merit_is_the_mean_of_iou_kaggle_score_ap50_and_count() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3]])
    scores = score_set([score_image(truth, np.array([[1, 1, 1, 0, 0, 2, 2, 0, 0]]))])
    # IOU 0.75, 1 and 0; above 0.50 to 0.70 two of three are found, from 0.75 on one; one is not counted.
    assert merit(scores) == pytest.approx((1.75 / 3 + (5 * 2 / 3 + 5 * 1 / 4) / 10 + 2 / 3 + (1 - 1 / 3)) / 4)


def test_cores_that_part_two_nuclei_have_the_greater_merit() -> None:
    truth = np.zeros((20, 30), np.int32)
    truth[5:15, 3:15], truth[5:15, 15:27] = 1, 2
    probability = np.where(truth > 0, 0.98, 0.0).astype(np.float32)
    probability[5:15, 14:16] = 0.9
    articles, cored = Postprocessing(), Postprocessing(core_threshold=0.95)
    (_, joined), (_, parted) = scored([(probability, truth)], [articles, cored])
    assert merit(parted) == 1.0
    assert merit(joined) < 0.6
    assert any(choice.core_threshold for choice in candidates())


def test_nuclei_are_joined_with_the_best_constants_and_their_neighbours() -> None:
    best = Postprocessing(threshold=0.45, core_threshold=0.95, min_core_area=20)
    near = joining(best)
    assert {(choice.threshold, choice.core_threshold, choice.min_core_area) for choice in near} == {
        *product((0.4, 0.45, 0.5), (0.93, 0.95, 0.97), (16, 20, 25))
    }
    assert {choice.join_border for choice in near} == set(JOIN_BORDERS)
    assert len(near) == 27 * len(JOIN_BORDERS)
    assert not any(choice.join_border for choice in candidates())


def test_at_the_rim_of_the_grid_there_are_fewer_neighbours() -> None:
    cored = [choice for choice in candidates() if choice.core_threshold]
    for corner in (cored[0], cored[-1]):
        assert len(joining(corner)) == 8 * len(JOIN_BORDERS)


def test_joining_what_cores_broke_has_the_greater_merit() -> None:
    truth = np.zeros((24, 24), np.int32)
    truth[2:22, 2:22] = 1
    probability = np.where(truth > 0, 0.98, 0.0).astype(np.float32)
    probability[:, 11:13] *= 0.9
    choices = [Postprocessing(core_threshold=0.95, join_border=border) for border in (None, 1.1)]
    found = scored([(probability, truth)], [Postprocessing(threshold=0.95), *choices])
    assert merit(found[2][1]) == 1.0
    assert merit(found[1][1]) < 0.6
    assert best_of(found, cored=True) == choices[1]
    assert best_of(found, cored=False).core_threshold is None
