"""Random pairs of label images that agree about as well as a truth and a prediction do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import strategies as st

if TYPE_CHECKING:
    from numpy.typing import NDArray

    LabelPair = tuple[NDArray[np.integer], NDArray[np.integer]]

_DTYPES = st.sampled_from([np.int32, np.uint16, np.uint32])
_SIDES = st.integers(1, 5)
_IDS = st.lists(st.integers(1, 65_535), min_size=4, max_size=4, unique=True)


@st.composite
def _label_pairs(draw: st.DrawFn) -> LabelPair:
    # Blocks of pixels make nuclei that overlap well; a few single pixels are then changed, so that
    # IOUs lie between 0 and 1. Ids are drawn apart from each other and from those of the truth.
    height, width, scale = draw(_SIDES), draw(_SIDES), draw(st.integers(1, 4))
    numbers = st.lists(st.integers(0, 4), min_size=height * width, max_size=height * width)
    blocks = draw(numbers)
    truth = np.kron(np.reshape(blocks, (height, width)), np.ones((scale, scale), np.int64))
    if draw(st.booleans()):
        prediction = truth.copy()
    else:
        prediction = np.kron(np.reshape(draw(numbers), (height, width)), np.ones((scale, scale), np.int64))
    changes = st.lists(st.tuples(st.integers(0, truth.size - 1), st.integers(0, 4)), max_size=8)
    for position, number in draw(changes):
        prediction.flat[position] = number
    true_ids, predicted_ids = (np.array([0, *draw(_IDS)]) for _ in range(2))
    return true_ids[truth].astype(draw(_DTYPES)), predicted_ids[prediction].astype(draw(_DTYPES))


@pytest.fixture(scope="session")
def label_pairs() -> st.SearchStrategy[LabelPair]:
    """Pairs (truth, prediction) of one shape, with gaps in their ids and independent dtypes."""
    return _label_pairs()
