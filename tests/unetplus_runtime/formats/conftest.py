"""Nuclei of every shape that is awkward to outline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.measure import label

from unetplus_edge.imaging import measure
from unetplus_runtime.formats import Segmented
from unetplus_runtime.segmenter import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    MakeSegmented = Callable[..., Segmented]

PROVENANCE = {"model": "a" * 64, "recipe": "b" * 64, "version": "1"}


@pytest.fixture(params=[1, 2], ids=["edges", "corners"])
def labels(request: pytest.FixtureRequest) -> NDArray[np.int32]:
    """Random blobs with holes and pinches, connected along edges, or also at corners."""
    rng = np.random.default_rng(3)
    image: NDArray[np.int32] = label(rng.random((60, 70)) < 0.58, connectivity=request.param).astype(np.int32)
    return image


@pytest.fixture
def make_segmented() -> MakeSegmented:
    """Makes what a format writes, of a label image."""

    def make(labels: NDArray[np.int32], pixel_size: float | None = None) -> Segmented:
        frame = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
        nuclei = measure(labels, frame, pixel_size)
        return Segmented(frame, Result(labels, nuclei, labels.astype(np.float32), {}), PROVENANCE)

    return make
