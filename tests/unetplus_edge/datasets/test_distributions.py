from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.datasets.distributions import ks_distance, nucleus_distributions
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _frame(*boxes: tuple[int, int, int, int, int], side: int = 64) -> NDArray[np.int32]:
    """A label image of rectangles: id, top, left, height, width."""
    labels = np.zeros((side, side), np.int32)
    for label, top, left, height, width in boxes:
        labels[top : top + height, left : left + width] = label
    return labels


def _image(labels: NDArray[np.int32], nucleus: int = 60, background: int = 10) -> NDArray[np.uint8]:
    return np.where(labels > 0, nucleus, background).astype(np.uint8)


def test_area_counts_the_pixels_of_each_nucleus() -> None:
    labels = _frame((7, 5, 5, 4, 6), (3, 30, 30, 10, 10))
    measured = nucleus_distributions(_image(labels), labels)
    assert measured.ids.tolist() == [3, 7]
    assert measured.area.tolist() == [100, 24]


def test_contrast_to_noise_is_the_step_over_the_spread_of_the_ring() -> None:
    labels = _frame((1, 24, 24, 10, 10))
    image = np.where(np.indices(labels.shape).sum(axis=0) % 2, 10, 12)
    image[labels > 0] = 61
    measured = nucleus_distributions(image.astype(np.uint16), labels)
    assert measured.contrast_to_noise[0] == pytest.approx(50, rel=0.01)


def test_background_next_to_any_nucleus_is_left_out_of_the_ring() -> None:
    labels = _frame((1, 24, 20, 10, 10), (2, 24, 34, 10, 10))
    image = _image(labels)
    image[24:34, 30:34] = 200  # the gap between the two
    clean = nucleus_distributions(_image(labels), labels).contrast_to_noise
    assert nucleus_distributions(image, labels).contrast_to_noise == pytest.approx(clean)


def test_a_ring_without_noise_is_given_the_noise_of_quantisation() -> None:
    labels = _frame((1, 24, 24, 10, 10))
    measured = nucleus_distributions(_image(labels, 15, 10), labels)
    assert measured.contrast_to_noise[0] == pytest.approx(5 * math.sqrt(12))


def test_a_nucleus_without_background_around_it_has_no_contrast_to_noise() -> None:
    labels = np.ones((32, 32), np.int32)
    measured = nucleus_distributions(_image(labels), labels)
    assert np.isnan(measured.contrast_to_noise).all()
    assert np.isnan(measured.background)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=12, unique=True))
def test_neighbour_distance_is_the_least_over_all_others(places: list[tuple[int, int]]) -> None:
    labels = np.zeros((61, 61), np.int32)
    for label, place in enumerate(places, start=1):
        labels[place] = label
    expected = [min(math.dist(a, b) for b in places if b != a) for a in places]
    measured = nucleus_distributions(_image(labels), labels)
    assert measured.neighbour_distance == pytest.approx(expected)


def test_a_nucleus_that_is_alone_has_no_neighbour() -> None:
    labels = _frame((1, 24, 24, 10, 10))
    assert np.isnan(nucleus_distributions(_image(labels), labels).neighbour_distance).all()


@pytest.mark.parametrize(
    ("second", "touch"),
    [
        ((2, 10, 20, 10, 10), True),
        ((2, 20, 10, 10, 10), True),
        ((2, 20, 20, 10, 10), True),
        ((2, 10, 21, 10, 10), False),
    ],
    ids=["side by side", "one above the other", "corner to corner", "a pixel between"],
)
def test_nuclei_touch_where_a_neighbouring_pixel_is_another_one_s(
    second: tuple[int, int, int, int, int], touch: bool
) -> None:
    labels = _frame((1, 10, 10, 10, 10), second, (3, 50, 50, 5, 5))
    assert nucleus_distributions(_image(labels), labels).touching.tolist() == [touch, touch, False]
    assert nucleus_distributions(_image(labels), labels[:, ::-1].copy()).touching.tolist() == [touch, touch, False]


def test_density_and_background_are_of_the_frame() -> None:
    labels = _frame((1, 10, 10, 10, 10), (2, 40, 40, 10, 10), side=100)
    measured = nucleus_distributions(_image(labels, background=7), labels)
    assert measured.nuclei_per_megapixel == 200
    assert measured.background == 7


def test_a_frame_without_nuclei_gives_empty_arrays() -> None:
    labels = np.zeros((32, 32), np.int32)
    measured = nucleus_distributions(_image(labels), labels)
    assert measured.area.size == measured.contrast_to_noise.size == measured.neighbour_distance.size == 0
    assert measured.nuclei_per_megapixel == 0


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        (np.zeros((32, 32), np.float32), np.zeros((32, 32), np.int32)),
        (np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.int32)),
        (np.zeros((32, 32), np.uint8), np.zeros((32, 33), np.int32)),
        (np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.float32)),
        (np.zeros((32, 32), np.uint8), np.full((32, 32), -1, np.int32)),
    ],
    ids=["float image", "colour image", "other shape", "float labels", "negative ids"],
)
def test_what_cannot_be_measured_is_refused(image: NDArray[np.generic], labels: NDArray[np.generic]) -> None:
    with pytest.raises(InputError):
        nucleus_distributions(image, labels)


_numbers = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(_numbers, _numbers)
def test_ks_distance_is_the_largest_gap_between_the_two_fractions_below_any_value(a: list[int], b: list[int]) -> None:
    gaps = [abs(sum(x <= at for x in a) / len(a) - sum(x <= at for x in b) / len(b)) for at in range(-5, 6)]
    assert ks_distance(np.array(a), np.array(b)) == pytest.approx(max(gaps))


def test_ks_distance_leaves_out_what_was_not_measured() -> None:
    assert ks_distance(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0])) == 0


def test_ks_distance_refuses_a_sample_without_values() -> None:
    with pytest.raises(InputError, match="empty"):
        ks_distance(np.array([np.nan]), np.array([1.0]))
