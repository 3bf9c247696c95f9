"""Every score against its definition, written as loops over nuclei in exact fractions."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import ImageScores, score_image, score_set

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _nuclei(labels: NDArray[np.integer]) -> list[set[int]]:
    pixels: dict[int, set[int]] = {}
    for position, label in enumerate(labels.ravel().tolist()):
        if label != 0:
            pixels.setdefault(label, set()).add(position)
    return list(pixels.values())


def _iou(one: set[int], other: set[int]) -> Fraction:
    return Fraction(len(one & other), len(one | other))


def _counts(true: list[set[int]], predicted: list[set[int]], threshold: Fraction) -> tuple[int, int, int, int]:
    """TP, FN, FP of Kaggle and FP of the article."""
    hit_true, hit_predicted = set(), set()
    for row, one in enumerate(true):
        for column, other in enumerate(predicted):
            if _iou(one, other) > threshold:
                hit_true.add(row)
                hit_predicted.add(column)
    assert len(hit_true) == len(hit_predicted)
    false_positives = article_false_positives = 0
    for column, other in enumerate(predicted):
        if column not in hit_predicted:
            false_positives += 1
        if all(_iou(one, other) == 0 for one in true):
            article_false_positives += 1
    return len(hit_true), len(true) - len(hit_true), false_positives, article_false_positives


def _ratio(true_positives: int, false_negatives: int, false_positives: int) -> Fraction:
    total = true_positives + false_negatives + false_positives
    return Fraction(true_positives, total) if total else Fraction(1)


def _by_definition(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> dict[str, Any]:
    true, predicted = _nuclei(truth), _nuclei(prediction)
    article, kaggle = [], []
    for hundredths in range(50, 100, 5):
        hits, missed, false, article_false = _counts(true, predicted, Fraction(hundredths, 100))
        article.append(_ratio(hits, missed, article_false))
        kaggle.append(_ratio(hits, missed, false))
    hits, missed, false, _ = _counts(true, predicted, Fraction(1, 2))
    kept = []
    for one in true:
        best = max((_iou(one, other) for other in predicted), default=Fraction(0))
        kept.append(best if best > Fraction(1, 2) else Fraction(0))
    true_pixels = {pixel for nucleus in true for pixel in nucleus}
    predicted_pixels = {pixel for nucleus in predicted for pixel in nucleus}
    pixels = len(true_pixels) + len(predicted_pixels)
    return {
        "true_nuclei": len(true),
        "predicted_nuclei": len(predicted),
        "average_iou": float(sum(kept) / len(true)) if true else None,
        "article_precision": float(sum(article) / 10),
        "kaggle_score": float(sum(kaggle) / 10),
        "ap50": float(_ratio(hits, missed, false)),
        "true_positives_50": hits,
        "false_positives_50": false,
        "false_negatives_50": missed,
        "dice": float(Fraction(2 * len(true_pixels & predicted_pixels), pixels)) if pixels else 1.0,
        "relative_count_error": float(Fraction(abs(len(predicted) - len(true)), len(true))) if true else None,
    }


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_every_score_of_any_image_is_that_of_its_definition(data: st.DataObject, label_pairs: Any) -> None:
    truth, prediction = data.draw(label_pairs)
    assert asdict(score_image(truth, prediction)) == pytest.approx(_by_definition(truth, prediction), abs=1e-12)


@settings(deadline=None)
@given(data=st.data())
def test_the_article_never_scores_below_kaggle(data: st.DataObject, label_pairs: Any) -> None:
    scores = score_image(*data.draw(label_pairs))
    assert scores.article_precision >= scores.kaggle_score


@pytest.mark.parametrize("hundredths", range(50, 100, 5))
def test_an_iou_of_exactly_a_threshold_is_no_match_there(hundredths: int) -> None:
    truth = np.ones((1, 100), np.int32)
    prediction = truth.copy()
    prediction[0, hundredths:] = 0
    expected = (hundredths - 50) // 5 / 10
    assert score_image(truth, prediction).kaggle_score == pytest.approx(expected, abs=1e-12)


@dataclass(frozen=True)
class _Case:
    name: str
    truth: list[list[int]]
    prediction: list[list[int]]
    average_iou: float | None
    article_precision: float
    kaggle_score: float
    counts_50: tuple[int, int, int]  # TP, FP, FN
    dice: float
    relative_count_error: float | None


_CASES = [
    _Case("both empty", [[0, 0]], [[0, 0]], None, 1.0, 1.0, (0, 0, 0), 1.0, None),
    _Case("empty truth", [[0, 0, 0]], [[4, 0, 9]], None, 0.0, 0.0, (0, 2, 0), 0.0, None),
    _Case("empty prediction", [[4, 0, 9]], [[0, 0, 0]], 0.0, 0.0, 0.0, (0, 0, 2), 0.0, 1.0),
    _Case("identical, other ids", [[1, 1, 0, 2]], [[900, 900, 0, 5]], 1.0, 1.0, 1.0, (2, 0, 0), 1.0, 0.0),
    # Each half has IOU 1/2 with the nucleus: not above 1/2, so a miss; the article sees no FP.
    _Case("split in halves", [[1, 1, 1, 1]], [[1, 1, 2, 2]], 0.0, 0.0, 0.0, (0, 2, 1), 1.0, 1.0),
    # IOU 3/4 matches at 0.50 to 0.70, five of ten; the other part is an FP for Kaggle only.
    _Case("split, one large", [[1, 1, 1, 1]], [[1, 1, 1, 2]], 0.75, 0.5, 0.25, (1, 1, 0), 1.0, 1.0),
    # The merged nucleus has IOU 3/5 with one (matches at 0.50 and 0.55) and 2/5 with the other.
    _Case("merged", [[1, 1, 1, 2, 2]], [[1, 1, 1, 1, 1]], 0.3, 0.1, 0.1, (1, 0, 1), 1.0, 0.5),
    _Case("touching, told apart", [[3, 3, 7, 7]], [[1, 1, 2, 2]], 1.0, 1.0, 1.0, (2, 0, 0), 1.0, 0.0),
    # IOU 3/4 and 2/3: both match at 0.50 to 0.65 (four), the first alone at 0.70 (one).
    _Case(
        "touching, border off by one",
        [[3, 3, 3, 3, 7, 7]],
        [[1, 1, 1, 2, 2, 2]],
        17 / 24,
        (4 * 1 + 1 / 2) / 10,
        (4 * 1 + 1 / 3) / 10,
        (2, 0, 0),
        1.0,
        0.0,
    ),
    # 4 x 4 pixels, moved by one column: 12 shared, 20 in all, IOU 3/5, matches at 0.50 and 0.55.
    _Case(
        "shifted by one",
        [[1, 1, 1, 1, 0]] * 4,
        [[0, 1, 1, 1, 1]] * 4,
        0.6,
        0.2,
        0.2,
        (1, 0, 0),
        0.75,
        0.0,
    ),
    _Case("missed by all", [[1, 1, 0, 0]], [[0, 0, 1, 1]], 0.0, 0.0, 0.0, (0, 1, 1), 0.0, 0.0),
    # One found, one invented beside nothing: an FP for both.
    _Case("one too many", [[1, 1, 0, 0]], [[1, 1, 0, 2]], 1.0, 0.5, 0.5, (1, 1, 0), 0.8, 1.0),
]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_scores_of_a_case_made_by_hand(case: _Case) -> None:
    truth, prediction = np.array(case.truth, np.uint16), np.array(case.prediction, np.int32)
    true_positives, false_positives, false_negatives = case.counts_50
    found = sum(case.counts_50)
    expected = ImageScores(
        true_nuclei=true_positives + false_negatives,
        predicted_nuclei=true_positives + false_positives,
        average_iou=case.average_iou,
        article_precision=case.article_precision,
        kaggle_score=case.kaggle_score,
        ap50=true_positives / found if found else 1.0,
        true_positives_50=true_positives,
        false_positives_50=false_positives,
        false_negatives_50=false_negatives,
        dice=case.dice,
        relative_count_error=case.relative_count_error,
    )
    assert asdict(score_image(truth, prediction)) == pytest.approx(asdict(expected), abs=1e-12)


def test_scores_are_plain_numbers_and_frozen() -> None:
    scores = score_image(np.array([[1, 1, 0]]), np.array([[2, 0, 0]]))
    assert {type(value) for value in asdict(scores).values()} == {int, float}
    with pytest.raises(FrozenInstanceError):
        scores.dice = 1.0  # type: ignore[misc]


@settings(deadline=None)
@given(data=st.data())
def test_set_scores_are_means_and_sums_over_the_images(data: st.DataObject, label_pairs: Any) -> None:
    pairs = data.draw(st.lists(label_pairs, min_size=1, max_size=5))
    images = [_by_definition(truth, prediction) for truth, prediction in pairs]

    def mean(name: str) -> float | None:
        values = [image[name] for image in images if image[name] is not None]
        return sum(values) / len(values) if values else None

    average = mean("average_iou")
    ious = [image["average_iou"] for image in images if image["average_iou"] is not None]
    spread = None if average is None else (sum((value - average) ** 2 for value in ious) / len(ious)) ** 0.5
    hits, false, missed = (
        sum(image[f"{kind}_50"] for image in images)
        for kind in ("true_positives", "false_positives", "false_negatives")
    )
    expected = {
        "images": len(pairs),
        "images_without_nuclei": sum(not truth.any() for truth, _ in pairs),
        "average_iou_mean": average,
        "average_iou_std": spread,
        "article_precision": mean("article_precision"),
        "kaggle_score": mean("kaggle_score"),
        "ap50_mean": mean("ap50"),
        "ap50_pooled": float(_ratio(hits, missed, false)),
        "dice": mean("dice"),
        "relative_count_error_mean": mean("relative_count_error"),
        "true_nuclei": sum(image["true_nuclei"] for image in images),
        "predicted_nuclei": sum(image["predicted_nuclei"] for image in images),
    }
    scores = [score_image(truth, prediction) for truth, prediction in pairs]
    assert asdict(score_set(scores)) == pytest.approx(expected, abs=1e-12)


def test_pooled_ap_weighs_nuclei_and_mean_ap_weighs_images() -> None:
    crowded = score_image(np.array([[1, 2, 3, 4, 5, 6]]), np.array([[1, 2, 3, 4, 5, 6]]))
    lonely = score_image(np.array([[1, 0]]), np.array([[0, 1]]))
    scores = score_set([crowded, lonely])
    assert scores.ap50_mean == 0.5
    assert scores.ap50_pooled == 6 / 8


def test_the_spread_of_the_average_iou_is_the_population_one() -> None:
    right = score_image(np.array([[1, 1]]), np.array([[1, 1]]))
    wrong = score_image(np.array([[1, 1]]), np.array([[0, 0]]))
    scores = score_set([right, wrong])
    assert (scores.average_iou_mean, scores.average_iou_std) == (0.5, 0.5)


def test_images_without_nuclei_are_counted_and_left_out_of_the_average_iou() -> None:
    right = score_image(np.array([[1, 1]]), np.array([[1, 1]]))
    bare = score_image(np.array([[0, 0]]), np.array([[0, 3]]))
    scores = score_set([right, bare])
    assert (scores.images, scores.images_without_nuclei) == (2, 1)
    assert (scores.average_iou_mean, scores.average_iou_std, scores.relative_count_error_mean) == (1.0, 0.0, 0.0)
    assert scores.kaggle_score == 0.5


def test_a_set_without_any_nuclei_has_no_average_iou() -> None:
    scores = score_set([score_image(np.array([[0, 0]]), np.array([[0, 0]]))])
    assert scores.average_iou_mean is scores.average_iou_std is scores.relative_count_error_mean is None
    assert scores.ap50_pooled == scores.ap50_mean == 1.0


def test_a_set_of_no_images_is_refused() -> None:
    with pytest.raises(InputError, match="no images"):
        score_set([])


def test_label_images_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        score_image(np.zeros((2, 3), np.int32), np.zeros((3, 2), np.int32))
