"""From a probability map to a label image: thresholds, small things, nuclei that touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from unetplus_edge.errors import InputError
from unetplus_edge.imaging.labelling import label

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray


class Postprocessing(BaseModel):
    """The constants of postprocessing.

    Without a core threshold it is the article's (Long 2020, "Post-processing"): a nucleus is a
    connected part of the mask, so nuclei that touch are one. With it nuclei are found where the
    network is surer, and have the rest of the mask shared out among them:

    1. the mask is where the probability is above `threshold`, with small holes filled;
    2. a core is a connected part of what is above `core_threshold`, of at least `min_core_area` pixels;
    3. all cores grow at once inside the mask, a pixel along edges at a time, `core_reach` times;
       where several reach a pixel at once it is of the one above, left, right or below it, in
       this order;
    4. a large nucleus with bright spots may have several cores: where the border between two is
       longer than `join_border` times the diameter of the smaller one, they are one nucleus. The
       border is measured in pairs of pixels that are neighbours along an edge, the diameter is that
       of the disc of the same area. All pairs are judged at once, by what has grown.

    Mask that no core has reached is background: what the network is nowhere sure of is no nucleus.
    What a pixel has become after step 3 depends on no other pixel that is further away than
    `reach`, so blocks of a frame with as much around them come out as in the whole.

    Attributes
    ----------
    threshold
        A pixel is nucleus where its probability is above this.
    max_hole_area
        Holes of at most this many pixels are filled.
    min_nucleus_area
        Nuclei of fewer pixels are removed, last of all. The article's "several hundred pixels"
        would remove most nuclei of the set that it reports on.
    connectivity
        4: pixels are neighbours along an edge; 8: along an edge or a corner.
    core_threshold
        Above `threshold`; None is the article's method.
    min_core_area
        Cores of fewer pixels are mask like any other.
    core_reach
        How many steps a core grows at most, in pixels.
    join_border
        In diameters of the smaller one; only with a core threshold. None joins nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    max_hole_area: Annotated[int, Field(ge=0)] = 50
    min_nucleus_area: Annotated[int, Field(ge=0)] = 20
    connectivity: Literal[4, 8] = 4
    core_threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    min_core_area: Annotated[int, Field(ge=1)] = 20
    core_reach: Annotated[int, Field(ge=0)] = 16
    join_border: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _cores_lie_in_the_mask(self) -> Self:
        if self.core_threshold is not None and self.core_threshold < self.threshold:
            raise ValueError(
                f"a core threshold of {self.core_threshold} is below the threshold of {self.threshold}; "
                "cores lie inside the mask"
            )
        return self

    @model_validator(mode="after")
    def _only_what_grew_is_joined(self) -> Self:
        if self.join_border is not None and self.core_threshold is None:
            raise ValueError(
                f"a join border of {self.join_border} joins nuclei that grow from cores; give a core threshold too"
            )
        return self

    @property
    def reach(self) -> int:
        """How far a pixel's label depends on other pixels, for nuclei of whatever size.

        In pixels along an axis; which pixels are of one nucleus, but not whether it is joined with
        another one or too small. A hole, or a core, that has pixels this near and goes on beyond is
        larger than small: it is connected, so it has a pixel in each row or column between.
        """
        if self.core_threshold is None:
            return self.max_hole_area
        return self.core_reach + max(self.max_hole_area, self.min_core_area)

    def joins(self, borders: NDArray[np.int64], areas: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether two that touch are one nucleus.

        Parameters
        ----------
        borders
            Lengths of the borders between pairs of them, shape (n,).
        areas
            Of the smaller of each pair, in pixels, shape (n,).
        """
        if self.join_border is None:
            return np.zeros(borders.shape, np.bool_)
        joins: NDArray[np.bool_] = borders > self.join_border * (2 * np.sqrt(areas / np.pi))
        return joins


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
        int32, same shape: 0 = background, nuclei numbered from 1 without gaps, in the order of
        their first pixels, row by row; of the first pixels of their cores, where they have any.

    Raises
    ------
    InputError
        If the map has not two axes, or no pixels.
    """
    if probability.ndim != 2 or probability.size == 0:
        raise InputError(
            f"a probability map of shape {probability.shape} cannot be labelled; it has two axes, height and width"
        )
    return label(probability, constants.threshold, constants.core_threshold, constants)


def classify(probability: NDArray[np.float32], constants: Postprocessing) -> NDArray[np.uint8]:
    """Return all that labelling needs of a probability map.

    Returns
    -------
    numpy.ndarray
        uint8, same shape: 0 = background, 1 = mask, 2 = core; no cores where there is no threshold for them.
    """
    classes = (probability > constants.threshold).astype(np.uint8)
    if constants.core_threshold is not None:
        classes += probability > constants.core_threshold
    return classes


def label_classes(classes: NDArray[np.uint8], constants: Postprocessing) -> NDArray[np.int32]:
    """Return the label image of a part of a frame, nuclei of any size left in it and none joined.

    Parameters
    ----------
    classes
        As `classify` returns them. Labels are those of the whole frame at pixels that have
        `constants.reach` pixels around them, as far as the frame goes: pixels of one number are
        of one nucleus; those of several numbers may be, outside this part.
    constants
        The bundle's constants.

    Returns
    -------
    numpy.ndarray
        int32, same shape: 0 = background, numbered from 1 without gaps.
    """
    constants = constants.model_copy(update={"min_nucleus_area": 0, "join_border": None})
    return label(classes, 0.5, None if constants.core_threshold is None else 1.5, constants)
