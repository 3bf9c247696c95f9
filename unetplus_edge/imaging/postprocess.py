"""From a probability map to a label image: threshold, small things, connected components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Postprocessing(BaseModel):
    """The constants of postprocessing (Long 2020, "Post-processing").

    Attributes
    ----------
    threshold
        A pixel is nucleus where its probability is above this.
    max_hole_area
        Holes of at most this many pixels are filled.
    min_nucleus_area
        Nuclei of fewer pixels are removed. The article's "several hundred pixels" would remove
        most nuclei of the set that it reports on.
    connectivity
        4: pixels are neighbours along an edge; 8: along an edge or a corner.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    max_hole_area: Annotated[int, Field(ge=0)] = 50
    min_nucleus_area: Annotated[int, Field(ge=0)] = 20
    connectivity: Literal[4, 8] = 4


def label_nuclei(probability: NDArray[np.float32], constants: Postprocessing) -> NDArray[np.int32]:
    """Return the label image of a probability map.

    Parameters
    ----------
    probability
        float32 in [0, 1], shape (height, width).
    constants
        The bundle's constants.

    Returns
    -------
    numpy.ndarray
        int32, same shape: 0 = background, nuclei numbered from 1 without gaps.

    Raises
    ------
    InputError
        If the map has not two axes, or no pixels.
    """
    if probability.ndim != 2 or probability.size == 0:
        raise InputError(
            f"a probability map of shape {probability.shape} cannot be labelled; it has two axes, height and width"
        )
    nucleus = (probability > constants.threshold).astype(np.uint8)
    fill_holes(nucleus, constants.max_hole_area, connectivity=12 - constants.connectivity)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(nucleus, connectivity=constants.connectivity)
    kept = stats[:, cv2.CC_STAT_AREA] >= constants.min_nucleus_area
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    numbered: NDArray[np.int32] = numbers[labels]
    return numbered


def fill_holes(nucleus: NDArray[np.uint8], max_area: int, connectivity: int) -> None:
    """Fill holes in place: background that does not reach the frame's edge.

    Parameters
    ----------
    nucleus
        uint8, shape (height, width): 1 = nucleus, 0 = background.
    max_area
        Holes of at most this many pixels are filled.
    connectivity
        Of the background, which is connected the other way than nuclei are, or a diagonal line of
        nucleus would not enclose anything: 8 where nuclei are connected along edges, else 4.
    """
    _, background, stats, _ = cv2.connectedComponentsWithStats(1 - nucleus, connectivity=connectivity)
    height, width = nucleus.shape
    left, top, across, down, area = stats.T
    hole = (left > 0) & (top > 0) & (left + across < width) & (top + down < height) & (area <= max_area)
    hole[0] = False
    nucleus[hole[background]] = 1
