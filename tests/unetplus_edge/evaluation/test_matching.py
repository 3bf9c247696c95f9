"""The overlaps of two label images, against sets of pixels counted one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import iou_matrix, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _pixels_of(labels: NDArray[np.integer]) -> dict[int, set[tuple[int, int]]]:
    pixels: dict[int, set[tuple[int, int]]] = {}
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] != 0:
                pixels.setdefault(int(labels[y, x]), set()).add((y, x))
    return pixels


@settings(deadline=None)
@given(data=st.data())
def test_every_iou_is_that_of_the_two_sets_of_pixels(data: st.DataObject, label_pairs: Any) -> None:
    truth, prediction = data.draw(label_pairs)
    true_pixels, predicted_pixels = _pixels_of(truth), _pixels_of(prediction)
    expected = np.zeros((len(true_pixels), len(predicted_pixels)))
    for row, true_id in enumerate(sorted(true_pixels)):
        for column, predicted_id in enumerate(sorted(predicted_pixels)):
            one, other = true_pixels[true_id], predicted_pixels[predicted_id]
            expected[row, column] = len(one & other) / len(one | other)
    matrix = iou_matrix(truth, prediction)
    assert matrix.shape == expected.shape
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, expected)


@settings(deadline=None)
@given(data=st.data())
def test_overlaps_name_every_pair_that_shares_a_pixel_once(data: st.DataObject, label_pairs: Any) -> None:
    truth, prediction = data.draw(label_pairs)
    shared = {(int(one), int(other)) for one, other in zip(truth.flat, prediction.flat, strict=True) if one and other}
    found = overlaps(truth, prediction)
    true_ids, predicted_ids = found.true_ids[found.true_index], found.predicted_ids[found.predicted_index]
    assert list(zip(true_ids.tolist(), predicted_ids.tolist(), strict=True)) == sorted(shared)
    assert found.true_ids.tolist() == sorted(_pixels_of(truth))
    assert found.predicted_ids.tolist() == sorted(_pixels_of(prediction))


@settings(deadline=None)
@given(data=st.data())
def test_exchanging_truth_and_prediction_transposes_the_matrix(data: st.DataObject, label_pairs: Any) -> None:
    truth, prediction = data.draw(label_pairs)
    np.testing.assert_array_equal(iou_matrix(prediction, truth), iou_matrix(truth, prediction).T)


def test_ids_near_the_end_of_their_range_are_kept_apart() -> None:
    last = np.iinfo(np.uint32).max
    truth = np.array([[last, last, last - 1, 0]], np.uint32)
    prediction = np.array([[7, 0, 2_147_483_647, 2_147_483_647]], np.int32)
    assert overlaps(truth, prediction).true_ids.tolist() == [last - 1, last]
    assert iou_matrix(truth, prediction).tolist() == [[0.0, 0.5], [0.5, 0.0]]


@pytest.mark.parametrize(
    ("truth", "prediction", "shape"),
    [([[0, 0]], [[0, 0]], (0, 0)), ([[1, 2]], [[0, 0]], (2, 0)), ([[0, 0]], [[5, 5]], (0, 1))],
    ids=["both empty", "empty prediction", "empty truth"],
)
def test_an_empty_label_image_has_an_empty_side_of_the_matrix(
    truth: list[list[int]], prediction: list[list[int]], shape: tuple[int, int]
) -> None:
    assert iou_matrix(np.array(truth), np.array(prediction)).shape == shape


def test_a_full_label_image_loses_no_nucleus_to_the_background() -> None:
    assert iou_matrix(np.array([[3, 3, 8]]), np.array([[8, 8, 3]])).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_label_images_in_any_memory_order_give_the_same_matrix() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 4, (2, 9, 7), dtype=np.int32)
    expected = iou_matrix(truth, prediction)
    np.testing.assert_array_equal(iou_matrix(np.asfortranarray(truth), prediction), expected)
    np.testing.assert_array_equal(iou_matrix(truth.astype(">i4"), prediction), expected)


@pytest.mark.parametrize(
    ("truth", "prediction", "says"),
    [
        (np.zeros((3, 4), np.int32), np.zeros((4, 3), np.int32), r"truth has shape \(3, 4\).*prediction \(4, 3\)"),
        (np.zeros((3, 4, 1), np.int32), np.zeros((3, 4, 1), np.int32), "truth .* two axes"),
        (np.zeros((0, 4), np.int32), np.zeros((0, 4), np.int32), "truth .* pixels"),
        (np.zeros((3, 4), np.int32), np.zeros((3, 4), np.float32), "prediction holds float32"),
        (np.zeros((3, 4), np.bool_), np.zeros((3, 4), np.int32), "truth holds bool"),
        (np.zeros((3, 4), np.int32), np.full((3, 4), -1, np.int32), "prediction has negative ids"),
    ],
)
def test_what_is_no_pair_of_label_images_is_refused(truth: Any, prediction: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        overlaps(truth, prediction)
