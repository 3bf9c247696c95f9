"""The pieces of nuclei in a block: the pixels of each, which touch, and those of them that reach its sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.imaging.labelling import borders
from unetplus_edge.imaging.postprocess import label_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.imaging import Postprocessing


@dataclass(frozen=True, eq=False)
class Pieces:
    """What joining needs to know of a block.

    Attributes
    ----------
    areas
        int64, shape (n,): pixels of the pieces 1 to n.
    borders
        int64, shape (pairs, 3): which pieces touch inside the block, and how long their border is;
        see `unetplus_edge.imaging.labelling.borders`. No pairs where nuclei that touch are never joined.
    top, bottom, left, right
        int32: the pieces along its first and last row and column; 0 = background.
    beyond_right
        int32, as long as `right`: the pieces that the pixels just beyond it belong to; 0 = none of
        this block's.
    beyond_bottom
        int32, longer than `bottom` by one pixel at either end: the same of those below.
    """

    areas: NDArray[np.int64]
    borders: NDArray[np.int64]
    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    beyond_right: NDArray[np.int32]
    beyond_bottom: NDArray[np.int32]


def halo(constants: Postprocessing) -> int:
    """Return how many pixels around a block decide exactly to which nuclei its pixels belong, and those next to it."""
    return constants.reach + 1


def label_pieces(
    classes: NDArray[np.uint8], rows: slice, columns: slice, constants: Postprocessing
) -> tuple[NDArray[np.int32], Pieces]:
    """Return the pieces of nuclei in a block.

    Holes are filled and cores grow as in the whole frame; pieces of any size stay, for they may
    belong to a nucleus that is large enough, and none are joined, for that is decided by their
    whole areas and borders.

    Parameters
    ----------
    classes
        As `unetplus_edge.imaging.postprocess.classify` returns them: the block with `halo` pixels
        around it, as far as the frame goes.
    rows, columns
        The block in it.
    constants
        The bundle's constants.

    Returns
    -------
    numpy.ndarray
        int32, the block's shape: 0 = background, pieces numbered from 1 without gaps.
    Pieces
        What joining needs to know of them.
    """
    window = label_classes(classes, constants)
    areas = np.bincount(window[rows, columns].ravel(), minlength=int(window.max()) + 1)
    areas[0] = 0
    places = np.where(areas > 0, np.cumsum(areas > 0), 0).astype(np.int32)
    labels: NDArray[np.int32] = places[window[rows, columns]]
    # One pixel more on every side, of background where the frame ends.
    around = np.pad(window, 1)[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
    return labels, Pieces(
        areas=areas[areas > 0].astype(np.int64),
        borders=np.zeros((0, 3), np.int64) if constants.join_border is None else borders(labels),
        top=labels[0].copy(),
        bottom=labels[-1].copy(),
        left=labels[:, 0].copy(),
        right=labels[:, -1].copy(),
        beyond_right=places[around[1:-1, -1]],
        beyond_bottom=places[around[-1]],
    )
