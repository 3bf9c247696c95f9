"""Pictures of a segmentation: where it errs, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.evaluation.matching import require_labels, require_pair
from unetplus_edge.imaging.frames import as_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLACK, _BLUE, _RED, _WHITE = (0, 0, 0), (0, 0, 255), (255, 0, 0), (255, 255, 255)


def error_overlay(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return a picture of the pixels that a prediction got right and wrong (Long 2020, Fig. 2).

    Pixels are compared, not nuclei: two nuclei that were merged are white where both label images
    have any nucleus.

    Parameters
    ----------
    truth, prediction
        Label images of one shape (height, width), each of any integer dtype, 0 = background.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, shape (height, width, 3): white = nucleus in both, red = missed (in the truth
        only), blue = false (in the prediction only), black = background in both.

    Raises
    ------
    InputError
        If one of them is no label image, or their shapes differ.
    """
    require_pair(truth, prediction)
    colours = np.array([_BLACK, _BLUE, _RED, _WHITE], np.uint8)
    picture: NDArray[np.uint8] = colours[2 * (truth > 0) + (prediction > 0)]
    return picture


def outline_overlay(frame: NDArray[np.generic], labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return a frame in grey with the outline of every nucleus in a colour.

    An outline is the pixels of a nucleus that have another label above, below, left or right of
    them; along the frame's own edge none is drawn, which shows that the nucleus is cut there.
    Neighbours differ in colour: two nuclei that touch, or between which there is only background
    that is nearer to them than to any third. The same label image always gets the same colours.

    Parameters
    ----------
    frame
        Shape (height, width), booleans, integers or finite floating-point numbers. Its 0.1 and
        99.9 percentiles become black and white; where these are equal, what exceeds them is white
        and the rest black.
    labels
        Label image of the same shape, any integer dtype; ids need not be consecutive.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, shape (height, width, 3).

    Raises
    ------
    InputError
        If the frame is no frame, the label image is none, or their shapes differ.
    """
    grey = _grey(frame)
    require_labels(labels, "the label image")
    if labels.shape != grey.shape:
        raise InputError(f"a label image of shape {labels.shape} does not belong to a frame of shape {grey.shape}")
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    ids, index = np.unique(labels.ravel(), return_inverse=True)
    if ids[-1] == 0:
        return picture
    first, second = _neighbours(index.reshape(labels.shape), background=bool(ids[0] == 0))
    outline = _outline(labels)
    picture[outline] = _colours(_colouring(len(ids), first, second))[index.reshape(labels.shape)[outline]]
    return picture


def _grey(frame: NDArray[np.generic]) -> NDArray[np.uint8]:
    whole_numbers = frame.dtype == np.bool_ or np.issubdtype(frame.dtype, np.integer)
    values = as_frame(frame.astype(np.float32) if whole_numbers else frame).astype(np.float64)
    low, high = np.percentile(values, (0.1, 99.9))
    scaled = (values - low) / (high - low) if high > low else (values > low).astype(np.float64)
    return _as_bytes(scaled)


def _outline(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    outline = np.zeros(labels.shape, np.bool_)
    across = labels[:, 1:] != labels[:, :-1]
    down = labels[1:] != labels[:-1]
    outline[:, 1:] |= across
    outline[:, :-1] |= across
    outline[1:] |= down
    outline[:-1] |= down
    return outline & (labels > 0)


def _neighbours(index: NDArray[np.intp], *, background: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    # Every background pixel is given to the nucleus nearest to it; nuclei are neighbours where the
    # regions that this makes touch. Each pair is returned both ways round.
    regions = index
    if background:
        nucleus = index > 0
        _, nearest = cv2.distanceTransformWithLabels(
            (~nucleus).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        owner = np.zeros(int(nearest.max()) + 1, np.intp)
        owner[nearest[nucleus]] = index[nucleus]
        regions = owner[nearest]
    sides = [
        (regions[:, 1:], regions[:, :-1]),
        (regions[1:], regions[:-1]),
        (regions[1:, 1:], regions[:-1, :-1]),
        (regions[1:, :-1], regions[:-1, 1:]),
    ]
    touching = [(one[one != other], other[one != other]) for one, other in sides]
    first = np.concatenate([one for pair in touching for one in pair])
    second = np.concatenate([one for pair in touching for one in reversed(pair)])
    count = int(index.max()) + 1
    pairs = np.unique(first * count + second)
    return pairs // count, pairs % count


def _colouring(count: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    # Luby's parallel greedy colouring: each colour goes to a maximal set of nuclei without
    # neighbours in it, picked in rounds by a random but repeatable rank, of which a few suffice.
    rank = np.random.default_rng(0).permutation(count)
    colour = np.full(count, -1, np.intp)
    current = 0
    while (colour < 0).any():
        open_to = colour < 0
        while open_to.any():
            outranked = open_to[first] & open_to[second] & (rank[first] < rank[second])
            chosen = open_to.copy()
            chosen[first[outranked]] = False
            colour[chosen] = current
            open_to &= ~chosen
            open_to[second[chosen[first]]] = False
        current += 1
    return colour


def _colours(number: NDArray[np.intp]) -> NDArray[np.uint8]:
    # Full hues, each halving the gaps that the ones before it left (van der Corput): 0, 1/2, 1/4,
    # 3/4, 1/8, ... of the colour circle. The first 1,024 are distinct in 8 bits.
    bits = np.arange(10)
    hue = ((number[:, np.newaxis] >> bits & 1) / 2.0 ** (bits + 1)).sum(axis=1)
    distance = np.abs((6 * hue[:, np.newaxis] + np.array([0, 4, 2])) % 6 - 3)
    return _as_bytes(distance - 1)


def _as_bytes(shade: NDArray[np.float64]) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = np.round(255 * np.clip(shade, 0, 1)).astype(np.uint8)
    return picture
