"""Why nuclei were not found: missed, merged, split, wrongly outlined; and what was found in vain."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.evaluation.matching import overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MATCH = 0.5
_SHARE = 0.5


@dataclass(frozen=True)
class ErrorCauses:
    """How many nuclei of an image went wrong, by cause; every one is counted once.

    The first four are true nuclei without a match (IOU above 0.5), the last are predicted ones.

    Attributes
    ----------
    merged
        More than half of it lies in a predicted nucleus that holds more than half of another true
        nucleus too.
    split
        Not merged, and more than half of it is covered, by two or more predicted nuclei that lie
        more than half in it.
    missed
        No predicted nucleus covers any of it.
    outline
        The others: found, but with an outline that is too far off.
    false
        Predicted where no true nucleus is.
    """

    merged: int
    split: int
    missed: int
    outline: int
    false: int

    def __add__(self, other: ErrorCauses) -> ErrorCauses:
        """Return the sum by cause."""
        return ErrorCauses(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def error_causes(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> ErrorCauses:
    """Return why the true nuclei of an image that were not matched were not.

    Parameters
    ----------
    truth, prediction
        Label images of one shape (height, width), each of any integer dtype.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.

    Examples
    --------
    >>> error_causes(np.array([[1, 1, 0, 2, 2]]), np.array([[5, 5, 5, 5, 5]]))
    ErrorCauses(merged=2, split=0, missed=0, outline=0, false=0)
    """
    found = overlaps(truth, prediction)
    true, predicted = found.true_index, found.predicted_index
    true_count, predicted_count = len(found.true_ids), len(found.predicted_ids)
    true_area, predicted_area = (
        _areas(labels, ids) for labels, ids in ((truth, found.true_ids), (prediction, found.predicted_ids))
    )
    # IOU = shared / (sum of areas - shared), solved for what is shared.
    shared = found.iou * (true_area[true] + predicted_area[predicted]) / (1 + found.iou)

    matched = np.bincount(true[found.iou > _MATCH], minlength=true_count) > 0
    holds = shared > _SHARE * true_area[true]
    crowded = np.bincount(predicted[holds], minlength=predicted_count) > 1
    merged = np.bincount(true[holds & crowded[predicted]], minlength=true_count) > 0
    inside = shared > _SHARE * predicted_area[predicted]
    pieces = np.bincount(true[inside], minlength=true_count)
    covered = np.bincount(true[inside], shared[inside], minlength=true_count)
    split = (pieces > 1) & (covered > _SHARE * true_area)
    missed = np.bincount(true, minlength=true_count) == 0
    touched = np.bincount(predicted, minlength=predicted_count) > 0

    merged &= ~matched
    split &= ~matched & ~merged
    return ErrorCauses(
        merged=int(merged.sum()),
        split=int(split.sum()),
        missed=int(missed.sum()),
        outline=int((~matched & ~merged & ~split & ~missed).sum()),
        false=int((~touched).sum()),
    )


def _areas(labels: NDArray[np.integer], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    inside = labels[labels > 0]
    return np.bincount(np.searchsorted(ids, inside), minlength=len(ids))
