"""Measurements of nuclei, against scikit-image's regionprops and by hand."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import measure
from unetplus_edge.imaging.measure import _sums, _sums_slowly

if TYPE_CHECKING:
    from numpy.typing import NDArray


@st.composite
def _measured(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    ids = np.array([0, *draw(st.lists(st.integers(1, 60_000), min_size=5, max_size=5, unique=True))])
    numbers = draw(arrays(np.int64, shape, elements=st.integers(0, 5)))
    labels = ids[numbers].astype(draw(st.sampled_from([np.int32, np.uint16, np.int64])))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    frame = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape).astype(dtype)
    return labels, frame * dtype(200) if dtype is np.uint16 else frame


@settings(deadline=None, max_examples=200)
@given(measured=_measured())
def test_measurements_are_those_of_regionprops(measured: tuple[NDArray[Any], NDArray[Any]]) -> None:
    labels, frame = measured
    nuclei = measure(labels, frame)
    expected = regionprops(labels.astype(np.int64), intensity_image=frame)
    assert len(nuclei) == len(expected)
    for row, region in zip(nuclei.rows(), expected, strict=True):
        top, left, bottom, right = region.bbox
        # A pixel is a square here and a point there: a square of side 1 has a variance of 1/12.
        minor, major = np.linalg.eigvalsh(region.inertia_tensor + np.eye(2) / 12)
        at_the_border = top == 0 or left == 0 or bottom == labels.shape[0] or right == labels.shape[1]
        assert row == {
            "label": region.label,
            "area": region.area,
            "centroid_y": pytest.approx(region.centroid[0]),
            "centroid_x": pytest.approx(region.centroid[1]),
            "bbox_top": top,
            "bbox_left": left,
            "bbox_bottom": bottom,
            "bbox_right": right,
            "equivalent_diameter": pytest.approx(region.equivalent_diameter_area),
            "eccentricity": pytest.approx(math.sqrt(1 - minor / major), abs=1e-6),
            "intensity_mean": pytest.approx(float(region.intensity_mean), rel=1e-6),
            "intensity_min": region.intensity_min,
            "intensity_max": region.intensity_max,
            "touches_border": at_the_border,
        }


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@settings(deadline=None, max_examples=100)
@given(measured=_measured())
def test_without_numba_the_same_sums_come(measured: tuple[NDArray[Any], NDArray[Any]]) -> None:
    for compiled, plain in zip(_sums(*measured), _sums_slowly(*measured), strict=True):
        np.testing.assert_array_equal(compiled, plain)


def test_ids_may_be_negative_and_larger_than_any_table() -> None:
    labels = np.array([[2**62, 0, -7], [2**62, 0, -7], [5, 0, 0]])
    nuclei = measure(labels, np.arange(9, dtype=np.uint8).reshape(3, 3))
    assert nuclei.label.tolist() == [-7, 5, 2**62]
    assert nuclei.area.tolist() == [2, 1, 2]
    assert nuclei.intensity_max.tolist() == [5, 6, 3]


def test_a_round_nucleus_far_from_the_origin_stays_round() -> None:
    y, x = np.indices((41, 41)) - 20
    labels = np.zeros((41, 60_000), np.int32)
    labels[:, -41:] = y**2 + x**2 <= 400
    [far] = measure(labels, labels.astype(np.uint8)).eccentricity
    [near] = measure(labels[:, -41:], labels[:, -41:].astype(np.uint8)).eccentricity
    assert far == near


def test_a_nucleus_of_one_pixel_is_a_disc() -> None:
    labels = np.zeros((5, 7), np.int32)
    labels[2, 3] = 9
    [row] = measure(labels, np.arange(35, dtype=np.uint8).reshape(5, 7)).rows()
    assert row == {
        "label": 9,
        "area": 1,
        "centroid_y": 2.0,
        "centroid_x": 3.0,
        "bbox_top": 2,
        "bbox_left": 3,
        "bbox_bottom": 3,
        "bbox_right": 4,
        "equivalent_diameter": pytest.approx(math.sqrt(4 / math.pi)),
        "eccentricity": 0.0,
        "intensity_mean": 17.0,
        "intensity_min": 17.0,
        "intensity_max": 17.0,
        "touches_border": False,
    }
    assert all(type(value) in (int, float, bool) for value in row.values())


def test_a_disc_is_round_and_a_line_is_not() -> None:
    y, x = np.indices((101, 301))
    labels = np.where((y - 50) ** 2 + (x - 50) ** 2 <= 400, 1, 0)
    labels[50, 100:300] = 2
    nuclei = measure(labels, labels.astype(np.uint8))
    assert nuclei.eccentricity[0] == pytest.approx(0, abs=1e-6)
    assert 0.999 < nuclei.eccentricity[1] < 1
    assert nuclei.equivalent_diameter[0] == pytest.approx(40, rel=0.02)


def test_a_line_of_many_pixels_has_a_number_for_its_eccentricity() -> None:
    nuclei = measure(np.ones((1, 100_000), np.int32), np.ones((1, 100_000), np.uint8))
    assert 0.999 < nuclei.eccentricity[0] <= 1


def test_each_edge_of_the_frame_is_a_border() -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[0, 4], labels[8, 4], labels[4, 0], labels[4, 8] = 1, 2, 3, 4
    labels[1, 1], labels[7, 7] = 5, 6
    assert measure(labels, np.zeros((9, 9), np.uint8)).touches_border.tolist() == [True] * 4 + [False] * 2


def test_nuclei_come_in_the_order_of_their_ids_with_gaps_kept() -> None:
    labels = np.array([[70_000, 0, 3], [0, 12, 0]], np.int32)
    nuclei = measure(labels, np.array([[1, 2, 3], [4, 5, 6]], np.uint16))
    assert nuclei.label.tolist() == [3, 12, 70_000]
    assert nuclei.intensity_mean.tolist() == [3, 5, 1]


def test_intensities_are_those_of_the_raw_frame() -> None:
    labels = np.array([[1, 1, 2]])
    nuclei = measure(labels, np.array([[60_000, 65_535, 12]], np.uint16))
    assert nuclei.intensity_mean.tolist() == [62_767.5, 12]
    assert nuclei.intensity_min.tolist() == [60_000, 12]
    assert nuclei.intensity_max.tolist() == [65_535, 12]


def test_without_nuclei_every_column_is_empty() -> None:
    nuclei = measure(np.zeros((5, 5), np.int32), np.zeros((5, 5), np.uint8), pixel_size=0.5)
    assert len(nuclei) == 0
    assert {column.shape for column in nuclei.columns().values()} == {(0,)}
    assert list(nuclei.rows()) == []


def test_micrometres_follow_from_the_pixel_size() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[4:8, 10:20] = 1
    plain, scaled = (measure(labels, labels.astype(np.uint8), size) for size in (None, 0.5))
    assert not any(name.endswith(("_um", "_um2")) for name in plain.columns())
    assert scaled.pixel_size == 0.5
    [row] = scaled.rows()
    assert (row["area"], row["area_um2"]) == (40, 10.0)
    assert (row["centroid_y"], row["centroid_y_um"]) == (5.5, 2.75)
    assert (row["centroid_x"], row["centroid_x_um"]) == (14.5, 7.25)
    assert row["equivalent_diameter_um"] == pytest.approx(math.sqrt(4 * 10 / math.pi))
    assert [*plain.columns()] == [*scaled.columns()][: len(plain.columns())]


@pytest.mark.parametrize("size", [0, -0.5, math.nan, math.inf])
def test_a_pixel_size_that_is_no_length_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="pixel size"):
        measure(np.ones((2, 2), np.int32), np.ones((2, 2), np.uint8), size)


@pytest.mark.parametrize("shape", [(4, 5), (5, 4, 1), (20,)])
def test_labels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"does not belong to a frame of shape \(5, 4\)"):
        measure(np.ones(shape, np.int32), np.ones((5, 4), np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_labels_that_are_no_integers_are_refused(dtype: type[np.generic]) -> None:
    with pytest.raises(InputError, match="holds integers"):
        measure(np.ones((5, 4), dtype), np.ones((5, 4), np.uint8))
