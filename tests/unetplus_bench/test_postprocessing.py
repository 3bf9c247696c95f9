from __future__ import annotations

import numpy as np

from unetplus_bench.postprocessing import candidates, merit, scored
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


def test_merit_is_the_mean_of_average_iou_and_kaggle_score() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 2]])
    scores = score_set([score_image(truth, np.array([[1, 1, 1, 0, 0, 2, 2]]))])
    assert scores.average_iou_mean is not None
    assert merit(scores) == (scores.average_iou_mean + scores.kaggle_score) / 2
