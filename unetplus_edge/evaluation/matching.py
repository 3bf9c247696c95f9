"""Which predicted nucleus overlaps which true one, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlaps:
    """The pairs of nuclei that share at least one pixel; the IOU of every other pair is 0.

    Attributes
    ----------
    true_ids
        int64, shape (n,): ids of the true nuclei, ascending.
    predicted_ids
        int64, shape (m,): ids of the predicted nuclei, ascending.
    true_index, predicted_index
        int64, shape (k,): the pair's positions in `true_ids` and in `predicted_ids`.
    iou
        float64 in (0, 1], shape (k,): intersection over union of the pair's pixels.
    """

    true_ids: NDArray[np.int64]
    predicted_ids: NDArray[np.int64]
    true_index: NDArray[np.int64]
    predicted_index: NDArray[np.int64]
    iou: NDArray[np.float64]

    def matrix(self) -> NDArray[np.float64]:
        """Return the IOU of every pair: float64, shape (n, m)."""
        matrix = np.zeros((len(self.true_ids), len(self.predicted_ids)))
        matrix[self.true_index, self.predicted_index] = self.iou
        return matrix


def require_labels(array: NDArray[np.generic], name: str) -> None:
    """Refuse an array that is no label image.

    Parameters
    ----------
    array
        Shape (height, width), at least 1 x 1, any integer dtype, 0 = background, no negative ids.
    name
        What to call the array in an error.

    Raises
    ------
    InputError
        If the array has not two axes, is empty, is not of an integer dtype or has negative ids.
    """
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}; a label image has two axes, height and width, and pixels")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} holds {array.dtype} pixels; label its nuclei with integers, 0 being background")
    if array.min() < 0:
        raise InputError(f"{name} has negative ids; number nuclei from 1, 0 being background")


def require_pair(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> None:
    """Refuse two arrays that are not label images of one frame.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.
    """
    require_labels(truth, "the truth")
    require_labels(prediction, "the prediction")
    if truth.shape != prediction.shape:
        raise InputError(
            f"the truth has shape {truth.shape}, the prediction {prediction.shape}; compare label images of one frame"
        )


def overlaps(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> Overlaps:
    """Return which nuclei of two label images overlap.

    Memory grows with the pixels and with the pairs that overlap, never with nuclei times nuclei.

    Parameters
    ----------
    truth, prediction
        Label images of one shape (height, width), each of any integer dtype; ids need not be
        consecutive.

    Returns
    -------
    Overlaps
        Pairs ordered by true id, then by predicted id.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.
    """
    require_pair(truth, prediction)
    true_ids, true_area, true_index = _numbered(truth)
    predicted_ids, predicted_area, predicted_index = _numbered(prediction)
    both = (true_index >= 0) & (predicted_index >= 0)
    # One number a pair, so that one sort counts the pixels of all pairs.
    pair, intersection = np.unique(true_index[both] * len(predicted_ids) + predicted_index[both], return_counts=True)
    of_true, of_predicted = np.divmod(pair, max(len(predicted_ids), 1))
    union = true_area[of_true] + predicted_area[of_predicted] - intersection
    return Overlaps(true_ids, predicted_ids, of_true, of_predicted, intersection / union)


def iou_matrix(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the intersection over union of every true with every predicted nucleus.

    Parameters
    ----------
    truth, prediction
        Label images of one shape (height, width), each of any integer dtype; ids need not be
        consecutive.

    Returns
    -------
    numpy.ndarray
        float64 in [0, 1], shape (true nuclei, predicted nuclei), both in the order of their ids.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.

    Examples
    --------
    >>> iou_matrix(np.array([[0, 4, 4, 9]]), np.array([[0, 0, 7, 7]]))
    array([[0.33333333],
           [0.5       ]])
    """
    return overlaps(truth, prediction).matrix()


def _numbered(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    # Ids and areas of the nuclei, and each pixel's position among those ids, -1 for background.
    largest = int(labels.max())
    if largest <= labels.size:  # else a table of all ids would be larger than the image
        areas = np.bincount(labels.ravel(), minlength=1)
        areas[0] = 0
        ids = np.flatnonzero(areas)
        positions = np.full(largest + 1, -1)
        positions[ids] = np.arange(len(ids))
        return ids.astype(np.int64), areas[ids].astype(np.int64), positions[labels.ravel()]
    found, index, area = np.unique(labels.ravel(), return_inverse=True, return_counts=True)
    background = int(found[0] == 0)
    return (
        found[background:].astype(np.int64),
        area[background:].astype(np.int64),
        index.astype(np.int64) - background,
    )
