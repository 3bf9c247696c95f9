"""What a format writes: a frame with what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_runtime.segmenter import Result


@dataclass(frozen=True, eq=False)
class Segmented:
    """A frame with what was found in it.

    Attributes
    ----------
    frame
        The raw frame, shape (height, width).
    result
        Its label image and its nuclei.
    provenance
        What computed it, by name; see `unetplus_runtime.provenance`.
    """

    frame: NDArray[np.generic]
    result: Result
    provenance: Mapping[str, str]
