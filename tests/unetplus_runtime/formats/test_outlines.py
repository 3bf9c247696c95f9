from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from unetplus_edge.imaging import measure
from unetplus_runtime.formats.outlines import outline, outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray


def polygon(rings: list[NDArray[np.float64]]) -> shapely.Polygon:
    return shapely.Polygon(rings[0], rings[1:])


def pixels(shape: tuple[int, int], polygon: shapely.Polygon) -> NDArray[np.bool_]:
    """Which pixels have their centre inside a polygon."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside: NDArray[np.bool_] = shapely.contains_xy(polygon, x + 0.5, y + 0.5)
    return inside


def test_one_pixel_is_a_square() -> None:
    (ring,) = outline(np.array([[True]]))
    assert shapely.Polygon(ring).equals(shapely.box(0, 0, 1, 1))


def test_a_hole_is_an_inner_ring() -> None:
    nucleus = np.ones((4, 5), bool)
    nucleus[1, 1:3] = False
    outer, inner = outline(nucleus)
    assert shapely.Polygon(outer).equals(shapely.box(0, 0, 5, 4))
    assert shapely.Polygon(inner).equals(shapely.box(1, 1, 3, 2))


def test_an_inner_corner_is_not_cut() -> None:
    rings = outline(np.array([[True, False], [True, True]]))
    assert polygon(rings).area == 3
    assert len(rings[0]) == 7


@pytest.mark.parametrize("nucleus", [np.eye(2, dtype=bool), np.eye(2, dtype=bool)[::-1]])
def test_pixels_that_meet_at_a_corner_are_one_valid_polygon(nucleus: NDArray[np.bool_]) -> None:
    rings = outline(nucleus)
    assert len(rings) == 1
    assert polygon(rings).is_valid
    assert polygon(rings).area == 2 + 2 / 8
    np.testing.assert_array_equal(pixels((2, 2), polygon(rings)), nucleus)


@settings(max_examples=200, deadline=None)
@given(
    image=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans(), fill=st.nothing()),
    connectivity=st.sampled_from([1, 2]),
)
def test_any_nucleus_is_the_pixels_whose_centres_its_polygon_holds(image: NDArray[np.bool_], connectivity: int) -> None:
    numbered = label(image, connectivity=connectivity).astype(np.int32)
    for number, rings in outlines(numbered, measure(numbered, np.zeros(image.shape, np.uint8))):
        drawn = polygon(rings)
        assert drawn.is_valid
        assert all((ring[0] == ring[-1]).all() for ring in rings)
        np.testing.assert_array_equal(pixels(image.shape, drawn), numbered == number)
        corners = drawn.area - np.count_nonzero(numbered == number)
        assert corners >= 0
        assert (corners * 4).is_integer()


def test_every_nucleus_of_an_image_has_its_number(labels: NDArray[np.int32]) -> None:
    drawn = np.zeros_like(labels)
    for number, rings in outlines(labels, measure(labels, np.zeros(labels.shape, np.uint8))):
        drawn[pixels(labels.shape, polygon(rings))] = number
    np.testing.assert_array_equal(drawn, labels)
