"""The pieces of nuclei in a block: its connected pixels, and those of them that reach its sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from unetplus_edge.imaging.postprocess import fill_holes

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
    top, bottom, left, right
        int32: the pieces along its first and last row and column; 0 = background.
    """

    areas: NDArray[np.int64]
    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]


def halo(constants: Postprocessing) -> int:
    """Return how many pixels of mask around a block decide exactly which holes in it are filled.

    A hole that has pixels in the block and reaches the last of as many pixels as it may have at
    most is larger than that: it is connected, so it has a pixel in each row or column between.
    One that ends before is in the window as a whole, with its exact area.
    """
    return constants.max_hole_area


def label_pieces(mask: NDArray[np.bool_], rows: slice, columns: slice, constants: Postprocessing) -> NDArray[np.int32]:
    """Return the pieces of nuclei in a block.

    Holes are filled as in the whole frame; pieces of any size stay, for they may belong to a
    nucleus that is large enough.

    Parameters
    ----------
    mask
        Nucleus or not: the block with `halo` pixels around it, as far as the frame goes.
    rows, columns
        The block in it.
    constants
        The bundle's constants.

    Returns
    -------
    numpy.ndarray
        int32, the block's shape: 0 = background, pieces numbered from 1 without gaps.
    """
    nucleus = mask.astype(np.uint8)
    if constants.max_hole_area:
        fill_holes(nucleus, constants.max_hole_area, connectivity=12 - constants.connectivity)
    block = np.ascontiguousarray(nucleus[rows, columns])
    _, labels = cv2.connectedComponents(block, connectivity=constants.connectivity)
    return labels  # type: ignore[return-value]


def pieces_of(labels: NDArray[np.int32]) -> Pieces:
    """Return what joining needs to know of the pieces of a block."""
    return Pieces(
        areas=np.bincount(labels.ravel())[1:].astype(np.int64),
        top=labels[0].copy(),
        bottom=labels[-1].copy(),
        left=labels[:, 0].copy(),
        right=labels[:, -1].copy(),
    )
