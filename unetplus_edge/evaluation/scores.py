"""How well label images agree with the truth: one image, then a set of them.

All scores rest on the IOU (intersection over union) of nuclei. At a threshold T a true and a
predicted nucleus match when their IOU is greater than T, never at T itself (Kaggle's "greater
than"; StarDist's code takes IOU >= T). Nuclei of one label image share no pixels, so an IOU above
0.5 leaves room for one partner only: matches are unique and need no assignment.

References
----------
Long 2020, "Microscopy cell nuclei segmentation with enhanced U-Net", BMC Bioinformatics 21:8,
    "Evaluation": average IOU and precision.
Kaggle, 2018 Data Science Bowl, "Evaluation": the score over ten thresholds, AP by image.
Schmidt 2018, "Cell detection with star-convex polygons" (StarDist): AP pooled over a set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.evaluation.matching import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# 0.50 to 0.95 in steps of 0.05. A twentieth rounds as an IOU of exactly that fraction does, so that
# "greater than" is exact.
_THRESHOLDS = np.arange(10, 20) / 20


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image.

    Where truth and prediction are both empty, precision, Kaggle score, AP50 and Dice are 1; where
    one of them is empty they are 0.

    Attributes
    ----------
    true_nuclei, predicted_nuclei
        How many nuclei the label images hold.
    average_iou
        Mean over the true nuclei of the IOU of the predicted nucleus that overlaps it best, which
        counts as 0 unless it is above 0.5 (Long 2020). None where there are no true nuclei.
    article_precision
        Mean of TP / (TP + FN + FP) over the thresholds 0.50, 0.55, ... 0.95, where FP counts only
        predicted nuclei whose IOU with every true nucleus is 0 (Long 2020). Never below the Kaggle
        score and not to be compared with one: a wrong nucleus that touches a true one costs nothing.
    kaggle_score
        The same mean, every unmatched predicted nucleus being an FP (Kaggle 2018 Data Science Bowl).
    ap50
        TP / (TP + FP + FN) at the threshold 0.5, every unmatched predicted nucleus being an FP.
    true_positives_50, false_positives_50, false_negatives_50
        What `ap50` is made of: matches, unmatched predicted nuclei, unmatched true nuclei.
    dice
        2 |A and B| / (|A| + |B|) of the pixels that are nucleus in the truth and in the prediction.
    relative_count_error
        |predicted - true| / true number of nuclei. None where there are no true nuclei.
    """

    true_nuclei: int
    predicted_nuclei: int
    average_iou: float | None
    article_precision: float
    kaggle_score: float
    ap50: float
    true_positives_50: int
    false_positives_50: int
    false_negatives_50: int
    dice: float
    relative_count_error: float | None


@dataclass(frozen=True)
class SetScores:
    """The scores of a set of images; every image weighs the same unless a field says otherwise.

    Attributes
    ----------
    images
        How many images were scored.
    images_without_nuclei
        How many of them have no true nuclei. The average IOU and the relative count error leave
        these out, all other scores do not.
    average_iou_mean, average_iou_std
        Mean and population standard deviation (divisor n) over the images that have true nuclei
        (Long 2020); None if no image has.
    article_precision
        Mean over images (Long 2020).
    kaggle_score
        Mean over images (Kaggle 2018 Data Science Bowl).
    ap50_mean
        Mean over images of their AP50: Kaggle's way.
    ap50_pooled
        TP / (TP + FP + FN) of the sums over all images, so that every nucleus weighs the same:
        StarDist's way (Schmidt 2018). 1 if there are no nuclei at all, true or predicted.
    dice
        Mean over images.
    relative_count_error_mean
        Mean over the images that have true nuclei; None if no image has.
    true_nuclei, predicted_nuclei
        Sums over images.
    """

    images: int
    images_without_nuclei: int
    average_iou_mean: float | None
    average_iou_std: float | None
    article_precision: float
    kaggle_score: float
    ap50_mean: float
    ap50_pooled: float
    dice: float
    relative_count_error_mean: float | None
    true_nuclei: int
    predicted_nuclei: int


def score_image(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> ImageScores:
    """Return the scores of one image.

    Parameters
    ----------
    truth, prediction
        Label images of one shape (height, width), each of any integer dtype: 0 = background, one
        id a nucleus; ids need not be consecutive nor agree between the two.

    Returns
    -------
    ImageScores
        In fractions of 1, not in per cent.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.

    Examples
    --------
    >>> scores = score_image(np.array([[1, 1, 1, 0, 2]]), np.array([[3, 3, 0, 0, 0]]))
    >>> scores.ap50, round(scores.average_iou, 3), scores.relative_count_error
    (0.5, 0.333, 0.5)
    """
    found = overlaps(truth, prediction)
    true, predicted = len(found.true_ids), len(found.predicted_ids)
    matches = np.count_nonzero(found.iou[:, np.newaxis] > _THRESHOLDS, axis=0)
    untouched = predicted - len(np.unique(found.predicted_index))
    matches_50 = int(matches[0])
    return ImageScores(
        true_nuclei=true,
        predicted_nuclei=predicted,
        average_iou=float(found.iou[found.iou > _THRESHOLDS[0]].sum()) / true if true else None,
        # TP + FN is the number of true nuclei.
        article_precision=_mean(_share(int(tp), true + untouched) for tp in matches),
        kaggle_score=_mean(_share(int(tp), true + predicted - int(tp)) for tp in matches),
        ap50=_share(matches_50, true + predicted - matches_50),
        true_positives_50=matches_50,
        false_positives_50=predicted - matches_50,
        false_negatives_50=true - matches_50,
        dice=_share(
            2 * int(np.count_nonzero((truth > 0) & (prediction > 0))),
            int(np.count_nonzero(truth) + np.count_nonzero(prediction)),
        ),
        relative_count_error=abs(predicted - true) / true if true else None,
    )


def score_set(scores: Sequence[ImageScores]) -> SetScores:
    """Return the scores of a set from those of its images.

    Parameters
    ----------
    scores
        At least one `ImageScores`, one for each image, in any order.

    Raises
    ------
    InputError
        If there is no image.
    """
    if not scores:
        raise InputError("there are no images to score; give a set of at least one")
    ious = [image.average_iou for image in scores if image.average_iou is not None]
    count_errors = [image.relative_count_error for image in scores if image.relative_count_error is not None]
    true_positives = sum(image.true_positives_50 for image in scores)
    true_nuclei = sum(image.true_nuclei for image in scores)
    predicted_nuclei = sum(image.predicted_nuclei for image in scores)
    return SetScores(
        images=len(scores),
        images_without_nuclei=sum(image.true_nuclei == 0 for image in scores),
        average_iou_mean=_mean(ious) if ious else None,
        average_iou_std=float(np.std(ious)) if ious else None,
        article_precision=_mean(image.article_precision for image in scores),
        kaggle_score=_mean(image.kaggle_score for image in scores),
        ap50_mean=_mean(image.ap50 for image in scores),
        ap50_pooled=_share(true_positives, true_nuclei + predicted_nuclei - true_positives),
        dice=_mean(image.dice for image in scores),
        relative_count_error_mean=_mean(count_errors) if count_errors else None,
        true_nuclei=true_nuclei,
        predicted_nuclei=predicted_nuclei,
    )


def _share(part: int, whole: int) -> float:
    # Nothing to find and nothing found is a perfect answer.
    return part / whole if whole else 1.0


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
