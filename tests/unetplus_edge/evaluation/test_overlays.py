"""The overlays, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import error_overlay, outline_overlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

_K, _B, _R, _W = [0, 0, 0], [0, 0, 255], [255, 0, 0], [255, 255, 255]


def _has_another_beside_it(labels: NDArray[np.integer], y: int, x: int) -> bool:
    height, width = labels.shape
    beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return any(labels[v, u] != labels[y, x] for v, u in beside if 0 <= v < height and 0 <= u < width)


def test_each_kind_of_pixel_has_its_colour() -> None:
    truth = np.array([[0, 3, 3], [0, 0, 8]], np.uint16)
    prediction = np.array([[0, 1, 0], [70_000, 0, 2]], np.int32)
    overlay = error_overlay(truth, prediction)
    assert overlay.dtype == np.uint8
    assert overlay.tolist() == [[_K, _W, _R], [_B, _K, _W]]


def test_errors_are_of_pixels_and_not_of_nuclei() -> None:
    assert error_overlay(np.array([[1, 2, 0]]), np.array([[5, 5, 0]])).tolist() == [[_W, _W, _K]]


def test_errors_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        error_overlay(np.zeros((2, 3), np.int32), np.zeros((2, 4), np.int32))


def test_an_outline_runs_inside_its_nucleus_on_the_grey_frame() -> None:
    frame = np.full((6, 7), 100, np.uint8)
    frame[0, 0] = 50
    labels = np.zeros((6, 7), np.int32)
    labels[1:5, 1:5] = 40
    expected = np.zeros((6, 7, 3), np.uint8)
    # With 42 pixels the 0.1 percentile lies 0.041 of the way from the darkest to the next.
    low = 50 + 0.041 * 50
    expected[:] = 255
    expected[0, 0] = round(255 * max((50 - low) / (100 - low), 0))
    expected[1:5, 1:5] = _R
    expected[2:4, 2:4] = 255
    np.testing.assert_array_equal(outline_overlay(frame, labels), expected)


def test_no_outline_is_drawn_where_the_frame_cuts_a_nucleus() -> None:
    overlay = outline_overlay(np.zeros((3, 5), np.uint16), np.array([[6, 6, 6, 0, 0]] * 3))
    assert overlay.tolist() == [[_K, _K, _R, _K, _K]] * 3


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64]
)
def test_a_frame_of_any_dtype_is_drawn_in_grey(dtype: Any) -> None:
    frame = np.array([[0, 1], [1, 0]], dtype)
    overlay = outline_overlay(frame, np.zeros((2, 2), np.int32))
    assert overlay.dtype == np.uint8
    assert overlay.tolist() == [[_K, _W], [_W, _K]]


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (16, 0), (7, 300)])
def test_grey_runs_from_the_low_to_the_high_percentile(gain: int, offset: int) -> None:
    # 4,001 values in steps of one: the percentiles are the values 4 and 3,996, whatever the units.
    # The one value that would be a tie of rounding, half way between them, is left out.
    values = np.random.default_rng(1).permutation(4001)
    values[values == 2000] = 1999
    overlay = outline_overlay((values * gain + offset).reshape(1, -1), np.zeros((1, 4001), np.int32))
    expected = [round(255 * min(max((int(value) - 4) / 3992, 0), 1)) for value in values]
    np.testing.assert_array_equal(overlay, np.repeat(np.array(expected)[np.newaxis, :, np.newaxis], 3, axis=2))


def test_few_bright_pixels_on_a_flat_frame_are_white_on_black() -> None:
    frame = np.full((100, 100), 7, np.uint16)
    frame[50, 50:54] = 9
    frame[10, 10] = 3
    expected = np.zeros((100, 100, 3), np.uint8)
    expected[50, 50:54] = 255
    np.testing.assert_array_equal(outline_overlay(frame, np.zeros((100, 100), np.int32)), expected)


@settings(deadline=None)
@given(data=st.data())
def test_outlines_of_any_label_image_are_where_a_pixel_has_another_beside_it(
    data: st.DataObject, label_pairs: Any
) -> None:
    labels, _ = data.draw(label_pairs)
    overlay = outline_overlay(np.zeros(labels.shape, np.uint8), labels)
    colour_of: dict[int, list[int]] = {}
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] != 0 and _has_another_beside_it(labels, y, x):
                colour = colour_of.setdefault(int(labels[y, x]), overlay[y, x].tolist())
                assert overlay[y, x].tolist() == colour
                assert max(colour) == 255
            else:
                assert overlay[y, x].tolist() == _K


@settings(deadline=None)
@given(data=st.data())
def test_nuclei_that_touch_along_an_edge_or_at_a_corner_differ_in_colour(data: st.DataObject, label_pairs: Any) -> None:
    labels, _ = data.draw(label_pairs)
    overlay = outline_overlay(np.zeros(labels.shape, np.uint8), labels)
    colour_of = {int(labels[y, x]): overlay[y, x].tolist() for y, x in np.argwhere(overlay.any(axis=2))}
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            for v, u in ((y, x + 1), (y + 1, x - 1), (y + 1, x), (y + 1, x + 1)):
                if 0 <= u < width and v < height and 0 != labels[y, x] != labels[v, u] != 0:
                    assert colour_of[int(labels[y, x])] != colour_of[int(labels[v, u])]


def test_nuclei_with_only_background_between_them_differ_in_colour() -> None:
    # A grid of discs, none of which touch: next ones must differ, rows and columns alike.
    y, x = np.mgrid[:240, :240]
    inside = (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 64
    labels = np.where(inside, (y // 24) * 10 + x // 24 + 1, 0)
    overlay = outline_overlay(np.zeros(labels.shape, np.uint8), labels)
    colours: dict[tuple[int, int], tuple[int, ...]] = {}
    for row in range(10):
        for column in range(10):
            cell = overlay[24 * row : 24 * row + 24, 24 * column : 24 * column + 24].reshape(-1, 3)
            (colour,) = {tuple(pixel) for pixel in cell.tolist()} - {(0, 0, 0)}
            colours[row, column] = colour
    for (row, column), colour in colours.items():
        assert colours.get((row, column + 1)) != colour
        assert colours.get((row + 1, column)) != colour
    assert len(set(colours.values())) <= 8


def test_a_nucleus_that_touches_hundreds_of_others_differs_from_them_all() -> None:
    labels = np.zeros((3, 601), np.int32)
    labels[1] = 1
    labels[0] = np.arange(601) + 2
    labels[2] = np.arange(601) + 700
    overlay = outline_overlay(np.zeros(labels.shape, np.uint8), labels)
    middle = {tuple(pixel) for pixel in overlay[1].tolist()}
    others = {tuple(pixel) for pixel in overlay[[0, 2]].reshape(-1, 3).tolist()}
    assert len(middle) == 1
    assert not middle & others
    assert (overlay[0, 1:] != overlay[0, :-1]).any(axis=1).all()


def test_every_nucleus_of_a_crowd_of_mutual_neighbours_has_its_own_colour() -> None:
    # Nuclei of scattered pixels, so that each of 12 touches each other one.
    pairs = [(one, other) for one in range(1, 13) for other in range(1, 13) if one != other]
    labels = np.array([label for pair in pairs for label in (*pair, 0)]).reshape(1, -1)
    overlay = outline_overlay(np.zeros(labels.shape, np.uint8), labels)
    assert len({tuple(overlay[0, labels[0] == label][0].tolist()) for label in range(1, 13)}) == 12


def test_a_label_image_without_background_is_outlined() -> None:
    overlay = outline_overlay(np.zeros((2, 4), np.uint8), np.array([[5, 5, 9, 9]] * 2))
    black = (overlay == 0).all(axis=2)
    assert black.tolist() == [[True, False, False, True]] * 2
    assert overlay[0, 1].tolist() != overlay[0, 2].tolist()


def test_the_same_label_image_always_gets_the_same_colours() -> None:
    labels = np.random.default_rng(2).integers(0, 9, (20, 30))
    frame = np.zeros((20, 30), np.uint8)
    np.testing.assert_array_equal(outline_overlay(frame, labels), outline_overlay(frame, labels))


def test_the_inputs_are_left_as_they_were() -> None:
    frame, labels = np.arange(12, dtype=np.uint8).reshape(3, 4), np.array([[0, 1, 1, 2]] * 3)
    frame_before, labels_before = frame.copy(), labels.copy()
    outline_overlay(frame, labels)
    np.testing.assert_array_equal(frame, frame_before)
    np.testing.assert_array_equal(labels, labels_before)


@pytest.mark.parametrize(
    ("frame", "labels", "says"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2), np.int32), r"label image of shape \(3, 2\)"),
        (np.zeros((2, 3)), np.zeros((2, 3)), "label image holds float64"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.int32), "frame has shape"),
        (np.full((2, 3), np.nan), np.zeros((2, 3), np.int32), "NaN"),
        (np.zeros((2, 3), np.complex64), np.zeros((2, 3), np.int32), "complex64"),
    ],
)
def test_what_cannot_be_drawn_is_refused(frame: Any, labels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        outline_overlay(frame, labels)
