"""What is a frame, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import Postprocessing, Preprocessing, as_frame, label_nuclei, measure, preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIXELS = np.array([[0, 1, 2], [250, 254, 255]])

_REFUSED: dict[str, tuple[NDArray[Any], str]] = {
    "NaN": (np.array([[0.0, np.nan, 1.0]]), "1 pixels that are NaN"),
    "infinity": (np.array([[np.inf, -np.inf, 1.0]]), "2 pixels that are NaN or beyond float32"),
    "beyond float32": (np.array([[1e300, 0.0]]), "1 pixels that are NaN or beyond float32"),
    "no rows": (np.zeros((0, 5), np.uint8), r"\(0, 5\) and no pixels"),
    "no columns": (np.zeros((5, 0), np.float32), r"\(5, 0\) and no pixels"),
    "one axis": (np.zeros(5, np.uint8), r"\(5,\); a frame has two axes"),
    "colour": (np.zeros((4, 5, 3), np.uint8), r"\(4, 5, 3\); a frame has two axes"),
    "one channel": (np.zeros((4, 5, 1), np.uint8), r"\(4, 5, 1\); a frame has two axes"),
    "a single number": (np.array(3.0), r"\(\); a frame has two axes"),
    "bool": (np.zeros((4, 5), bool), "holds bool pixels"),
    "int8": (np.zeros((4, 5), np.int8), "holds int8 pixels"),
    "int32": (np.zeros((4, 5), np.int32), "holds int32 pixels"),
    "int64": (np.zeros((4, 5), np.int64), "holds int64 pixels"),
    "uint32": (np.zeros((4, 5), np.uint32), "holds uint32 pixels"),
    "complex": (np.zeros((4, 5), np.complex64), "holds complex64 pixels"),
    "objects": (np.full((4, 5), None, object), "holds object pixels"),
}


@pytest.mark.parametrize(("array", "message"), _REFUSED.values(), ids=_REFUSED)
def test_what_is_no_frame_is_refused_with_a_sentence(array: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=f"a.tif .*{message}"):
        as_frame(array, "a.tif")
    with pytest.raises(InputError, match=f"the frame .*{message}"):
        preprocess(array, Preprocessing())
    with pytest.raises(InputError, match=message):
        measure(np.zeros(array.shape, np.int32), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_stay_as_they_are(dtype: type[np.generic]) -> None:
    array = _PIXELS.astype(dtype)
    assert as_frame(array) is array


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g"])
def test_any_byte_order_and_any_float_holds_the_same_pixels(dtype: str) -> None:
    frame = as_frame(_PIXELS.astype(dtype))
    assert frame.dtype == (np.uint16 if "u" in dtype else np.float32)
    assert frame.dtype.isnative
    np.testing.assert_array_equal(frame, _PIXELS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2)])
def test_the_smallest_frames_go_all_the_way(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 4096, shape).astype(np.uint16)
    ready = preprocess(frame, Preprocessing())
    assert ready.shape == shape
    labels = label_nuclei(ready, Postprocessing(min_nucleus_area=1))
    assert labels.shape == shape
    assert len(measure(labels, frame)) == labels.max()
