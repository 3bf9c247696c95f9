"""Nuclei that grow from cores: by hand-made cases and against a loop over pixels, compiled and not."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import ndimage

from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_edge.imaging import labelling as room
from unetplus_edge.imaging.postprocess import classify, label_classes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

_PLAIN = {"max_hole_area": 0, "min_nucleus_area": 0, "min_core_area": 1}


def _cored(**chosen: Any) -> Postprocessing:
    return Postprocessing(**{"threshold": 0.4, "core_threshold": 0.8, **_PLAIN, **chosen})


def _map(drawing: str) -> NDArray[np.float32]:
    """Probabilities of a drawing: # is core, + is mask, everything else is neither."""
    rows = [list(row.strip()) for row in drawing.strip().splitlines()]
    return np.array([[{"#": 0.9, "+": 0.6}.get(sign, 0.1) for sign in row] for row in rows], np.float32)


def _labels(drawing: str) -> NDArray[np.int32]:
    rows = [[0 if sign == "." else int(sign) for sign in row.strip()] for row in drawing.strip().splitlines()]
    return np.array(rows, np.int32)


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labelling with numba, and without."""
    if request.param == "plain":
        monkeypatch.setattr(room, "_kernels", lambda: None)
    elif find_spec("numba") is None:
        pytest.skip("numba is not installed")


@pytest.mark.usefixtures("either")
def test_nuclei_that_touch_part_where_their_cores_do_not() -> None:
    probability = _map(
        """
        .+++.....
        +###+++#+
        +###+++#+
        .+++...+.
        """
    )
    np.testing.assert_array_equal(
        label_nuclei(probability, _cored()),
        _labels(
            """
            .111.....
            111111222
            111111222
            .111...2.
            """
        ),
    )
    assert label_nuclei(probability, _cored(core_threshold=None)).max() == 1


@pytest.mark.usefixtures("either")
def test_mask_without_a_core_is_background() -> None:
    np.testing.assert_array_equal(label_nuclei(_map("++.+#.+"), _cored()), _labels("...11.."))


@pytest.mark.usefixtures("either")
def test_a_core_grows_no_further_than_its_reach() -> None:
    for reach, expected in ((0, "1...."), (1, "11..."), (3, "1111."), (9, "11111")):
        np.testing.assert_array_equal(label_nuclei(_map("#++++"), _cored(core_reach=reach)), _labels(expected))


@pytest.mark.usefixtures("either")
def test_a_core_that_is_too_small_is_shared_out_like_any_mask() -> None:
    np.testing.assert_array_equal(label_nuclei(_map("##++#.#"), _cored(min_core_area=2)), _labels("11111.."))
    np.testing.assert_array_equal(label_nuclei(_map("##++#.#"), _cored(min_core_area=1)), _labels("11122.3"))


@pytest.mark.usefixtures("either")
def test_a_core_grows_into_a_hole_that_is_filled() -> None:
    ring = """
        #####
        #...#
        #.#.#
        #...#
        #####
        """
    assert (label_nuclei(_map(ring), _cored(max_hole_area=8, min_core_area=2)) == 1).all()
    assert label_nuclei(_map(ring), _cored(min_core_area=2)).sum() == 16


@pytest.mark.usefixtures("either")
def test_nuclei_that_stay_small_are_removed_and_numbers_have_no_gaps() -> None:
    np.testing.assert_array_equal(label_nuclei(_map("#+.#.#++"), _cored(min_nucleus_area=2)), _labels("11...222"))


@pytest.mark.usefixtures("either")
def test_nuclei_are_numbered_by_the_first_pixels_of_their_cores() -> None:
    drawing = _map(
        """
        ...+.#
        .....#
        .#.+..
        .#.#..
        """
    )
    assert label_nuclei(drawing, _cored())[[0, 2, 2], [5, 1, 3]].tolist() == [1, 2, 3]


def _obvious(probability: NDArray[np.float32], constants: Postprocessing) -> NDArray[Any]:
    """The docstring of `Postprocessing`, word for word, a pixel at a time."""
    assert constants.core_threshold is not None
    structure = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3))}
    mask = probability > np.float32(constants.threshold)
    background, count = ndimage.label(~mask, structure[12 - constants.connectivity])
    edge = set(background[[0, -1]].flat) | set(background[:, [0, -1]].flat)
    for number in set(range(1, count + 1)) - edge:
        if (background == number).sum() <= constants.max_hole_area:
            mask[background == number] = True
    labels, count = ndimage.label(probability > np.float32(constants.core_threshold), structure[constants.connectivity])
    for number in range(1, count + 1):
        if (labels == number).sum() < constants.min_core_area:
            labels[labels == number] = 0
    for _ in range(constants.core_reach):
        before = np.pad(labels, 1)
        for y, x in np.argwhere(mask & (labels == 0)):
            around = (before[y, x + 1], before[y + 1, x], before[y + 1, x + 2], before[y + 2, x + 1])
            labels[y, x] = next((label for label in around if label), 0)
    _join_obviously(labels, constants.join_border)
    for number in range(1, count + 1):
        if (labels == number).sum() < constants.min_nucleus_area:
            labels[labels == number] = 0
    return np.asarray(labels)


def _join_obviously(labels: NDArray[Any], join_border: float | None) -> None:
    """Give those one number whose border is long, a pixel at a time, then a nucleus at a time."""
    borders: Counter[tuple[int, int]] = Counter()
    for y, x in np.argwhere(labels > 0):
        for other in (*labels[y + 1 : y + 2, x], *labels[y, x + 1 : x + 2]):
            if other not in (0, labels[y, x]):
                borders[min(labels[y, x], other), max(labels[y, x], other)] += 1
    sizes = {number: int((labels == number).sum()) for number in np.unique(labels)}
    numbers = {number: number for number in sizes}
    for (one, other), length in borders.items():
        diameter = 2 * math.sqrt(min(sizes[one], sizes[other]) / math.pi)
        if join_border is not None and length > join_border * diameter:
            kept, lost = numbers[one], numbers[other]
            numbers = {number: kept if into == lost else into for number, into in numbers.items()}
    for number, into in numbers.items():
        if number:
            # Negative first: a number may be taken by another one.
            labels[labels == number] = -into
    np.abs(labels, out=labels)


def _require_same_nuclei(labels: NDArray[Any], expected: NDArray[Any]) -> None:
    pairs = set(zip(labels.flat, expected.flat, strict=True)) | {(0, 0)}
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    assert set(labels.flat) | {0} == set(range(labels.max() + 1))


_CONSTANTS = st.builds(
    Postprocessing,
    threshold=st.just(0.4),
    core_threshold=st.sampled_from([0.4, 0.7]),
    max_hole_area=st.integers(0, 8),
    min_nucleus_area=st.integers(0, 12),
    connectivity=st.sampled_from([4, 8]),
    min_core_area=st.integers(1, 6),
    core_reach=st.integers(0, 5),
    join_border=st.none() | st.floats(0.05, 2),
)
_MAPS = arrays(
    np.float32,
    st.tuples(st.integers(1, 14), st.integers(1, 40)),
    elements=st.sampled_from([np.float32(0.2), np.float32(0.6), np.float32(0.8)]),
)


@settings(deadline=None, max_examples=200)
@given(probability=_MAPS, constants=_CONSTANTS)
def test_any_map_has_the_nuclei_that_are_described(probability: NDArray[np.float32], constants: Postprocessing) -> None:
    _require_same_nuclei(label_nuclei(probability, constants), _obvious(probability, constants))


@needs_numba
@settings(deadline=None, max_examples=200)
@given(probability=_MAPS, constants=_CONSTANTS, cored=st.booleans())
def test_without_numba_the_same_labels_come(
    probability: NDArray[np.float32], constants: Postprocessing, cored: bool
) -> None:
    constants = constants if cored else constants.model_copy(update={"core_threshold": None, "join_border": None})
    np.testing.assert_array_equal(
        label_nuclei(probability, constants),
        room.label_slowly(probability, constants.threshold, constants.core_threshold, constants),
    )


@needs_numba
@pytest.mark.parametrize(
    ("core_threshold", "join_border", "smallest"), [(0.6, None, 20), (0.6, 0.3, 40), (0.6, None, 40), (None, None, 20)]
)
def test_a_large_map_is_labelled_alike_with_and_without_numba(
    core_threshold: float | None, join_border: float | None, smallest: int
) -> None:
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.random((501, 703)), 2)
    probability = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    constants = Postprocessing(
        threshold=0.5,
        core_threshold=core_threshold,
        max_hole_area=30,
        min_nucleus_area=smallest,
        join_border=join_border,
    )
    labels = label_nuclei(probability, constants)
    assert labels.max() > 100
    np.testing.assert_array_equal(labels, room.label_slowly(probability, 0.5, core_threshold, constants))


def test_it_labels_where_numba_cannot_be_imported(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from unetplus_edge.imaging import Postprocessing, label_nuclei, measure
labels = label_nuclei(np.full((9, 9), 0.9, np.float32), Postprocessing(core_threshold=0.8))
assert measure(labels, labels.astype(np.uint8)).area.tolist() == [81]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@settings(deadline=None, max_examples=100)
@given(probability=_MAPS, constants=_CONSTANTS)
def test_classes_are_all_that_labelling_needs(probability: NDArray[np.float32], constants: Postprocessing) -> None:
    constants = constants.model_copy(update={"min_nucleus_area": 0, "join_border": None})
    np.testing.assert_array_equal(
        label_classes(classify(probability, constants), constants), label_nuclei(probability, constants)
    )


def test_no_pixel_depends_on_one_beyond_the_reach() -> None:
    constants = _cored(core_reach=3, max_hole_area=4, min_core_area=5)
    rng = np.random.default_rng(1)
    for _ in range(300):
        classes = rng.choice(np.array([0, 1, 2], np.uint8), (41, 41), p=rng.dirichlet((1, 1, 1)))
        middle = slice(18, 23), slice(18, 23)
        near = slice(18 - constants.reach, 23 + constants.reach)
        whole, part = label_classes(classes, constants)[middle], label_classes(classes[near, near], constants)
        inner = part[constants.reach : -constants.reach, constants.reach : -constants.reach]
        np.testing.assert_array_equal(inner > 0, whole > 0)
        pairs = set(zip(inner.flat, whole.flat, strict=True))
        assert len({one for one, _ in pairs}) == len(pairs)  # what is one nucleus near is one nucleus in the whole


def test_by_default_it_is_the_articles_method() -> None:
    assert Postprocessing().core_threshold is None
    assert Postprocessing().reach == Postprocessing().max_hole_area


def test_cores_outside_the_mask_are_refused() -> None:
    with pytest.raises(ValidationError, match="cores lie inside"):
        Postprocessing(threshold=0.6, core_threshold=0.5)
