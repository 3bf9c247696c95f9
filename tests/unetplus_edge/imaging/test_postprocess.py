"""From probability to labels, by hand-made cases and against scipy on random maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import ndimage

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import Postprocessing, label_nuclei

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRUCTURE = {4: ndimage.generate_binary_structure(2, 1), 8: ndimage.generate_binary_structure(2, 2)}


def _map(drawing: str) -> NDArray[np.float32]:
    """Probabilities of a drawing: # is nucleus, everything else is not."""
    rows = [list(row.strip()) for row in drawing.strip().splitlines()]
    return np.where(np.array(rows) == "#", np.float32(0.9), np.float32(0.1))


def _labels(drawing: str) -> NDArray[np.int32]:
    rows = [[0 if sign == "." else int(sign) for sign in row.strip()] for row in drawing.strip().splitlines()]
    return np.array(rows, np.int32)


def _constants(**chosen: Any) -> Postprocessing:
    return Postprocessing(**{"max_hole_area": 0, "min_nucleus_area": 0, **chosen})


def test_a_pixel_exactly_at_the_threshold_is_background() -> None:
    for threshold in (0.5, 0.3, 0.7, 0.1):
        at = np.float32(threshold)
        probability = np.array([[np.nextafter(at, np.float32(0)), at, np.nextafter(at, np.float32(1))]], np.float32)
        labels = label_nuclei(probability, _constants(threshold=threshold))
        np.testing.assert_array_equal(labels, [[0, 0, 1]])


def test_a_pixel_that_is_no_number_is_background() -> None:
    np.testing.assert_array_equal(label_nuclei(np.array([[np.nan, 0.9]], np.float32), _constants()), [[0, 1]])


_RING = """
    .....
    .###.
    .#.#.
    .###.
    .....
"""
_LEAK = """
    .....
    .##..
    .#.#.
    .###.
    .....
"""
_AT_THE_EDGE = """
    #.#
    #.#
    ###
"""


@pytest.mark.parametrize("connectivity", [4, 8])
def test_an_enclosed_hole_is_filled(connectivity: Any) -> None:
    labels = label_nuclei(_map(_RING), _constants(max_hole_area=1, connectivity=connectivity))
    np.testing.assert_array_equal(labels[1:4, 1:4], np.ones((3, 3)))
    assert labels.sum() == 9


def test_a_hole_stays_where_it_is_larger_than_small() -> None:
    assert label_nuclei(_map(_RING), _constants(max_hole_area=0))[2, 2] == 0


def test_a_hole_of_just_the_allowed_size_is_filled() -> None:
    probability = np.full((6, 9), 0.9, np.float32)
    probability[2:4, 2:7] = 0.1
    assert label_nuclei(probability, _constants(max_hole_area=9)).sum() == 54 - 10
    assert label_nuclei(probability, _constants(max_hole_area=10)).sum() == 54


def test_a_bay_at_the_edge_of_the_frame_is_no_hole() -> None:
    labels = label_nuclei(_map(_AT_THE_EDGE), _constants(max_hole_area=100))
    np.testing.assert_array_equal(labels, [[1, 0, 1], [1, 0, 1], [1, 1, 1]])


@pytest.mark.parametrize(("connectivity", "filled"), [(4, False), (8, True)])
def test_a_hole_leaks_through_a_corner_where_nuclei_do_not_hold_together_there(connectivity: Any, filled: bool) -> None:
    labels = label_nuclei(_map(_LEAK), _constants(max_hole_area=1, connectivity=connectivity))
    assert bool(labels[2, 2]) is filled


@pytest.mark.parametrize(("connectivity", "count"), [(4, 3), (8, 1)])
def test_a_diagonal_line_is_one_nucleus_only_where_corners_connect(connectivity: Any, count: int) -> None:
    labels = label_nuclei(np.eye(3, dtype=np.float32), _constants(connectivity=connectivity))
    assert labels.max() == count


def test_holes_are_filled_before_small_nuclei_are_removed() -> None:
    # The ring has 8 pixels, the disc that it becomes has 9.
    assert label_nuclei(_map(_RING), _constants(max_hole_area=1, min_nucleus_area=9)).max() == 1
    assert label_nuclei(_map(_RING), _constants(max_hole_area=0, min_nucleus_area=9)).max() == 0


def test_a_nucleus_of_just_the_least_size_is_kept_and_numbers_have_no_gaps() -> None:
    probability = _map(
        """
        ##..#...####
        ##......####
        ....##......
        ....#....###
        """
    )
    np.testing.assert_array_equal(
        label_nuclei(probability, _constants(min_nucleus_area=3)),
        _labels(
            """
            11......2222
            11......2222
            ....33......
            ....3....444
            """
        ),
    )
    np.testing.assert_array_equal(
        label_nuclei(probability, _constants(min_nucleus_area=4)) > 0,
        _labels(
            """
            11......2222
            11......2222
            ............
            ............
            """
        )
        > 0,
    )


def test_an_island_in_a_filled_hole_joins_its_nucleus() -> None:
    ring_and_island = _map(
        """
        #####
        #...#
        #.#.#
        #...#
        #####
        """
    )
    np.testing.assert_array_equal(label_nuclei(ring_and_island, _constants(max_hole_area=8)), np.ones((5, 5)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (300, 200)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_and_a_full_map_have_no_nucleus_and_one(shape: tuple[int, int], value: float) -> None:
    labels = label_nuclei(np.full(shape, value, np.float32), _constants(max_hole_area=50))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, np.full(shape, value))


def _obvious(probability: NDArray[np.float32], constants: Postprocessing) -> NDArray[Any]:
    nucleus = probability > np.float32(constants.threshold)
    background, count = ndimage.label(~nucleus, _STRUCTURE[12 - constants.connectivity])
    edge = set(background[[0, -1]].flat) | set(background[:, [0, -1]].flat)
    for number in range(1, count + 1):
        hole = background == number
        if number not in edge and hole.sum() <= constants.max_hole_area:
            nucleus[hole] = True
    labels, count = ndimage.label(nucleus, _STRUCTURE[constants.connectivity])
    for number in range(1, count + 1):
        if (labels == number).sum() < constants.min_nucleus_area:
            labels[labels == number] = 0
    return np.asarray(labels)


@settings(deadline=None, max_examples=300)
@given(
    probability=arrays(
        np.float32,
        st.tuples(st.integers(1, 14), st.integers(1, 14)),
        elements=st.sampled_from([np.float32(0.2), np.float32(0.5), np.float32(0.8)]),
    ),
    constants=st.builds(
        Postprocessing,
        threshold=st.sampled_from([0.2, 0.5, 0.7]),
        max_hole_area=st.integers(0, 8),
        min_nucleus_area=st.integers(0, 8),
        connectivity=st.sampled_from([4, 8]),
    ),
)
def test_labels_are_those_of_the_obvious_way(probability: NDArray[np.float32], constants: Postprocessing) -> None:
    labels, expected = label_nuclei(probability, constants), _obvious(probability, constants)
    # The same partition: every pair of numbers at one pixel is the same pair everywhere.
    pairs = set(zip(labels.flat, expected.flat, strict=True)) | {(0, 0)}
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    assert (0, 0) in pairs
    assert set(labels.flat) | {0} == set(range(labels.max() + 1))


def test_a_large_random_map_is_labelled_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random((500, 700)), 2).astype(np.float32)
    constants = Postprocessing(threshold=0.51, max_hole_area=30, min_nucleus_area=10, connectivity=8)
    labels, expected = label_nuclei(probability, constants), _obvious(probability, constants)
    pairs = set(zip(labels.flat, expected.flat, strict=True))
    assert labels.max() > 100
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[::-1], np.s_[:, 5:20]])
def test_a_view_is_labelled_as_its_copy(view: Any) -> None:
    probability = np.random.default_rng(0).random((40, 60), np.float32)
    np.testing.assert_array_equal(
        label_nuclei(probability[view], _constants()), label_nuclei(probability[view].copy(), _constants())
    )


def test_the_map_is_left_alone() -> None:
    probability = _map(_RING)
    before = probability.copy()
    label_nuclei(probability, _constants(max_hole_area=1))
    np.testing.assert_array_equal(probability, before)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5,), (5, 5, 1), (5, 5, 3)])
def test_what_is_no_map_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="probability map of shape"):
        label_nuclei(np.zeros(shape, np.float32), Postprocessing())


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"threshold": 1},
        {"max_hole_area": -1},
        {"min_nucleus_area": -1},
        {"connectivity": 6},
        {"a": 1},
    ],
    ids=str,
)
def test_impossible_constants_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Postprocessing.model_validate(wrong)
