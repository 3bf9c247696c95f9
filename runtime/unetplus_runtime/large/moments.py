"""Measurements of nuclei that lie in several blocks: sums that add up, and the table made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.imaging import Nuclei, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = (
    "label",
    "area",
    "centroid_y",
    "centroid_x",
    "spread_yy",  # sums of squared distances to the centroid, and of their product
    "spread_xx",
    "spread_yx",
    "bbox_top",
    "bbox_left",
    "bbox_bottom",
    "bbox_right",
    "intensity_mean",
    "intensity_min",
    "intensity_max",
)
"""Of the float64 array, shape (n, 14), that stands for the pieces of nuclei."""

LABEL, AREA, _Y, _X, _YY, _XX, _YX, _TOP, _LEFT, _BOTTOM, _RIGHT, _MEAN, _MIN, _MAX = range(len(COLUMNS))


def moments(labels: NDArray[np.integer], frame: NDArray[np.generic], top: int, left: int) -> NDArray[np.float64]:
    """Return the sums of the pieces of nuclei in a block, in the order of their numbers.

    Parameters
    ----------
    labels
        Label image of the block, shape (height, width).
    frame
        The raw frame there, same shape.
    top, left
        Where the block begins in the frame.

    Returns
    -------
    numpy.ndarray
        float64, shape (n, 14), with the columns of `COLUMNS` and places in the frame.
    """
    nuclei = measure(labels, frame)
    table = np.empty((len(nuclei), len(COLUMNS)))
    for place, name in enumerate(COLUMNS):
        if not name.startswith("spread"):
            table[:, place] = getattr(nuclei, name)
    y, x = np.nonzero(labels)
    index = np.searchsorted(nuclei.label, labels[y, x])
    dy, dx = y - table[index, _Y], x - table[index, _X]
    for column, values in ((_YY, dy * dy), (_XX, dx * dx), (_YX, dy * dx)):
        table[:, column] = np.bincount(index, values, minlength=len(nuclei))
    table[:, [_Y, _TOP, _BOTTOM]] += top
    table[:, [_X, _LEFT, _RIGHT]] += left
    return table


def joined(pieces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of nuclei from those of their pieces, in the order of their numbers.

    Parameters
    ----------
    pieces
        As `moments` returns them, of any blocks; pieces of one nucleus have one number.
    """
    labels, index = np.unique(pieces[:, LABEL], return_inverse=True)
    count = len(labels)
    area = np.bincount(index, pieces[:, AREA], minlength=count)

    def mean(column: int) -> NDArray[np.float64]:
        return np.bincount(index, pieces[:, column] * pieces[:, AREA], minlength=count) / area

    table = np.empty((count, len(COLUMNS)))
    table[:, LABEL], table[:, AREA] = labels, area
    for column in (_Y, _X, _MEAN):
        table[:, column] = mean(column)
    # The parallel axis theorem: a piece adds its own spread, and that of its centroid.
    away = pieces[:, [_Y, _X]] - table[index][:, [_Y, _X]]
    for column, (one, other) in ((_YY, (0, 0)), (_XX, (1, 1)), (_YX, (0, 1))):
        spread = pieces[:, column] + pieces[:, AREA] * away[:, one] * away[:, other]
        table[:, column] = np.bincount(index, spread, minlength=count)
    for column, extreme in (
        *((column, np.minimum) for column in (_TOP, _LEFT, _MIN)),
        *((column, np.maximum) for column in (_BOTTOM, _RIGHT, _MAX)),
    ):
        table[:, column] = np.inf if extreme is np.minimum else -np.inf
        extreme.at(table[:, column], index, pieces[:, column])
    return table


def nuclei_of(table: NDArray[np.float64], shape: tuple[int, int], pixel_size: float | None) -> Nuclei:
    """Return the measurements of nuclei, as `unetplus_edge.imaging.measure` has them.

    Parameters
    ----------
    table
        Sums of whole nuclei.
    shape
        Height and width of the frame.
    pixel_size
        Side of a pixel in micrometres.
    """
    area = table[:, AREA]
    whole = {name: table[:, COLUMNS.index(name)].astype(np.int64) for name in COLUMNS if name.startswith("bbox")}
    # A pixel is a square, which has a variance of its own.
    variance_y, variance_x = table[:, _YY] / area + 1 / 12, table[:, _XX] / area + 1 / 12
    middle, spread = (variance_y + variance_x) / 2, np.hypot((variance_y - variance_x) / 2, table[:, _YX] / area)
    return Nuclei(
        label=table[:, LABEL].astype(np.int64),
        area=area.astype(np.int64),
        centroid_y=table[:, _Y],
        centroid_x=table[:, _X],
        **whole,
        equivalent_diameter=np.sqrt(4 * area / np.pi),
        eccentricity=np.sqrt(1 - (middle - spread) / (middle + spread)),
        intensity_mean=table[:, _MEAN],
        intensity_min=table[:, _MIN],
        intensity_max=table[:, _MAX],
        touches_border=(whole["bbox_top"] == 0)
        | (whole["bbox_left"] == 0)
        | (whole["bbox_bottom"] == shape[0])
        | (whole["bbox_right"] == shape[1]),
        pixel_size=pixel_size,
    )
