"""A simulated specimen: fluorescence frames of nuclei, with their true label images.

What is imaged, and how: `specimen_conditions` says what a specimen is and what each seed makes of it,
`specimen_nuclei` lets its nuclei live, `specimen_drawing` and `specimen_optics` take the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unetplus_edge.datasets.specimen_conditions import Specimen
from unetplus_edge.datasets.specimen_nuclei import Population
from unetplus_edge.datasets.specimen_optics import Microscope

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SimulatedFrame", "Specimen", "simulate", "stream"]


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """A frame and the truth about it.

    Attributes
    ----------
    image
        uint8 for 8 bits, else uint16, shape (height, width), grey levels.
    labels
        int32, same shape: 0 = background, else the id of a nucleus. Where nuclei overlap, the upper one
        has the pixels. An id belongs to one nucleus for as long as it lives; ids are not consecutive.
    """

    image: NDArray[Any]
    labels: NDArray[np.int32]


def simulate(specimen: Specimen) -> SimulatedFrame:
    """Return the first frame of a specimen's stream.

    Parameters
    ----------
    specimen
        What to image; its seed decides on everything random.

    Returns
    -------
    SimulatedFrame
        The same for the same specimen, bit for bit, on the same machine with the same libraries.

    Examples
    --------
    >>> frame = simulate(Specimen(height=64, width=96, bit_depth=12))
    >>> frame.image.shape, frame.image.dtype.name, frame.labels.dtype.name
    ((64, 96), 'uint16', 'int32')
    """
    return next(stream(specimen))


def stream(specimen: Specimen) -> Iterator[SimulatedFrame]:
    """Yield the frames of a specimen, without end: the stage drifts, nuclei tremble, divide and die.

    Frame after frame is the same for the same specimen. A nucleus keeps its id until it divides, dies
    or leaves; daughters have ids of their own, and none is used again.

    Parameters
    ----------
    specimen
        What to image; its seed decides on everything random.

    Yields
    ------
    SimulatedFrame
        A frame with arrays of its own.
    """
    conditions = specimen.acquisition()
    population = Population(conditions)
    microscope = Microscope(conditions)
    index = 0
    while True:
        yield SimulatedFrame(*microscope.expose(population, index))
        population.advance()
        index += 1
