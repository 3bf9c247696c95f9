"""What the nuclei of a frame are like, in numbers that two sets of frames can be compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RING_GAP = 2.0
"""Background of a ring is further than this from every nucleus, in px: edges are soft and drawn by hand."""

RING_REACH = 10.0
"""Background of a ring is at most this far from its nucleus, in px."""

RING_PIXELS = 20
"""A ring of fewer pixels says nothing about the background."""

_QUANTISATION_NOISE = 1 / np.sqrt(12)
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class NucleusDistributions:
    """Measurements of one frame; entry k of every array belongs to nucleus `ids[k]`.

    Attributes
    ----------
    ids
        int64, shape (n,): the ids in the label image, ascending.
    area
        float64, shape (n,), px: pixels of the nucleus that lie in the frame.
    contrast_to_noise
        float64, shape (n,): mean of the nucleus minus mean of the background ring around it, over
        the standard deviation of the ring. NaN where fewer than `RING_PIXELS` are background.
    neighbour_distance
        float64, shape (n,), px: from the centroid to the nearest other centroid. NaN for a nucleus
        that is alone.
    touching
        bool, shape (n,): whether a pixel of another nucleus is among the 8 neighbours of one of its own.
    background
        Median of the pixels outside all nuclei, grey levels; NaN where there are none.
    nuclei_per_megapixel
        Number of nuclei over 10**6 pixels of frame.
    """

    ids: NDArray[np.int64]
    area: NDArray[np.float64]
    contrast_to_noise: NDArray[np.float64]
    neighbour_distance: NDArray[np.float64]
    touching: NDArray[np.bool_]
    background: float
    nuclei_per_megapixel: float


def nucleus_distributions(image: NDArray[Any], labels: NDArray[Any]) -> NucleusDistributions:
    """Measure the nuclei of a frame.

    The ring of a nucleus is the background between `RING_GAP` and `RING_REACH` px from it that is
    further than `RING_GAP` from every other nucleus too. Its standard deviation is taken to be at least
    the quantisation noise of one grey level, 1 / sqrt(12), since a black level that is cut off leaves
    a ring of equal pixels.

    Parameters
    ----------
    image
        uint8 or uint16, shape (height, width), grey levels.
    labels
        Integers, same shape: 0 = background, one id a nucleus.

    Returns
    -------
    NucleusDistributions
        Empty arrays for a frame without nuclei.

    Raises
    ------
    InputError
        If the image is of another type, the two differ in shape, or an id is negative.

    Examples
    --------
    >>> labels = np.zeros((64, 64), np.int32)
    >>> labels[10:20, 10:20] = 1
    >>> labels[10:20, 40:50] = 2
    >>> measured = nucleus_distributions(np.where(labels, 60, 10).astype(np.uint8), labels)
    >>> measured.area, measured.neighbour_distance
    (array([100., 100.]), array([30., 30.]))
    """
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"the image is {image.dtype} of shape {image.shape}; give one grey channel as uint8 or uint16, "
            "shape (height, width)"
        )
    if labels.shape != image.shape or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"the label image is {labels.dtype} of shape {labels.shape}; "
            f"give integers of the image's shape {image.shape}"
        )
    if labels.size and labels.min() < 0:
        raise InputError("the label image has negative ids; give 0 for background and a positive id for each nucleus")
    ids, flat = np.unique(labels, return_inverse=True)
    index = flat.reshape(labels.shape).astype(np.int32)
    if ids[0] == 0:
        ids = ids[1:]
    else:
        index += 1
    number = len(ids)
    area = np.bincount(index.ravel(), minlength=number + 1)[1:].astype(np.float64)
    outside = index == 0
    return NucleusDistributions(
        ids=ids.astype(np.int64),
        area=area,
        contrast_to_noise=_contrast_to_noise(image, index, number),
        neighbour_distance=_neighbour_distance(_centroids(index, area)),
        touching=_touching(index, number),
        background=float(np.median(image[outside])) if outside.any() else float("nan"),
        nuclei_per_megapixel=number / labels.size * 1e6,
    )


def ks_distance(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic: the largest gap between two distributions.

    Parameters
    ----------
    first, second
        Samples, 1-d, of any lengths; NaN is left out.

    Returns
    -------
    float
        In [0, 1]: 0 for equal empirical distributions, 1 where the samples do not overlap.

    Raises
    ------
    InputError
        If a sample has no finite value.

    Examples
    --------
    >>> ks_distance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0]))
    0.5
    """
    a = np.sort(np.asarray(first, np.float64)[~np.isnan(first)])
    b = np.sort(np.asarray(second, np.float64)[~np.isnan(second)])
    if not (a.size and b.size):
        raise InputError("one of the two samples is empty; measure frames that hold nuclei")
    at = np.concatenate([a, b])
    gaps = np.searchsorted(a, at, side="right") / a.size - np.searchsorted(b, at, side="right") / b.size
    return float(np.abs(gaps).max())


def _centroids(index: NDArray[np.int32], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (row, column) of every nucleus, shape (n, 2)."""
    rows, columns = np.nonzero(index)
    which = index[rows, columns]
    sums = [np.bincount(which, weights=axis, minlength=area.size + 1)[1:] for axis in (rows, columns)]
    return np.stack(sums, axis=1) / area[:, None]


def _neighbour_distance(centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    number = len(centroids)
    nearest = np.full(number, np.nan)
    if number < 2:
        return nearest
    # a block of rows at a time: memory stays linear in the number of nuclei
    for start in range(0, number, _ROWS_AT_ONCE):
        block = centroids[start : start + _ROWS_AT_ONCE]
        squared = ((block[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)
        squared[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        nearest[start : start + len(block)] = np.sqrt(squared.min(axis=1))
    return nearest


def _touching(index: NDArray[np.int32], number: int) -> NDArray[np.bool_]:
    touching = np.zeros(number + 1, np.bool_)
    height, width = index.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = index[: height - down, max(0, -right) : width - max(0, right)]
        there = index[down:, max(0, right) : width - max(0, -right)]
        meet = (here != there) & (here > 0) & (there > 0)
        touching[here[meet]] = True
        touching[there[meet]] = True
    return touching[1:]


def _contrast_to_noise(image: NDArray[Any], index: NDArray[np.int32], number: int) -> NDArray[np.float64]:
    result = np.full(number, np.nan)
    if number == 0:
        return result
    background = _distance_to(index > 0) > RING_GAP
    reach = int(np.ceil(RING_REACH))
    height, width = index.shape
    for nucleus, (top, left, bottom, right) in enumerate(_boxes(index, number), start=1):
        window = (
            slice(max(0, top - reach), min(height, bottom + reach)),
            slice(max(0, left - reach), min(width, right + reach)),
        )
        inside = index[window] == nucleus
        ring = background[window] & (_distance_to(inside) <= RING_REACH)
        if np.count_nonzero(ring) < RING_PIXELS:
            continue
        grey = image[window].astype(np.float64)
        noise = max(float(grey[ring].std()), _QUANTISATION_NOISE)
        result[nucleus - 1] = (grey[inside].mean() - grey[ring].mean()) / noise
    return result


def _distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the Euclidean distance of every pixel to the mask, px."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, np.float32)


def _boxes(index: NDArray[np.int32], number: int) -> NDArray[np.int64]:
    """Return top, left, bottom, right (past the end) of every nucleus, shape (n, 4)."""
    rows, columns = np.nonzero(index)
    which = index[rows, columns] - 1
    boxes = np.empty((number, 4), np.int64)
    for first, axis in ((0, rows), (1, columns)):
        low = np.full(number, np.iinfo(np.int64).max)
        high = np.full(number, -1)
        np.minimum.at(low, which, axis)
        np.maximum.at(high, which, axis)
        boxes[:, first], boxes[:, first + 2] = low, high + 1
    return boxes
