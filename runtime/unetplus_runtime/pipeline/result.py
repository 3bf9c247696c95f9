"""What was found in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.imaging import Nuclei


@dataclass(frozen=True)
class Result:
    """What was found in a frame.

    Attributes
    ----------
    labels
        Label image: int32, shape (height, width), 0 = background, nuclei numbered from 1.
    nuclei
        Measurements of each, in the order of their numbers.
    probability
        Of nucleus, float32 in [0, 1], shape (height, width).
    timings
        Seconds of each stage, in the order in which a frame goes through them: "preprocess",
        "patches", "engine", "stitch", "postprocess", "measure". Where threads share a frame, some
        cut patches while others compute: the time that passes is divided by what they did. Waiting
        for another frame's use of the engine is not among it.
    """

    labels: NDArray[np.int32]
    nuclei: Nuclei
    probability: NDArray[np.float32]
    timings: dict[str, float]
