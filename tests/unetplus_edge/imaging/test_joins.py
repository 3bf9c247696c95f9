"""Nuclei that have grown and are joined again, by hand-made cases, compiled and not."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_edge.imaging import labelling as room

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labelling with numba, and without."""
    if request.param == "plain":
        monkeypatch.setattr(room, "_kernels", lambda: None)
    elif find_spec("numba") is None:
        pytest.skip("numba is not installed")


def _labelled(probability: NDArray[np.float32], **chosen: Any) -> NDArray[np.int32]:
    plain = {"max_hole_area": 0, "min_nucleus_area": 0, "min_core_area": 1}
    return label_nuclei(probability, Postprocessing(**{"threshold": 0.4, "core_threshold": 0.8, **plain, **chosen}))


def _cored(parts: NDArray[np.int32]) -> NDArray[np.float32]:
    """Probabilities that grow to given parts: cores are what has no pixel of another part beside it."""
    probability = np.where(parts > 0, np.float32(0.9), np.float32(0.1))
    for y, x in np.argwhere(parts > 0):
        beside = parts[max(y - 1, 0) : y + 2, x].tolist() + parts[y, max(x - 1, 0) : x + 2].tolist()
        if set(beside) - {0, parts[y, x]}:
            probability[y, x] = 0.6
    np.testing.assert_array_equal(_labelled(probability), parts)
    return probability


def _drawn(drawing: str) -> NDArray[np.int32]:
    rows = [[0 if sign == "." else int(sign) for sign in row.strip()] for row in drawing.strip().splitlines()]
    return np.array(rows, np.int32)


def _disc(shape: tuple[int, int], y: float, x: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(rows - y, columns - x) <= radius)


def test_the_halves_of_a_disc_that_a_crack_parts_are_one_nucleus() -> None:
    disc = _disc((31, 31), 15, 15, 12)
    probability = np.where(disc, np.float32(0.9), np.float32(0.1))
    probability[disc & (np.arange(31) == 15)] = 0.6
    assert _labelled(probability).max() == 2
    np.testing.assert_array_equal(_labelled(probability, join_border=1.3), disc)


def test_two_discs_that_touch_stay_two_nuclei() -> None:
    shape = 25, 43
    one, other = _disc(shape, 12, 12, 10), _disc(shape, 12, 30, 10)
    probability = np.where(one | other, np.float32(0.6), np.float32(0.1))
    probability[_disc(shape, 12, 12, 8) | _disc(shape, 12, 30, 8)] = 0.9
    labels = _labelled(probability, join_border=1.3)
    assert labels.max() == 2
    np.testing.assert_array_equal(labels, _labelled(probability))


def test_a_border_is_long_by_the_diameter_of_the_smaller_one() -> None:
    parts = np.zeros((20, 30), np.int32)
    parts[:, :20], parts[5:15, 20:24] = 1, 2
    probability = _cored(parts)
    limit = 10 / (2 * math.sqrt(40 / math.pi))
    assert _labelled(probability, join_border=limit - 0.01).max() == 1
    assert _labelled(probability, join_border=limit + 0.01).max() == 2


def test_a_border_in_several_places_counts_as_a_whole() -> None:
    parts = np.ones((20, 20), np.int32)
    parts[4:8, 4:16] = parts[12:16, 4:16] = 0
    parts[:, 10:] *= 2
    probability = _cored(parts)
    limit = 12 / (2 * math.sqrt((200 - 48) / math.pi))  # 4 + 4 + 4 pairs of pixels
    assert _labelled(probability, join_border=limit - 0.01).max() == 1
    assert _labelled(probability, join_border=limit + 0.01).max() == 2


def test_what_is_joined_to_one_that_is_joined_is_of_the_same_nucleus() -> None:
    parts = np.repeat(np.array([1, 2, 3], np.int32), 7)[:, np.newaxis].repeat(20, axis=1)
    np.testing.assert_array_equal(_labelled(_cored(parts), join_border=1.3), np.ones((21, 20)))


def test_all_are_judged_by_what_they_were_before_any_was_joined() -> None:
    # A border of 10 between two squares of 100 pixels is long; those of 8 with the third are not, though that of 16
    # would be, which it has with both of them together.
    parts = np.zeros((20, 20), np.int32)
    parts[:10, :10], parts[2:18, 10:], parts[10:, :10] = 1, 2, 3
    labels = _labelled(_cored(parts), join_border=0.8)
    np.testing.assert_array_equal(labels, np.array([0, 1, 2, 1])[parts])
    assert 0.8 * 2 * math.sqrt(160 / math.pi) < 16


def test_what_is_too_small_is_removed_only_after_joining() -> None:
    parts = np.zeros((4, 24), np.int32)
    parts[:2, :10], parts[:2, 12:22], parts[2:, :10] = 1, 2, 3
    probability = _cored(parts)
    assert _labelled(probability, min_nucleus_area=25).max() == 0
    np.testing.assert_array_equal(
        _labelled(probability, min_nucleus_area=25, join_border=1.3), np.array([0, 1, 0, 1])[parts]
    )


def test_joined_nuclei_are_numbered_by_the_first_of_their_cores() -> None:
    parts = _drawn(
        """
        11111111.22
        11111111.22
        11111111.22
        33333333...
        33333333.44
        33333333.44
        ........5..
        """
    )
    np.testing.assert_array_equal(_labelled(_cored(parts), join_border=1.3), np.array([0, 1, 2, 1, 3, 4])[parts])


def test_many_nuclei_that_touch_are_joined_as_by_hand() -> None:
    """More pairs than any table begins with."""
    side, count = 5, 60
    numbers = np.arange(1, count * count + 1, dtype=np.int32).reshape(count, count)
    probability = np.full((side * count, side * count), 0.6, np.float32)
    probability[side // 2 :: side, side // 2 :: side] = 0.9
    parts = numbers.repeat(side, axis=0).repeat(side, axis=1)
    np.testing.assert_array_equal(_labelled(probability), parts)
    limit = side / (2 * math.sqrt(side * side / math.pi))
    np.testing.assert_array_equal(_labelled(probability, join_border=limit + 0.01), parts)
    assert (_labelled(probability, join_border=limit - 0.01) == 1).all()


@pytest.mark.parametrize("wrong", [0, -1.3, math.inf, math.nan])
def test_a_join_border_that_is_no_length_is_refused(wrong: float) -> None:
    with pytest.raises(ValidationError, match="join_border"):
        Postprocessing(core_threshold=0.8, join_border=wrong)


def test_a_join_border_without_cores_is_refused() -> None:
    with pytest.raises(ValidationError, match="give a core threshold"):
        Postprocessing(join_border=1.3)
